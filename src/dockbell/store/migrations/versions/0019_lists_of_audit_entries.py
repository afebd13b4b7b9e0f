"""Lists of audit entries: by namespace or repository, in order of time."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None
works_with = "0017"

_PLACES = ("namespace_id", "repository_id")


def upgrade() -> None:
    for place in _PLACES:
        op.create_index(f"ix_audit_entries_{place}_id", "audit_entries", [place, "id"])
        op.drop_index(f"ix_audit_entries_{place}", table_name="audit_entries")


def downgrade() -> None:
    for place in _PLACES:
        op.create_index(f"ix_audit_entries_{place}", "audit_entries", [place])
        op.drop_index(f"ix_audit_entries_{place}_id", table_name="audit_entries")
