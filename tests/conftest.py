"""Fixtures for all: a real SQLite file and a real PostgreSQL database per test, a clock that tests move."""

import asyncio
import itertools
import logging
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import structlog
from sqlalchemy import delete

from dockbell.domain import ids
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


@pytest.fixture
def own_logging() -> Iterator[None]:
    """For what sets up logging for its process, which other tests share: everything is as before afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
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


def _wait(work: Coroutine[None, None, None]) -> None:
    """Run to the end on a loop of its own: a session's fixture may be asked for while a test's loop runs."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


async def _migrate(url: str) -> None:
    store = _template_store(url)
    await migrate(store)
    await store.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.db"
    _wait(_migrate(f"sqlite:///{path}"))
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
def postgresql_database() -> Iterator[str]:
    """The address of this process's own database, migrated. Tests use it one after another."""
    name = f"dockbell_test_{os.getpid()}"
    _wait(_administer(f"CREATE DATABASE {name}"))
    _wait(_migrate(_database(name)))
    yield _database(name)
    _wait(_administer(f"DROP DATABASE {name} WITH (FORCE)"))


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
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a fresh, migrated database; the test runs once on each kind."""
    if request.param == "sqlite":
        path = tmp_path / "dockbell.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = request.getfixturevalue("postgresql_database")
    yield url
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_EMPTY)
    finally:
        await connection.close()


@pytest.fixture
async def store(
    database_url: str, clock: SetClock, new_id: ids.NewId, seal: Seal
) -> AsyncIterator[Store]:
    opened = Store.open(database_url, clock=clock, new_id=new_id, seal=seal)
    yield opened
    await opened.close()
