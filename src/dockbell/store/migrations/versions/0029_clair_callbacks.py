"""Calls of a Clair, which has news to be fetched."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "clair_callbacks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clair_callbacks")),
    )
    op.create_index(op.f("ix_manifests_digest"), "manifests", ["digest"])


def downgrade() -> None:
    op.drop_index(op.f("ix_manifests_digest"), table_name="manifests")
    op.drop_table("clair_callbacks")
