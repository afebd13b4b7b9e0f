"""Notifications for several kinds of event, for a namespace or the whole server, and with filters."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "notifications",
        sa.Column("further_kinds", sa.String(), nullable=False, server_default=""),
    )
    op.add_column("notifications", sa.Column("filter", sa.Text(), nullable=True))
    _let_namespaces_be_null(nullable=True)
    op.create_table(
        "notification_kinds",
        sa.Column("place_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("notification_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_notification_kinds_notification_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "place_id", "kind", "notification_id", name=op.f("pk_notification_kinds")
        ),
    )
    op.create_index(
        op.f("ix_notification_kinds_notification_id"), "notification_kinds", ["notification_id"]
    )
    op.execute(
        "INSERT INTO notification_kinds (place_id, kind, notification_id)"
        " SELECT namespace_id, kind, id FROM notifications WHERE repository_id IS NULL"
    )
    op.drop_index("ix_events_namespace_id", table_name="events")
    op.create_index("ix_events_namespace_id_id", "events", ["namespace_id", "id"])
    # Those that were made many at once had none.
    op.execute(
        "UPDATE deliveries SET repository_id ="
        " (SELECT events.repository_id FROM events WHERE events.id = deliveries.event_id)"
        " WHERE repository_id IS NULL"
    )


def downgrade() -> None:
    op.drop_index("ix_events_namespace_id_id", table_name="events")
    op.create_index("ix_events_namespace_id", "events", ["namespace_id"])
    op.drop_table("notification_kinds")
    op.execute("DELETE FROM notifications WHERE namespace_id IS NULL")
    _let_namespaces_be_null(nullable=False)
    for name in ("filter", "further_kinds"):
        op.drop_column("notifications", name)


def _let_namespaces_be_null(*, nullable: bool) -> None:
    if op.get_context().dialect.name != "sqlite":
        op.alter_column("notifications", "namespace_id", nullable=nullable)
        return
    # SQLite makes the table anew, and with the old one goes what belongs to its rows.
    op.execute("CREATE TEMPORARY TABLE kept_secrets AS SELECT * FROM signing_secrets")
    with op.batch_alter_table("notifications", recreate="always") as batch_op:
        batch_op.alter_column("namespace_id", existing_type=sa.String(), nullable=nullable)
    op.execute("DELETE FROM signing_secrets")
    op.execute("INSERT INTO signing_secrets SELECT * FROM kept_secrets")
    op.execute("DROP TABLE kept_secrets")
