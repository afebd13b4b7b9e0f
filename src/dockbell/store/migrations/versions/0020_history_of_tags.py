"""What tags have pointed to, labels of manifests, and who was told that a tag expires."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None
works_with = "0017"


def _owned(column: str, table: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.create_index("ix_tags_expires_at", "tags", ["expires_at"])
    op.create_table(
        "tag_versions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("is_reversion", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        _owned("repository_id", "tag_versions", "repositories"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_versions")),
    )
    op.create_index(
        "ix_tag_versions_repository_id_started_at",
        "tag_versions",
        ["repository_id", "started_at"],
    )
    op.create_index(
        "ix_tag_versions_repository_id_digest", "tag_versions", ["repository_id", "digest"]
    )
    # Before this version nothing was kept but what a tag points to now. Ids only have to differ.
    op.execute(
        "INSERT INTO tag_versions (id, repository_id, name, digest, is_reversion, started_at, ended_at)"
        " SELECT 'tgv_' || repository_id || '_' || name, repository_id, name, digest, false, updated_at, expires_at"
        " FROM tags"
    )
    op.create_table(
        "manifest_labels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("uuid", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.CheckConstraint(
            "source IN ('manifest', 'api')", name=op.f("ck_manifest_labels_source")
        ),
        _owned("repository_id", "manifest_labels", "repositories"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manifest_labels")),
    )
    op.create_index(
        "ix_manifest_labels_repository_id_digest",
        "manifest_labels",
        ["repository_id", "digest"],
    )
    op.create_table(
        "expiry_marks",
        sa.Column("notification_id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.Column("marked_at", sa.BigInteger(), nullable=False),
        _owned("notification_id", "expiry_marks", "notifications"),
        _owned("repository_id", "expiry_marks", "repositories"),
        sa.PrimaryKeyConstraint(
            "notification_id", "repository_id", "tag", name=op.f("pk_expiry_marks")
        ),
    )
    op.create_index(
        "ix_expiry_marks_repository_id_tag", "expiry_marks", ["repository_id", "tag"]
    )


def downgrade() -> None:
    op.drop_table("expiry_marks")
    op.drop_table("manifest_labels")
    op.drop_table("tag_versions")
    op.drop_index("ix_tags_expires_at", "tags")
