"""Everything at once: pushes, deliveries and management on the same few rows, for a bounded while."""

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, exists, func, select

from dockbell import events, methods
from dockbell.engine.engine import Engine
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import hub, queues, world
from tests.accounts import said
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.factories import LINKS
from tests.hub import Hub
from tests.receiver import Receiver

SCOPES = "repo:create repo:admin org:admin user:admin super:user"
ROUNDS = 6


@pytest.fixture
def deadlocks(store: Store) -> Iterator[list[str]]:
    """The statements that PostgreSQL ended because they waited in a circle."""
    found: list[str] = []

    def note(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            found.append(context.statement)

    event.listen(store.engine.sync_engine, "handle_error", note)
    yield found
    event.remove(store.engine.sync_engine, "handle_error", note)


@pytest.fixture
async def shop(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await hub.open_hub(store, tmp_path / "registry", clock)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@contextlib.asynccontextmanager
async def delivering(store: Store, clock: SetClock, worker: str) -> AsyncIterator[None]:
    sender = Sender(EgressPolicy.of("loopback"), Resolver(), timeout=5)
    sender.start()
    engine = Engine(
        store,
        kinds=events.catalog(),
        methods=methods.catalog(),
        links=LINKS,
        outbound=sender,
        clock=clock,
        chance=random.Random(7).random,
        worker=worker,
        timeout=timedelta(seconds=5),
        concurrency=16,
    )
    await engine.start()
    try:
        yield
    finally:
        await engine.drain(within=5)
        await sender.close()


def codes(answers: list[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


async def orphans(store: Store) -> dict[str, int]:
    """Rows whose owner is gone, by table."""
    owners = [
        (t.manifest_references, t.manifest_references.c.repository_id, t.repositories.c.id),
        (t.tags, t.tags.c.repository_id, t.repositories.c.id),
        (t.notifications, t.notifications.c.repository_id, t.repositories.c.id),
        (t.permissions, t.permissions.c.repository_id, t.repositories.c.id),
        (t.teams, t.teams.c.namespace_id, t.namespaces.c.id),
        (t.robots, t.robots.c.namespace_id, t.namespaces.c.id),
        (t.deliveries, t.deliveries.c.event_id, t.events.c.id),
    ]
    found = {}
    async with store.read() as tx:
        for table, column, owner in owners:
            count = await tx.first(
                select(func.count()).select_from(table).where(~exists().where(owner == column))
            )
            assert count is not None
            if count[0]:
                found[table.name] = count[0]
    return found


async def until(condition: Callable[[], Awaitable[bool]], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("what", ["repository", "organization"])
async def test_pushes_deliveries_and_removals_at_once(
    shop: Hub,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    deadlocks: list[str],
    what: str,
) -> None:
    boss = await world.world_on(store, Open()).client("boss", SCOPES)
    pushed: list[Answer] = []
    managed: list[tuple[str, Answer]] = []
    receiver.answer(status=200)

    async def push(number: int) -> None:
        client = await shop.client("boss", "busy/web")
        for count in itertools.count():
            if is_over.is_set():
                return
            pushed.append(await _push(client, f"v{number}-{count}"))

    async def manage() -> None:
        for _ in range(ROUNDS):
            for verb, answer in await _set_up(boss, receiver.url("/hook")):
                managed.append((verb, answer))
            await receiver.wait_for(len(receiver.requests) + 1, within=20)
            path = "repository/busy/web" if what == "repository" else "organization/busy"
            both = await asyncio.gather(*(boss.delete(f"/api/v1/{path}") for _ in range(2)))
            managed.extend(("DELETE", answer) for answer in both)

    is_over = asyncio.Event()
    async with delivering(store, clock, "w1"), delivering(store, clock, "w2"):
        pushers = [asyncio.create_task(push(number)) for number in range(3)]
        await manage()
        is_over.set()
        await asyncio.gather(*pushers)

        async def is_quiet() -> bool:
            return set((await queues.states(store)).values()) <= {"delivered", "cancelled"}

        await until(is_quiet)

    assert deadlocks == []
    assert set(codes(pushed)) <= {201, 401, 403, 404}
    assert 201 in codes(pushed)
    allowed = {"POST": {201, 400}, "DELETE": {204, 403}}
    assert [
        (verb, said(answer)) for verb, answer in managed if answer.status not in allowed[verb]
    ] == []
    assert await orphans(store) == {}
    await queues.assert_lanes_are_right(store)


class Open(world.Guard):
    """Lets every address pass."""

    async def __call__(self, url: str) -> str | None:
        del url
        return None


async def _set_up(boss: Client, url: str) -> list[tuple[str, Answer]]:
    """The organization, its repository and two notifications, as far as they are not there."""
    answers = [
        await boss.post("/api/v1/organization/", {"name": "busy"}),
        await boss.post(
            "/api/v1/repository",
            {
                "namespace": "busy",
                "repository": "web",
                "visibility": "public",
                "description": "",
            },
        ),
    ]
    wanted = {
        "event": "repo_push",
        "method": "webhook",
        "config": {"url": url},
        "eventConfig": {},
    }
    path = "/api/v1/repository/busy/web/notification/"
    answers += [await boss.post(path, wanted) for _ in range(2)]
    return [("POST", answer) for answer in answers]


async def _push(client: Client, tag: str) -> Answer:
    config = b"{}"
    digest = hub.digest_of(config)
    answer = await client.post(f"/v2/busy/web/blobs/uploads/?digest={digest}", body=config)
    if answer.status != 201:
        return answer
    return await hub.push_manifest(client, hub.image(config), tag, path="busy/web")
