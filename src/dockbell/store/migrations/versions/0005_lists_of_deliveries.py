"""Lists of deliveries and events: by repository, in order of time."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
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
    op.create_table(
        "redelivery_jobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("repository_id", sa.String(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('running', 'paused', 'done', 'cancelled')",
            name=op.f("ck_redelivery_jobs_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redelivery_jobs")),
    )
    op.create_index(
        "ix_redelivery_jobs_repository_id_id", "redelivery_jobs", ["repository_id", "id"]
    )
    op.create_index(
        "ix_redelivery_jobs_running",
        "redelivery_jobs",
        ["updated_at"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def downgrade() -> None:
    op.drop_table("redelivery_jobs")
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
