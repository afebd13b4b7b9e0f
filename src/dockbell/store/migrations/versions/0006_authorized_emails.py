"""E-mail addresses that may get a repository's mail, and how many mails have asked for that."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authorized_emails",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=True),
        sa.Column("code_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("unsubscribe_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_authorized_emails_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorized_emails")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_authorized_emails_code_hash")),
        sa.UniqueConstraint(
            "repository_id", "email", name=op.f("uq_authorized_emails_repository_id_email")
        ),
    )
    op.create_table(
        "confirmation_mails",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("namespace_id", sa.String(), nullable=False),
        sa.Column("asker", sa.String(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_confirmation_mails")),
    )
    op.create_index(
        "ix_confirmation_mails_email_sent_at", "confirmation_mails", ["email", "sent_at"]
    )
    op.create_index("ix_confirmation_mails_sent_at", "confirmation_mails", ["sent_at"])


def downgrade() -> None:
    op.drop_table("confirmation_mails")
    op.drop_table("authorized_emails")
