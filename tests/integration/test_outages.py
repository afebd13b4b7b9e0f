"""A database that is away, busy or at odds with itself: 503 in the API's own shape, or nothing to be seen at all."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import column, event, select
from structlog.testing import capture_logs

from dockbell.domain import ids
from dockbell.domain.errors import UnavailableError, UndoneError
from dockbell.store import tables as t
from dockbell.store.failures import is_passing
from dockbell.store.seals import Seal
from dockbell.store.transactions import OrphanError, Store
from tests import hub, world
from tests.accounts import said
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import Hub
from tests.world import PUBLIC_URL, World

BOSS_SCOPES = "repo:create repo:admin org:admin user:admin"
AWAY = "The database cannot be reached."
CONTENDED = "Others changed the same at the same moment. Try again."


def unavailable(detail: str) -> dict[str, object]:
    return {
        "detail": detail,
        "error_message": detail,
        "error_type": "unavailable",
        "title": "unavailable",
        "type": f"{PUBLIC_URL}/api/v1/error/unavailable",
        "status": 503,
    }


@pytest.fixture(params=["sqlite", "postgresql"])
async def away(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: SetClock,
    new_id: ids.NewId,
    seal: Seal,
) -> AsyncIterator[Store]:
    """A store whose database is not there: a closed port, a folder that does not exist."""
    url = {
        "sqlite": f"sqlite:///{tmp_path}/nowhere/x.db",
        "postgresql": "postgresql://postgres:hunter2@127.0.0.1:1/postgres",
    }[request.param]
    opened = Store.open(url, clock=clock, new_id=new_id, seal=seal)
    yield opened
    await opened.close()


@pytest.fixture
async def people(store: Store) -> World:
    return await world.open_world(store)


@pytest.fixture
async def shop(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await hub.open_hub(store, tmp_path / "registry", clock)


# What the store makes of an error


async def test_an_unknown_parent_is_an_orphan_error(store: Store) -> None:
    with pytest.raises(OrphanError):
        async with store.begin() as tx:
            await tx.run(t.users.insert().values(namespace_id="ns_nobody"))


@pytest.mark.parametrize("is_hot", [True, False])
async def test_a_mistake_of_ours_does_not_pass(store: Store, *, is_hot: bool) -> None:
    caught: list[Exception] = []

    try:
        async with store.begin() as tx:
            if is_hot:
                await tx.hot("SELECT * FROM nothing")
            else:
                await tx.rows(select(column("no_such_column")).select_from(t.users))
    except Exception as error:  # noqa: BLE001 -- which one differs, what it is not is the question
        caught.append(error)

    assert [(isinstance(one, UnavailableError), is_passing(one)) for one in caught] == [
        (False, False)
    ]


async def test_an_error_of_the_work_inside_is_not_taken_for_the_databases(store: Store) -> None:
    with pytest.raises(FileNotFoundError):
        async with store.begin() as tx, tx.nested():
            raise FileNotFoundError


async def test_a_connection_that_is_ended_undoes_the_work(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no connection that somebody else could end")

    with pytest.raises(UndoneError):
        async with store.begin() as tx:
            async with store.begin() as other:
                await _end_others(other)
            await tx.first(select(t.users))

    async with store.read() as tx:
        assert await tx.rows(select(t.users)) == []


async def _end_others(tx: Any) -> None:
    await tx.hot(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def test_a_connection_that_is_ended_at_the_commit_leaves_it_open(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no connection that somebody else could end")

    with pytest.raises(UnavailableError) as caught:
        async with store.begin() as tx:
            await tx.first(select(t.users))
            async with store.begin() as other:
                await _end_others(other)

    assert type(caught.value) is UnavailableError


async def test_one_of_two_in_a_deadlock_is_undone(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer")
    await world.open_world(store)
    both_hold = asyncio.Barrier(2)

    async def cross(first: str, second: str) -> str:
        try:
            async with store.begin() as tx:
                await _rename(tx, first)
                await both_hold.wait()
                await _rename(tx, second)
        except UndoneError as error:
            return error.detail
        return "done"

    said_by_both = await asyncio.gather(
        cross("ns_boss", "ns_admin"), cross("ns_admin", "ns_boss")
    )

    assert sorted(said_by_both) == [CONTENDED, "done"]


async def _rename(tx: Any, namespace_id: str) -> None:
    await tx.run(
        t.namespaces.update().where(t.namespaces.c.id == namespace_id).values(email="x@y.test")
    )


async def test_an_exhausted_pool_is_unavailable(
    store: Store, database_url: str, clock: SetClock, new_id: ids.NewId, seal: Seal
) -> None:
    if store.is_sqlite:
        pytest.skip("On SQLite those who write take turns, and reading is short")
    small = Store.open(
        database_url, clock=clock, new_id=new_id, seal=seal, pool_size=1, pool_seconds=0.1
    )

    async with small.begin(), small.read():  # as many as the pool and its overflow hold
        with pytest.raises(UnavailableError) as caught:
            async with small.read() as other:
                await other.first(select(t.users))
    await small.close()

    assert caught.value.detail == "The database is too busy. Try again soon."


# What callers are told


async def test_the_api_answers_503_while_the_database_is_away(
    away: Store, people: World
) -> None:
    client = Client(world.app_of(away, people.faces), token="a" * 40)

    with capture_logs() as lines:
        answers = [
            await client.get("/api/v1/user/"),
            await client.post("/api/v1/organization/", {"name": "new"}),
        ]

    assert [(*said(answer), answer.headers["retry-after"]) for answer in answers] == [
        (503, unavailable(AWAY), "5")
    ] * 2
    warnings = [line for line in lines if line["event"] == "request cannot be served now"]
    assert [(line["log_level"], line["reason"]) for line in warnings] == [("warning", AWAY)] * 2
    assert "hunter2" not in repr(lines)


async def test_the_registry_answers_503_while_the_database_is_away(
    away: Store, shop: Hub
) -> None:
    client = await shop.client()
    shop.registry._parts = _parts_on(shop, away)

    with capture_logs() as lines:
        answers = [
            await client.get("/v2/acme/web/tags/list"),
            await client.post("/v2/acme/web/blobs/uploads/"),
        ]

    assert [
        (answer.status, hub.errors_of(answer), answer.headers["retry-after"])
        for answer in answers
    ] == [(503, [("UNAVAILABLE", AWAY)], "5")] * 2
    warnings = [line for line in lines if line["event"] == "request cannot be served now"]
    assert [(line["log_level"], line["reason"]) for line in warnings] == [("warning", AWAY)] * 2


def _parts_on(shop: Hub, store: Store) -> Any:
    return replace(shop.registry._parts, begin=store.begin, read=store.read)


async def test_a_locked_file_is_503(people: World, database_url: str) -> None:
    if not people.store.is_sqlite:
        pytest.skip("only SQLite locks its whole file")
    client = await people.client("boss", BOSS_SCOPES)
    async with people.store.begin() as tx:
        await tx.hot("PRAGMA busy_timeout = 50")
    stranger = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")

    busy = await client.post("/api/v1/organization/", {"name": "new"})
    stranger.execute("ROLLBACK")
    stranger.close()
    free = await client.post("/api/v1/organization/", {"name": "new"})

    assert said(busy) == (503, unavailable("The database is too busy. Try again soon."))
    assert said(free) == (201, "Created")


async def test_readiness_tells_why_not(away: Store, people: World) -> None:
    client = Client(world.app_of(away, people.faces))

    answer = await client.get("/readyz")

    assert said(answer) == (503, {"status": "not ready", "reasons": {"database": AWAY}})


# Doing it again


class Faults:
    """Has PostgreSQL itself fail one statement: the one of this number, so many times."""

    def __init__(self, store: Store) -> None:
        self.number = 0  # of the next statement, from 1
        self.at = 0
        self.state = "40P01"
        self.left = 0
        event.listen(store.engine.sync_engine, "before_cursor_execute", self._count)
        self._engine = store.engine.sync_engine

    def arm(self, at: int, times: int, state: str = "40P01") -> None:
        self.number, self.at, self.left, self.state = 0, at, times, state

    def _count(self, connection: Any, cursor: Any, *rest: Any) -> None:
        del connection, rest
        self.number += 1
        if self.number == self.at and self.left:
            self.left -= 1
            self.number = 0
            cursor.execute(f"DO $$ BEGIN RAISE SQLSTATE '{self.state}'; END $$")

    def end(self) -> None:
        event.remove(self._engine, "before_cursor_execute", self._count)


@pytest.fixture
def faults(store: Store) -> Iterator[Faults]:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer: nothing is undone for the sake of another")
    made = Faults(store)
    yield made
    made.end()


async def everywhere(faults: Faults, state: str, work: Callable[[int], Any]) -> list[Any]:
    """The answers to the same work, undone once at its first statement, then at its second, and so on to its last."""
    answers = []
    for at in range(1, 200):
        faults.arm(at, 1, state)
        answers.append(await work(at))
        if faults.left:
            faults.arm(0, 0)
            return answers
    raise AssertionError("it never ends")


@pytest.mark.parametrize("state", ["40P01", "40001", "57P01"])
async def test_a_call_that_is_undone_at_any_statement_succeeds(
    people: World, faults: Faults, state: str
) -> None:
    client = await people.client("boss", BOSS_SCOPES)

    async def create(number: int) -> Any:
        return said(await client.post("/api/v1/organization/", {"name": f"org{number}"}))

    answers = await everywhere(faults, state, create)

    async with people.store.read() as tx:
        kept = await tx.rows(
            select(t.namespaces.c.name, t.teams.c.name)
            .join(t.teams, t.teams.c.namespace_id == t.namespaces.c.id)
            .where(t.namespaces.c.name.startswith("org"))
        )
    assert answers == [(201, "Created")] * len(answers)
    assert len(answers) > 5
    assert sorted(tuple(row) for row in kept) == sorted(
        (f"org{number}", "owners") for number in range(1, len(answers) + 1)
    )


async def test_a_push_that_is_undone_at_any_statement_succeeds(
    shop: Hub, faults: Faults
) -> None:
    client = await shop.client()
    config = b"{}"
    await hub.push_blob(client, config)
    image = hub.image(config)

    async def push(number: int) -> int:
        return (await hub.push_manifest(client, image, f"v{number}")).status

    answers = await everywhere(faults, "40P01", push)

    assert answers == [201] * len(answers)
    assert len(answers) > 5
    async with shop.store.read() as tx:
        events = await tx.rows(select(t.events.c.id))
        tags = await tx.rows(select(t.tags.c.name))
    assert (len(events), len(tags)) == (len(answers), len(answers))


async def test_a_call_that_is_undone_again_and_again_is_503(
    people: World, faults: Faults
) -> None:
    client = await people.client("boss", BOSS_SCOPES)
    faults.arm(2, 99)

    answer = await client.post("/api/v1/organization/", {"name": "new"})

    faults.arm(0, 0)
    assert said(answer) == (503, unavailable(CONTENDED))
    assert answer.headers["retry-after"] == "5"


async def test_a_full_disk_is_503_at_once(people: World, faults: Faults) -> None:
    client = await people.client("boss", BOSS_SCOPES)
    faults.arm(2, 99, "53100")

    answer = await client.post("/api/v1/organization/", {"name": "new"})

    tried = 99 - faults.left
    faults.arm(0, 0)
    assert (*said(answer), tried) == (503, unavailable("The database has no room left."), 1)


async def test_a_mistake_of_ours_is_500_at_once(people: World, faults: Faults) -> None:
    client = await people.client("boss", BOSS_SCOPES)
    faults.arm(2, 99, "42P01")

    answer = await client.post("/api/v1/organization/", {"name": "new"})

    tried = 99 - faults.left
    faults.arm(0, 0)
    assert (answer.status, answer.json()["error_type"], tried) == (500, "internal_error", 1)
