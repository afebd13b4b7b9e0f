"""Rules of organizations that keep tags from changing."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0034"
branch_labels = None
depends_on = None
# An earlier program moves tags that these rules keep.
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "namespace_immutability_rules",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("namespace_id", sa.String(), nullable=False),
        sa.Column("pattern", sa.String(), nullable=False),
        sa.Column("matches", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["namespaces.id"],
            name=op.f("fk_namespace_immutability_rules_namespace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_namespace_immutability_rules")),
    )
    op.create_index(
        op.f("ix_namespace_immutability_rules_namespace_id"),
        "namespace_immutability_rules",
        ["namespace_id"],
    )


def downgrade() -> None:
    op.drop_table("namespace_immutability_rules")
