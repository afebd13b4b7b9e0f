"""Breakers for hosts, lanes that are held, and since when a notification fails."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breakers",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("open_until", sa.BigInteger(), nullable=False),
        sa.Column("failed_trials", sa.Integer(), nullable=False),
        sa.Column("trial_until", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_breakers")),
    )
    op.add_column("lanes", sa.Column("held_until", sa.BigInteger(), nullable=True))
    op.add_column("lanes", sa.Column("held_by", sa.String(), nullable=True))
    op.create_index(
        "ix_lanes_held",
        "lanes",
        ["held_by"],
        sqlite_where=sa.text("held_by IS NOT NULL"),
        postgresql_where=sa.text("held_by IS NOT NULL"),
    )
    op.add_column("notifications", sa.Column("failing_since", sa.BigInteger(), nullable=True))
    op.add_column("notifications", sa.Column("told_failing_at", sa.BigInteger(), nullable=True))
