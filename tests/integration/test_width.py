"""How much is sent at once: to one host, and by a process that has no more sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from dockbell.domain.methods import Headers, Reply, UnreachableError
from dockbell.domain.outcomes import Exchange
from dockbell.domain.posts import Post
from dockbell.domain.tls import Tls
from dockbell.engine.retry import Policy
from dockbell.net.failures import OUT_OF_SOCKETS
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, record, running, until
from tests.receiver import Receiver

PATIENT = Policy(waits=(timedelta(hours=1),) * 3, jitter=0.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


async def test_a_host_gets_no_more_at_once_than_an_operator_allows(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    for number in range(8):
        await add(store, receiver.url(f"/{number}"))
    async with Receiver() as other, running(store, clock, most_of_host=3):
        await add(store, other.url())
        await record(store, clock)
        await receiver.wait_for(3)
        await other.wait_for(1)
        await until(lambda: queues.rows(store, held_by(receiver)))
        at_once = len(receiver.requests)
        may_answer.set()

        async def are_all_there() -> bool:
            clock.move(milliseconds=100)
            return set((await queues.states(store)).values()) == {"delivered"}

        await until(are_all_there)

    assert (at_once, len(receiver.requests)) == (3, 8)
    tries = await queues.rows(store, select(t.deliveries.c.tries, t.deliveries.c.attempts))
    assert set(tries) == {(1, 1)}
    await queues.assert_lanes_are_right(store)


def held_by(receiver: Receiver) -> object:
    return select(t.lanes.c.id).where(t.lanes.c.held_by == f"127.0.0.1:{receiver.port}")


class Scarce:
    """A way out with so many sockets, whose tries last until `answer`."""

    def __init__(self, sockets: int) -> None:
        self.sockets = sockets
        self.waiting: list[Callable[[Reply | Exception], None]] = []
        self.begun: list[str] = []

    def begin(
        self, post: Post, done: Callable[[Reply | Exception], None], tls: Tls | None = None
    ) -> asyncio.Handle:
        del tls
        loop = asyncio.get_running_loop()
        if len(self.waiting) < self.sockets:
            self.waiting.append(done)
            self.begun.append(post.url)
            return loop.call_soon(int)
        code, detail, fault = OUT_OF_SOCKETS
        return loop.call_soon(done, UnreachableError(code, detail, fault=fault))

    def answer(self) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(Reply(Exchange(status=200)))

    async def post(
        self, url: str, body: bytes, headers: Headers = (), *, tls: Tls | None = None
    ) -> Reply:
        raise NotImplementedError


async def test_a_process_that_runs_out_of_sockets_tries_fewer_at_once_and_loses_nothing(
    store: Store, clock: SetClock
) -> None:
    way = Scarce(sockets=4)
    one = await add(store, "https://hooks.test/a")
    with capture_logs() as lines:
        async with running(
            store, clock, outbound=way, policy=PATIENT, concurrency=32
        ) as engine:
            async with store.begin() as tx:
                for _ in range(32):
                    await queues.record(tx, [one.id])
            clock.move(seconds=1)
            engine.ring()

            async def is_short() -> bool:
                return any(line["event"].startswith("out of sockets") for line in lines)

            await until(is_short)
            way.sockets = 100
            way.begun.clear()
            clock.move(hours=1)
            engine.ring()

            async def are_some_begun() -> bool:
                return bool(way.begun)

            await until(are_some_begun)
            await queues.assert_lanes_are_right(store)
            at_once = len(way.begun)

            async def are_all_there() -> bool:
                way.answer()
                return set((await queues.states(store)).values()) == {"delivered"}

            await until(are_all_there)

    assert at_once <= 20  # and not 28
    tries = await queues.rows(store, select(t.deliveries.c.tries, t.deliveries.c.attempts))
    assert sorted(set(tries)) == [(1, 1), (1, 2)]
