"""Roles that new repositories of an organization begin with."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
# An earlier program makes repositories without them.
works_with = "0017"

_OWNERS = {
    "namespace_id": "namespaces",
    "creator_user_id": "namespaces",
    "creator_robot_id": "robots",
    "user_id": "namespaces",
    "robot_id": "robots",
    "team_id": "teams",
}


def upgrade() -> None:
    op.create_table(
        "default_roles",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("namespace_id", sa.String(), nullable=False),
        sa.Column("creator_user_id", sa.String(), nullable=True),
        sa.Column("creator_robot_id", sa.String(), nullable=True),
        sa.Column("user_id", sa.String(), nullable=True),
        sa.Column("robot_id", sa.String(), nullable=True),
        sa.Column("team_id", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "role IN ('read', 'write', 'admin')", name=op.f("ck_default_roles_role")
        ),
        *(
            sa.ForeignKeyConstraint(
                [column],
                [f"{table}.id"],
                name=op.f(f"fk_default_roles_{column}"),
                ondelete="CASCADE",
            )
            for column, table in _OWNERS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_default_roles")),
    )
    for column in _OWNERS:
        op.create_index(op.f(f"ix_default_roles_{column}"), "default_roles", [column])


def downgrade() -> None:
    op.drop_table("default_roles")
