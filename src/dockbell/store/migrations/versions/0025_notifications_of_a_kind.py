"""Finding the notifications of one kind, for those that the server itself looks after."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None
works_with = "0017"


def upgrade() -> None:
    op.create_index("ix_notifications_kind_id", "notifications", ["kind", "id"])
    op.create_index(
        "ix_notification_kinds_kind_notification_id",
        "notification_kinds",
        ["kind", "notification_id"],
    )


def downgrade() -> None:
    op.drop_index("ix_notification_kinds_kind_notification_id", "notification_kinds")
    op.drop_index("ix_notifications_kind_id", "notifications")
