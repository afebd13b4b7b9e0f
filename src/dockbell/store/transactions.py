"""Opening the database, and the one kind of transaction that everything runs in."""

import asyncio
import contextlib
import functools
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import URL, AsyncAdaptedQueuePool, Executable, Insert, event
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncTransaction,
    create_async_engine,
)

from dockbell.domain import ids
from dockbell.domain.errors import (
    DockbellError,
    NotFoundError,
    SetupError,
    UnavailableError,
)
from dockbell.domain.ids import Clock, NewId
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.dialects import sqlite, sqlite_driver
from dockbell.store.dialects.statements import Plan, Statement
from dockbell.store.failures import meaning_of, meaning_of_driver
from dockbell.store.seals import Seal

_Result = TypeVar("_Result")

NOTIFY_CHANNEL = "dockbell_deliveries"
_CONNECT_SECONDS = 5
_POOL_SECONDS = 10
_CANNOT_CONNECT = (OSError, TimeoutError, DBAPIError, PoolTimeoutError)


class DuplicateError(Exception):
    """A row like this is already there (a unique constraint refused it)."""


class OrphanError(NotFoundError):
    """The row that this one belongs to is not there: another transaction deleted it a moment ago."""

    def __init__(self) -> None:
        super().__init__(NotFoundError().detail)


@dataclass(slots=True)
class Tx:
    """One open transaction. Only `web`, `engine` and `cli` begin and end one; everything else takes it first.

    `now` is the moment it began, by the store's clock: all rows written in it carry the same time.
    """

    connection: AsyncConnection
    dialect: ModuleType  # store.dialects.sqlite or .postgresql: the hot statements
    now: datetime
    new_id: NewId
    seal: Seal
    rings: bool = False  # deliveries became due: wake the engine after the commit
    after: list[Callable[[], None]] = field(default_factory=list)  # called once it is committed
    _driver: Any = None  # the driver's own connection, once a hot statement asked for it

    def new_ids(self, prefix: str, count: int) -> list[str]:
        """So many new ids, in order: cheaper than one by one."""
        return ids.new_ids(self.new_id, prefix, count)

    async def rows(self, statement: Executable, parameters: Any = None) -> Sequence[Row[Any]]:
        with _explained:
            return (await self.connection.execute(statement, parameters)).all()

    async def first(self, statement: Executable, parameters: Any = None) -> Row[Any] | None:
        with _explained:
            return (await self.connection.execute(statement, parameters)).first()

    async def run(self, statement: Executable, parameters: Any = None) -> int:
        """Execute a change; return how many rows it met.

        Raise DuplicateError for a unique constraint, OrphanError for a new row whose owner is not there.
        """
        with _explained:
            try:
                return (await self.connection.execute(statement, parameters)).rowcount
            except IntegrityError as error:
                if _is_duplicate(error):
                    raise DuplicateError(str(error.orig)) from error
                if isinstance(statement, Insert) and _is_orphan(error):
                    raise OrphanError from error
                raise

    async def hot(self, sql: str, parameters: tuple[Any, ...] = ()) -> Sequence[Any]:
        """Execute a hand-written statement of a dialect file as the driver takes it; return its rows."""
        return (await self.hot_each(((sql, parameters),)))[0]

    async def hot_each(self, statements: Sequence[Statement]) -> Sequence[Sequence[Any]]:
        """Execute hand-written statements one after another; return the rows of each.

        Straight to the driver: what SQLAlchemy would add costs more than most of them do.
        """
        with _explained:
            if self.dialect is sqlite:
                rows: Sequence[Sequence[Any]] = await (await self._sqlite()).execute_each(
                    statements
                )
                return rows
            driver = await self._asyncpg()
            try:
                return [await driver.fetch(sql, *values) for sql, values in statements]
            except Exception as error:
                await self._forget_if_broken(driver, error)
                raise

    async def hot_run(self, plan: Plan[_Result]) -> _Result:
        """Execute the statements of a plan, step after step; return what it returns."""
        with _explained:
            if self.dialect is sqlite:
                result: _Result = await (await self._sqlite()).execute_plan(plan)
            else:
                result = await self._each_step(plan)
            return result

    async def _each_step(self, plan: Plan[Any]) -> Any:
        try:
            statements = next(plan)
            while True:
                statements = plan.send(await self.hot_each(statements))
        except StopIteration as done:
            return done.value

    async def hot_all(self, statements: Iterable[Statement]) -> int:
        """Execute hand-written changes one after another; return how many rows they met."""
        with _explained:
            if self.dialect is sqlite:
                met: int = await (await self._sqlite()).execute_all(list(statements))
                return met
            return sum(
                [
                    (await self.connection.exec_driver_sql(sql, parameters)).rowcount
                    for sql, parameters in statements
                ]
            )

    async def _sqlite(self) -> Any:
        if self._driver is None:
            self._driver = (await self.connection.get_raw_connection()).driver_connection
        return self._driver

    async def _asyncpg(self) -> Any:
        """PostgreSQL's own connection, with the transaction begun: SQLAlchemy begins it at its own first statement."""
        if self._driver is None:
            raw = await self.connection.get_raw_connection()
            adapted: Any = raw.dbapi_connection
            try:
                if adapted._transaction is None:  # noqa: SLF001 -- it has no public name
                    await adapted._start_transaction()  # noqa: SLF001 -- likewise
            except Exception as error:
                await self._forget_if_broken(raw.driver_connection, error)
                raise
            self._driver = raw.driver_connection
        return self._driver

    async def _forget_if_broken(self, driver: Any, error: Exception) -> None:
        """Have the pool throw away a connection that broke, which it cannot see by itself here."""
        if driver.is_closed():
            await self.connection.invalidate(error)
            if (
                getattr(error, "sqlstate", None) is None
            ):  # the driver's word for a closed connection
                raise ConnectionResetError(str(error)) from error

    @contextlib.asynccontextmanager
    async def nested(self) -> AsyncIterator[None]:
        """A savepoint: what fails inside leaves the rest of the transaction usable."""
        with _explained:
            savepoint = await self.connection.begin_nested()
        async with _ended(savepoint, _explained):
            yield

    def ring(self) -> None:
        """Ask that the engine is woken once this is committed."""
        self.rings = True


def _is_duplicate(error: DBAPIError) -> bool:
    return "UNIQUE" in str(error.orig) or "unique constraint" in str(error.orig).lower()


def _is_orphan(error: DBAPIError) -> bool:
    return "foreign key constraint" in str(error.orig).lower()


class _Explained:
    """Around what only the driver does: an error that passes leaves as UnavailableError, any other as it is."""

    def __init__(self, *, is_commit: bool = False) -> None:
        self._is_commit = is_commit

    def __enter__(self) -> None:
        """There is nothing to prepare, so one object serves all."""

    def __exit__(self, kind: object, error: BaseException | None, *rest: object) -> None:
        del kind, rest
        if isinstance(error, Exception) and not isinstance(error, DockbellError):
            meaning = meaning_of_driver(error, is_commit=self._is_commit)
            if meaning is not None:
                raise meaning from error


_explained = _Explained()
_commit_explained = _Explained(is_commit=True)


class Store:
    """The database, by one address, SQLite or PostgreSQL."""

    def __init__(  # noqa: PLR0913 -- made only by open()
        self,
        writer: AsyncEngine,
        reader: AsyncEngine,
        *,
        dialect: ModuleType,
        address: str,
        clock: Clock,
        new_id: NewId,
        seal: Seal,
    ) -> None:
        self.address = address  # with its password: for whoever opens a connection of their own
        self._writer = writer
        self._reader = reader
        self._dialect = dialect
        self._clock = clock
        self._new_id = new_id
        self.seal = seal  # set anew only by the very first start, before any secret is written
        # SQLite has one writer. Waiting here is fair and cheap; waiting inside SQLite is neither.
        self._turn: asyncio.Lock | None = asyncio.Lock() if dialect is sqlite else None
        self._is_closed = False
        # Called after a commit that made deliveries due.
        self.bell: Callable[[], None] = lambda: None

    @classmethod
    def open(  # noqa: PLR0913 -- the composition root's one call
        cls,
        url: str,
        *,
        clock: Clock,
        new_id: NewId,
        seal: Seal,
        pool_size: int = 10,
        pool_seconds: float = _POOL_SECONDS,
    ) -> "Store":
        """Open by address: `sqlite:///path` or `postgresql://…`. Connects at the first use."""
        scheme, _, path = url.partition(":///")
        if scheme == "sqlite":
            writer = _open_sqlite(path, "BEGIN IMMEDIATE", connections=1)
            reader = _open_sqlite(path, "BEGIN DEFERRED", connections=4, read_only=True)
            return cls(
                writer,
                reader,
                dialect=sqlite,
                address=url,
                clock=clock,
                new_id=new_id,
                seal=seal,
            )
        # The driver and its dialect take eight megabytes, which SQLite has no use for.
        import asyncpg  # noqa: PLC0415 -- see above

        from dockbell.store.dialects import postgresql  # noqa: PLC0415 -- see above

        both = create_async_engine(
            "postgresql+asyncpg://",
            # The driver reads the address itself: SQLAlchemy would hand it `sslmode` as an argument it has not.
            async_creator=functools.partial(_connect_postgresql, asyncpg.connect, url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=pool_seconds,
            hide_parameters=True,  # an error's text goes to the log, and values may be secrets
        )
        return cls(
            both, both, dialect=postgresql, address=url, clock=clock, new_id=new_id, seal=seal
        )

    def beside(self, pool_size: int) -> "Store":
        """The same database over connections of its own, so that neither store can leave the other without one.

        SQLite has turns in place of connections, which all must share: there it is this store itself.
        """
        if self.is_sqlite:
            return self
        return Store.open(
            self.address,
            clock=self._clock,
            new_id=self._new_id,
            seal=self.seal,
            pool_size=pool_size,
        )

    @property
    def is_sqlite(self) -> bool:
        return self._dialect is sqlite

    @property
    def engine(self) -> AsyncEngine:
        """For migrations, which bring their own transaction."""
        return self._writer

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction that may write. Commits at the end of the block; an exception undoes all of it.

        On SQLite only one is open at a time: never wait for the outside world inside the block.
        """
        async with (
            self._turn or contextlib.nullcontext(),
            self._connect(self._writer) as connection,
            _transaction(connection),
        ):
            tx = self._tx(connection)
            yield tx
            if tx.rings and self._turn is None:
                with _explained:
                    await connection.exec_driver_sql(f"NOTIFY {NOTIFY_CHANNEL}")
        for call in tx.after:
            call()
        if tx.rings:
            self.bell()

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A transaction that only reads. On SQLite it neither waits for a writer nor holds one up."""
        async with self._connect(self._reader) as connection, _transaction(connection):
            yield self._tx(connection)

    def pool(self) -> tuple[int, int, int]:
        """Connections in use, connections at rest, and the most there can be."""
        pools = [one.pool for one in {self._writer, self._reader}]
        in_use = idle = most = 0
        for pool in pools:
            if isinstance(pool, AsyncAdaptedQueuePool):
                in_use += pool.checkedout()
                idle += pool.checkedin()
                most += pool.size() + pool._max_overflow  # noqa: SLF001 -- it has no public name
        return in_use, idle, most

    async def close(self) -> None:
        """Close all connections: those in use as soon as their transactions end, which they may."""
        self._is_closed = True
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()

    def _tx(self, connection: AsyncConnection) -> Tx:
        return Tx(connection, self._dialect, self._clock(), self._new_id, self.seal)

    @contextlib.asynccontextmanager
    async def _connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            connection = await engine.connect()
        except Exception as error:
            # asyncpg's own errors come bare from here; those of the server have a state.
            if not isinstance(error, _CANNOT_CONNECT) and not hasattr(error, "sqlstate"):
                raise
            raise meaning_of(error) or UnavailableError(
                "The database cannot be reached."
            ) from error
        try:
            yield connection
        finally:
            with _explained:
                if self._is_closed:
                    # Its pool was emptied without it, and would only leave it to the garbage collector.
                    await connection.invalidate()
                await connection.close()


@contextlib.asynccontextmanager
async def _transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    with _explained:
        transaction = await connection.begin()
    async with _ended(transaction, _commit_explained):
        yield


@contextlib.asynccontextmanager
async def _ended(transaction: AsyncTransaction, commit: "_Explained") -> AsyncIterator[None]:
    """Commit at the end of the block, or undo; an error of the block itself is never taken for the driver's."""
    try:
        yield
    except BaseException:
        if transaction.is_active:
            with _explained:
                await transaction.rollback()
        raise
    with commit:
        await transaction.commit()


# Somebody may have traded the last moment before a crash for speed, for all of the server: not for our events.
_SYNC_COMMITS = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


async def _connect_postgresql(connect: Callable[..., Awaitable[Any]], url: str) -> Any:
    connection = await connect(url, timeout=_CONNECT_SECONDS)
    try:
        await connection.execute(_SYNC_COMMITS)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _open_sqlite(
    path: str, begin: str, *, connections: int, read_only: bool = False
) -> AsyncEngine:
    async def connect() -> Any:
        return await sqlite_driver.connect(path)

    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=path),
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=_POOL_SECONDS,
        hide_parameters=True,  # as above
        pool_reset_on_return=None,  # every transaction of ours has ended by then
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        del record
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # an acknowledged event survives a power cut
            "foreign_keys = ON",
            "busy_timeout = 15000",
            "temp_store = MEMORY",
            "cache_size = -16000",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Any) -> None:
        connection.connection.driver_connection.begin_with_first(begin, only_reads=read_only)

    return engine


def check_sqlite_file(path: str) -> None:
    """Raise SetupError in plain words if this file cannot be a database of ours."""
    # SQLite says of all of them that the database is read-only. It writes files beside it, so the folder counts.
    for one in (Path(path).parent, *(Path(path + ending) for ending in ("", "-wal", "-shm"))):
        if one.exists() and not os.access(one, os.R_OK | os.W_OK, effective_ids=True):
            raise SetupError(
                f"This user may not read and write {one}. Give it that right, or run as its owner."
            )
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=15)) as connection:
            connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise SetupError(f"The database {path} cannot be opened: {error}.") from error
