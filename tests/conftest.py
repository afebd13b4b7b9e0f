"""Fixtures for all: a real SQLite file and a real PostgreSQL database per test, a clock that tests move."""

import asyncio
import gc
import itertools
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from argon2 import PasswordHasher
from sqlalchemy import Connection, Engine, delete, event

from dockbell.domain import ids
from dockbell.services import passwords
from dockbell.store.schema import NEWEST, migrate
from dockbell.store.seals import Seal
from dockbell.store.tables import metadata
from dockbell.store.transactions import Store
from tests.postgres import Postgres

DATABASE_URL = "DOCKBELL_TEST_DATABASE_URL"
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)

_server: list[Postgres] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start one PostgreSQL for the whole run, before any xdist worker starts and inherits its address."""
    if (
        not hasattr(config, "workerinput")
        and not config.option.collectonly
        and DATABASE_URL not in os.environ
    ):
        server = Postgres()
        _server.append(server)
        os.environ[DATABASE_URL] = server.url


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    while _server:
        _server.pop().stop()
        del os.environ[DATABASE_URL]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: one of them at the end would keep all other workers waiting."""
    first = [Path(__file__).parent / name for name in ("e2e", "soak")]
    items.sort(key=lambda item: not any(folder in item.path.parents for folder in first))


def pytest_collection_finish() -> None:
    """Whatever was imported and collected stays until the end: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


# The hashes that servers make are dear on purpose. Here many hundreds are made and checked, and what is true of a
# cheap one is true of theirs; integration/test_accounts_sign_in.py holds what they cost.
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class _Compiled(dict[Any, Any]):
    """Statements by what they say and by the kind of database, while SQLAlchemy's own keys name one engine's dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), compiled)


_compiled = _Compiled()


@event.listens_for(Engine, "engine_connect")
def _share_compiled(connection: Connection) -> None:
    """Each test opens a store of its own, and would have each statement compiled anew: a tenth of all time."""
    connection.execution_options(compiled_cache=_compiled)


class SetClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


def _log_plainly() -> None:
    """structlog's defaults, but without its picture of a traceback, which takes seconds to draw."""
    structlog.reset_defaults()
    *processors, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*processors, plain])


_log_plainly()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A test may set up logging for its process, which other tests share: everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    before = structlog.get_config()["wrapper_class"]
    yield
    if structlog.get_config()["wrapper_class"] is not before:
        root.handlers, root.level = handlers, level
        _log_plainly()


# In the name of the thread of each open SQLite connection.
_CONNECTION_THREAD = "_connection_worker_thread"


def _connection_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if _CONNECTION_THREAD in each.name}


@pytest.fixture(autouse=True)
def no_connection_is_left_open() -> Iterator[None]:
    """A test closes what it opened. Otherwise the garbage collector tells some later test of it."""
    before = _connection_threads()
    yield
    left = _connection_threads() - before
    for thread in left:
        thread.join(timeout=1)  # one that was closed a moment ago is about to end
    still_open = [each.name for each in left if each.is_alive()]
    assert still_open == [], "SQLite connections that this test left open"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def seal() -> Seal:
    return Seal(bytes(range(32)))


@pytest.fixture
def new_id(clock: SetClock) -> ids.NewId:
    """Ids in the order they are asked for."""
    count = itertools.count(1)
    return lambda prefix: ids.compose(prefix, clock(), next(count))


def _template_store(url: str) -> Store:
    count = itertools.count(1)
    return Store.open(
        url,
        clock=lambda: NOON,
        new_id=lambda prefix: ids.compose(prefix, NOON, next(count)),
        seal=Seal(bytes(range(32))),
    )


class _Aside:
    """A loop in a thread of its own, for what fixtures do with databases while a test's loop runs."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="aside")
        self._runner = asyncio.Runner()

    def wait(self, work: Coroutine[None, None, None]) -> None:
        """Run to the end."""
        self._thread.submit(self._runner.run, work).result()

    def close(self) -> None:
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()


@pytest.fixture(scope="session")
def aside() -> Iterator[_Aside]:
    opened = _Aside()
    yield opened
    opened.close()


async def _migrate(url: str) -> None:
    store = _template_store(url)
    await migrate(store)
    await store.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, aside: _Aside) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    aside.wait(_migrate(f"sqlite:///{path}"))
    return path


async def _administer(statement: str) -> None:
    connection = await asyncpg.connect(os.environ[DATABASE_URL])
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _database(name: str) -> str:
    base, _, _ = os.environ[DATABASE_URL].rpartition("/")
    return f"{base}/{name}"


@pytest.fixture(scope="session")
def postgresql_database(aside: _Aside) -> Iterator[str]:
    """The address of this process's own database, migrated. Tests use it one after another."""
    name = f"dockbell_test_{os.getpid()}"
    aside.wait(_administer(f"CREATE DATABASE {name}"))
    aside.wait(_migrate(_database(name)))
    yield _database(name)
    aside.wait(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


class _Emptier:
    """Empties the database after each test, over one connection: a new one has to read up on every table first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None

    async def empty(self) -> None:
        try:
            await self._empty()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # The test ended all connections but its own.
            self._connection = None
            await self._empty()

    async def _empty(self) -> None:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._url)
        await self._connection.execute(_EMPTY)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


@pytest.fixture(scope="session")
def emptier(postgresql_database: str, aside: _Aside) -> Iterator[_Emptier]:
    opened = _Emptier(postgresql_database)
    yield opened
    aside.wait(opened.close())


# Emptying costs a fiftieth of copying a template. What a test left open is ended first, and a test that
# wrote another schema version gets ours back.
_EMPTY = "".join(
    (
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid();"
        ),
        "SET session_replication_role = replica;",
        *(str(delete(table)) + ";" for table in metadata.sorted_tables),
        f"INSERT INTO schema_floors VALUES ('{NEWEST}');",  # noqa: S608 -- our own constant
        f"UPDATE alembic_version SET version_num = '{NEWEST}';",  # noqa: S608 -- our own constant
    )
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(
    request: pytest.FixtureRequest, tmp_path: Path, aside: _Aside
) -> Iterator[str]:
    """The address of a fresh, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "dockbell.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    emptier = request.getfixturevalue("emptier")
    yield request.getfixturevalue("postgresql_database")
    aside.wait(emptier.empty())


@pytest.fixture
async def store(
    database_url: str, clock: SetClock, new_id: ids.NewId, seal: Seal
) -> AsyncIterator[Store]:
    opened = Store.open(database_url, clock=clock, new_id=new_id, seal=seal)
    yield opened
    await opened.close()
