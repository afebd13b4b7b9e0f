"""Running the migrations: the one place that knows the tool."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert

from dockbell.store.tables import schema_floors

_FOLDER = Path(__file__).parent


def config_of(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def newest() -> str | None:
    return ScriptDirectory.from_config(config_of()).get_current_head()


def is_known(revision: str) -> bool:
    script = ScriptDirectory.from_config(config_of())
    return any(known.revision == revision for known in script.walk_revisions())


def floor() -> str:
    """The oldest revision whose programs work with the newest tables: the highest that any step asks for."""
    script = ScriptDirectory.from_config(config_of())
    return max(getattr(one.module, "works_with", "") for one in script.walk_revisions())


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest revision, on this connection's transaction, and note who works with them."""
    command.upgrade(config_of(connection), "head")
    connection.execute(delete(schema_floors))
    connection.execute(insert(schema_floors).values(revision=floor()))
