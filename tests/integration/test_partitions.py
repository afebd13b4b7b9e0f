"""A network that parts a worker from its PostgreSQL, and somebody who keeps an old snapshot: others go on."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit

import asyncpg
import pytest

from dockbell.domain import ids
from dockbell.store import backlog
from dockbell.store.seals import Seal
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, record, running, until, until_states
from tests.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


class Cable:
    """The way to a server. While it is `cut`, nothing passes either way and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(*self._there)
        try:
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            back.close()
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            await self._whole.wait()
            writer.write(piece)
            await writer.drain()
        writer.close()


async def test_a_worker_parted_from_its_database_sends_nothing_more_and_others_take_over(
    database_url: str,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    new_id: ids.NewId,
    seal: Seal,
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite is a file")
    for number in range(10):
        await add(store, receiver.url(f"/{number}"))
    parts = urlsplit(database_url)
    async with Cable(parts.hostname or "", parts.port or 0) as cable:
        by_cable = f"postgresql://postgres@127.0.0.1:{cable.port}{parts.path}"
        parted = Store.open(by_cable, clock=clock, new_id=new_id, seal=seal)
        may_answer = asyncio.Event()
        receiver.answer(wait=may_answer)
        async with running(parted, clock, worker="parted", drain_within=0.5):
            await record(store, clock)
            await receiver.wait_for(10)
            cable.cut()
            may_answer.set()
            receiver.answer()
            await record(store, clock)  # news, of which the parted one gets nothing
            clock.move(seconds=120)

            async with running(store, clock, worker="other") as other:
                await other.rescue()
                other.ring()
                await until_states(store, *["delivered"] * 20)
            cable.mend()
            await until(lambda: are_all_written_down(store))
        await parted.close()

    sends = Counter(one.header("webhook-id") for one in receiver.requests)
    assert (len(sends), max(sends.values())) == (20, 2)  # those that were under way, once more
    assert sum(sends.values()) <= 30
    assert set((await queues.states(store)).values()) == {"delivered"}
    await queues.assert_lanes_are_right(store)


async def are_all_written_down(store: Store) -> bool:
    """Whether the parted worker's tries are in the log, late as they are."""
    found = [
        attempt
        for delivery in await queues.states(store)
        for attempt in await queues.attempts(store, delivery)
    ]
    return len(found) >= 30


async def test_an_old_snapshot_elsewhere_slows_no_lease(
    database_url: str, store: Store, clock: SetClock
) -> None:
    """It keeps every dead row from being cleared away, so that a queue in a table could get slower and slower."""
    if store.is_sqlite:
        pytest.skip("SQLite has no such sessions")
    (one,) = await queues.prepare(store)
    idle = await asyncpg.connect(database_url)
    try:
        async with idle.transaction(isolation="repeatable_read"):
            await idle.fetchval("SELECT count(*) FROM deliveries")
            took = [await work_off(store, one, 50) for _ in range(24)]
            async with store.read() as tx:
                open_for = await backlog.oldest_transaction(tx)
    finally:
        await idle.close()

    first, last = sorted(took[:8])[4], sorted(took[-8:])[4]
    assert set((await queues.states(store)).values()) == {"delivered"}
    assert last < 4 * first + 0.05
    assert open_for.total_seconds() > sum(took)


async def work_off(store: Store, notification_id: str, count: int) -> float:
    """Record and settle so many; the seconds that the lease took."""
    async with store.begin() as tx:
        for _ in range(count):
            await queues.record(tx, [notification_id])
    began = time.perf_counter()
    orders = await queues.lease(store)
    took = time.perf_counter() - began
    await queues.settle(store, [queues.result_of(order) for order in orders])
    while orders := await queues.lease(store):
        await queues.settle(store, [queues.result_of(order) for order in orders])
    return took
