"""Bringing a database to the newest schema, and refusing one that is newer than this program."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from dockbell.domain.errors import SetupError
from dockbell.store.transactions import Store

# Any number does, as long as every process takes the same: it keeps two starts from migrating at once.
_MIGRATION_LOCK = 7_305_521


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _known_revisions() -> dict[str, bool]:
    """Every revision this program knows; True for the newest."""
    script = ScriptDirectory.from_config(_config())
    heads = set(script.get_heads())
    return {
        revision.revision: revision.revision in heads for revision in script.walk_revisions()
    }


def _upgrade(connection: Connection) -> bool:
    current = MigrationContext.configure(connection).get_current_revision()
    known = _known_revisions()
    if current is not None and current not in known:
        raise SetupError(
            f"The database was written by a newer dockbell (schema {current}). "
            "Start that version, or restore a backup made with this one."
        )
    if current is not None and known[current]:
        return False
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    command.upgrade(_config(connection), "head")
    return True


async def migrate(store: Store) -> bool:
    """Bring the tables to the newest schema; return whether anything changed.

    All steps happen in one transaction. Raise SetupError for a database of a newer version.
    """
    async with store.engine.begin() as connection:
        return await connection.run_sync(_upgrade)
