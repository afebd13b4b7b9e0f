"""Rules that keep tags of a repository from changing."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None
# An older program pushes what a rule forbids. It reads and writes the same rows otherwise.
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "immutability_rules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("matches", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_immutability_rules_repository_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_immutability_rules")),
    )
    op.create_index(
        op.f("ix_immutability_rules_repository_id"), "immutability_rules", ["repository_id"]
    )


def downgrade() -> None:
    op.drop_table("immutability_rules")
