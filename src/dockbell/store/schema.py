"""Bringing a database to the newest schema, and refusing one that this program is too old for.

A newer program notes with its tables the oldest revision whose programs still work with them, the floor
(docs/decisions/0026-newer-tables.md). So an older program can go on, and start again, while an upgrade is rolled out.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dockbell.domain.errors import SetupError, TooOldError, UnavailableError
from dockbell.store import addresses
from dockbell.store.tables import schema_floors
from dockbell.store.transactions import Store, Tx

NEWEST = "0036"  # the newest revision in `migrations`; tests/migration holds it to that

# Any number does, as long as every process takes the same: it keeps two starts from migrating at once.
_MIGRATION_LOCK = 7_305_521


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _is_settled(connection: Connection) -> bool:
    """Whether there is nothing to migrate: the tables are ours, or newer ones that we work with."""
    current = _revision(connection)
    if current == NEWEST:
        return True
    # A server at rest never needs the migration tool, so its ten megabytes are loaded only here.
    from dockbell.store.migrations.steps import is_known  # noqa: PLC0415 -- see above

    if current is None or is_known(current):
        return False
    floor = None
    if inspect(connection).has_table(schema_floors.name):
        floor = connection.scalar(select(schema_floors.c.revision))
    if floor is not None and floor <= NEWEST:
        return True
    needed = "" if floor is None else f", which needs a version of schema {floor} or newer"
    raise TooOldError(
        f"The database was written by a newer dockbell (schema {current}){needed}. "
        "Start that version, or restore a backup made with this one."
    )


def _upgrade(connection: Connection) -> bool:
    if _is_settled(connection):
        return False
    from dockbell.store.migrations.steps import upgrade  # noqa: PLC0415 -- loaded when needed only

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if _is_settled(connection):  # another start was first, maybe one of a newer version
            return False
    upgrade(connection)
    return True


async def migrate(store: Store) -> bool:
    """Bring the tables to the newest schema; return whether anything changed.

    All steps happen in one transaction. Newer tables stay as they are if this program works with them; else
    raise TooOldError, and SetupError if it cannot be migrated.
    """
    try:
        async with _connected(store) as connection, connection.begin():
            return await connection.run_sync(_upgrade)
    except DBAPIError as error:  # such as: permission denied for schema public
        raise SetupError(f"The database cannot be migrated: {error.orig}.") from error


async def is_settled(store: Store) -> bool:
    """Whether there is nothing to migrate. Raise TooOldError for a database that this program is too old for."""
    async with _connected(store) as connection:
        return await connection.run_sync(_is_settled)


async def check(tx: Tx) -> None:
    """Raise TooOldError if the tables have been migrated since to some that this program does not work with. One query."""
    row = await tx.first(select(schema_floors.c.revision))
    if row is not None and row.revision > NEWEST:
        raise TooOldError(
            f"The tables of the database were migrated, and now need a version of schema {row.revision} or newer; "
            f"this one is of schema {NEWEST}. Start that version."
        )


async def revision(store: Store) -> str | None:
    """The revision that the tables are of; None if there are none."""
    async with _connected(store) as connection:
        return await connection.run_sync(_revision)


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
