"""Lists of deliveries and events: by repository, in order of time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("repository_id", sa.String(), nullable=True))
    op.add_column("deliveries", sa.Column("request_key", sa.String(), nullable=True))
    op.execute(
        "UPDATE deliveries SET repository_id ="
        " (SELECT events.repository_id FROM events WHERE events.id = deliveries.event_id)"
    )
    op.drop_index("ix_deliveries_notification_id_created_at", table_name="deliveries")
    op.create_index("ix_deliveries_notification_id_id", "deliveries", ["notification_id", "id"])
    op.create_index("ix_deliveries_repository_id_id", "deliveries", ["repository_id", "id"])
    op.drop_index("ix_events_repository_id", table_name="events")
    op.create_index("ix_events_repository_id_id", "events", ["repository_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_events_repository_id_id", table_name="events")
    op.create_index("ix_events_repository_id", "events", ["repository_id"])
    op.drop_index("ix_deliveries_repository_id_id", table_name="deliveries")
    op.drop_index("ix_deliveries_notification_id_id", table_name="deliveries")
    op.create_index(
        "ix_deliveries_notification_id_created_at",
        "deliveries",
        ["notification_id", "created_at"],
    )
    op.drop_column("deliveries", "request_key")
    op.drop_column("deliveries", "repository_id")
