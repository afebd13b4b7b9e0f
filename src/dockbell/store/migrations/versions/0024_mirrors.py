"""Mirrors of other registries' repositories, and the states of repositories."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None
works_with = "0017"  # they take pushes to a mirror, and sync none


def upgrade() -> None:
    op.add_column(
        "repositories",
        sa.Column("state", sa.String(), nullable=False, server_default="NORMAL"),
    )
    op.create_table(
        "mirrors",
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("username_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("password_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("registry_config", sa.Text(), nullable=False),
        sa.Column("robot_id", sa.String(), nullable=True),
        sa.Column("globs", sa.Text(), nullable=False),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=True),
        sa.Column("timeout_seconds", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("lease", sa.String(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("takeovers", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"],
            ["repositories.id"],
            name=op.f("fk_mirrors_repository_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["robot_id"],
            ["robots.id"],
            name=op.f("fk_mirrors_robot_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("repository_id", name=op.f("pk_mirrors")),
    )
    op.create_index("ix_mirrors_due_at", "mirrors", ["due_at"])
    op.create_index("ix_mirrors_robot_id", "mirrors", ["robot_id"])


def downgrade() -> None:
    op.drop_table("mirrors")
    op.drop_column("repositories", "state")
