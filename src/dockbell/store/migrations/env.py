"""Alembic's entry: runs the migrations on the connection that `store.schema` hands over."""

from alembic import context

from dockbell.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
