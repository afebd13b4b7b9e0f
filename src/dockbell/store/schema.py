"""Bringing a database to the newest schema, and refusing one that is newer than this program."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dockbell.domain.errors import SetupError, UnavailableError
from dockbell.store import addresses
from dockbell.store.transactions import Store

NEWEST = "0017"  # the newest revision in `migrations`; tests/migration holds it to that

# Any number does, as long as every process takes the same: it keeps two starts from migrating at once.
_MIGRATION_LOCK = 7_305_521


def _is_newest(connection: Connection) -> bool:
    current = None
    if inspect(connection).has_table("alembic_version"):
        current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if current == NEWEST:
        return True
    # A server at rest never needs the migration tool, so its ten megabytes are loaded only here.
    from dockbell.store.migrations.steps import is_known  # noqa: PLC0415 -- see above

    if current is not None and not is_known(current):
        raise SetupError(
            f"The database was written by a newer dockbell (schema {current}). "
            "Start that version, or restore a backup made with this one."
        )
    return False


def _upgrade(connection: Connection) -> bool:
    if _is_newest(connection):
        return False
    from dockbell.store.migrations.steps import upgrade  # noqa: PLC0415 -- loaded when needed only

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    upgrade(connection)
    return True


async def migrate(store: Store) -> bool:
    """Bring the tables to the newest schema; return whether anything changed.

    All steps happen in one transaction. Raise SetupError for a database of a newer version.
    """
    try:
        async with _connected(store) as connection, connection.begin():
            return await connection.run_sync(_upgrade)
    except DBAPIError as error:  # such as: permission denied for schema public
        raise SetupError(f"The database cannot be migrated: {error.orig}.") from error


async def is_newest(store: Store) -> bool:
    """Whether there is nothing to migrate. Raise SetupError for a database of a newer version."""
    async with _connected(store) as connection:
        return await connection.run_sync(_is_newest)


@contextlib.asynccontextmanager
async def _connected(store: Store) -> AsyncIterator[AsyncConnection]:
    """A connection, or UnavailableError that tells the operator why there is none."""
    try:
        connection = await store.engine.connect()
    # ValueError and ClientConfigurationError: a certificate that is named in the address is none.
    except (OSError, ValueError, DBAPIError) as error:
        raise UnavailableError(
            f"The database {addresses.without_password(store.address)} cannot be reached: {_cause_of(error)}. "
            "Look at `dockbell config show`, database_url."
        ) from error
    try:
        yield connection
    finally:
        await connection.close()


def _cause_of(error: Exception) -> object:
    match error:
        case socket.gaierror():
            return "there is no host of that name"
        case TimeoutError():
            return "no answer"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number)  # the loops word it differently
        case DBAPIError():
            return error.orig
        case _:
            return str(error) or type(error).__name__
