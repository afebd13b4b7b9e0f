"""What an event with very many deliveries still lacks, where a series of tries began, and who works with the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "schema_floors",
        sa.Column("revision", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_floors"),
    )
    op.create_table(
        "fan_outs",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "number", name="pk_fan_outs"),
    )
    op.add_column(
        "deliveries",
        sa.Column("attempts_before", sa.Integer(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    op.drop_column("deliveries", "attempts_before")
    op.drop_table("fan_outs")
    op.drop_table("schema_floors")
