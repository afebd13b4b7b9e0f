"""Images that a Clair is still to be asked about, and secrets of feeds that were replaced."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
# An earlier program takes webhooks with a feed's newest secret alone.
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "clair_indexings",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_clair_indexings_repository_id_repositories"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("repository_id", "digest", name=op.f("pk_clair_indexings")),
    )
    op.create_index(op.f("ix_clair_indexings_due_at"), "clair_indexings", ["due_at"])
    op.add_column("feeds", sa.Column("previous_secret_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("feeds", sa.Column("previous_ends_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("feeds", "previous_ends_at")
    op.drop_column("feeds", "previous_secret_sealed")
    op.drop_index(op.f("ix_clair_indexings_due_at"), table_name="clair_indexings")
    op.drop_table("clair_indexings")
