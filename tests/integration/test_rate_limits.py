"""A notification with a rate limit gets no more than that, from all processes together, and is charged for nothing."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from dockbell.domain.deliveries import Trigger
from dockbell.store import tables as t
from dockbell.store import throttles
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, running, until
from tests.receiver import Receiver

RATE = 10


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


async def fill(store: Store, clock: SetClock, receiver: Receiver, count: int) -> str:
    """A notification with that rate limit, for which so many are due."""
    notification = await add(store, receiver.url("/slow"))
    await set_rate(store, notification.id, RATE)
    async with store.begin() as tx:
        for _ in range(count):
            await queues.record(tx, [notification.id])
    clock.move(seconds=1)
    return notification.id


async def set_rate(store: Store, notification_id: str, rate: float | None) -> None:
    async with store.begin() as tx:
        await tx.run(
            update(t.notifications)
            .where(t.notifications.c.id == notification_id)
            .values(rate_limit=rate, updated_at=tx.now + timedelta(seconds=rate or 0))
        )


async def is_resting(store: Store) -> bool:
    """Whether nothing is under way and the next has to wait."""
    sending = select(t.lanes.c.id).where(t.lanes.c.inflight > 0)
    held = select(t.lanes.c.held_by).where(t.lanes.c.held_until > store._clock())
    return not await queues.rows(store, sending) and await queues.rows(store, held) == [
        (throttles.PACED,)
    ]


@pytest.mark.parametrize("processes", [1, 3])
async def test_all_processes_together_keep_the_rate(
    store: Store, clock: SetClock, receiver: Receiver, processes: int
) -> None:
    if processes > 1 and store.is_sqlite:
        pytest.skip("SQLite has one process that delivers")
    await fill(store, clock, receiver, 3 * RATE)

    came = []
    async with contextlib.AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(running(store, clock, worker=f"w{number}"))
            for number in range(processes)
        ]
        for _ in range(3):
            await receiver.wait_for((len(came) + 1) * RATE)
            await until(lambda: is_resting(store))
            came.append(len(receiver.requests))
            clock.move(seconds=1)
            for engine in engines:
                engine.ring()

    assert came == [RATE, 2 * RATE, 3 * RATE]
    found = await queues.rows(store, select(t.deliveries.c.tries, t.deliveries.c.attempts))
    assert set(found) == {(1, 1)}
    await queues.assert_lanes_are_right(store)


async def test_a_lower_limit_counts_from_the_next_time_on(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    notification_id = await fill(store, clock, receiver, 2 * RATE)
    async with running(store, clock) as engine:
        await receiver.wait_for(RATE)
        await until(lambda: is_resting(store))
        await set_rate(store, notification_id, 2)
        clock.move(seconds=1)
        engine.ring()
        await receiver.wait_for(RATE + 2)
        await until(lambda: is_resting(store))

    assert len(receiver.requests) == RATE + 2


async def test_others_and_tests_do_not_wait_for_a_limit(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    notification_id = await fill(store, clock, receiver, 2 * RATE)
    async with Receiver() as quick, running(store, clock):
        await receiver.wait_for(RATE)
        await until(lambda: is_resting(store))
        other = await add(store, quick.url("/quick"))
        async with store.begin() as tx:
            await queues.record(tx, [notification_id], Trigger.TEST)
            for _ in range(3 * RATE):
                await queues.record(tx, [other.id])
        clock.move(milliseconds=100)
        await quick.wait_for(3 * RATE)
        await receiver.wait_for(RATE + 1)

    assert len(receiver.requests) == RATE + 1
