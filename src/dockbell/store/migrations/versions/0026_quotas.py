"""Quotas of namespaces, and how much each stores."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None
works_with = "0017"


def upgrade() -> None:
    op.create_table(
        "namespace_storage",
        sa.Column("namespace_id", sa.String(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["namespaces.id"],
            name=op.f("fk_namespace_storage_namespace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("namespace_id", name=op.f("pk_namespace_storage")),
    )
    op.create_table(
        "quotas",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("namespace_id", sa.String(), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"],
            ["namespaces.id"],
            name=op.f("fk_quotas_namespace_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotas")),
        sa.UniqueConstraint("namespace_id", name=op.f("uq_quotas_namespace_id")),
    )
    op.create_table(
        "quota_limits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("quota_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("crossed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["quota_id"],
            ["quotas.id"],
            name=op.f("fk_quota_limits_quota_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_limits")),
        sa.UniqueConstraint(
            "quota_id", "kind", "percent", name=op.f("uq_quota_limits_quota_id_kind_percent")
        ),
        sa.CheckConstraint("kind IN ('Warning', 'Reject')", name=op.f("ck_quota_limits_kind")),
    )
    # What was pushed before counts too.
    op.execute(
        "INSERT INTO namespace_storage (namespace_id, used_bytes, counted_at)"
        " SELECT held.namespace_id, SUM(blobs.size), 0 FROM"
        " (SELECT DISTINCT repositories.namespace_id, repository_blobs.digest FROM repository_blobs"
        " JOIN repositories ON repositories.id = repository_blobs.repository_id) AS held"
        " JOIN blobs ON blobs.digest = held.digest GROUP BY held.namespace_id"
    )


def downgrade() -> None:
    for name in ("quota_limits", "quotas", "namespace_storage"):
        op.drop_table(name)
