"""A busy target never gets more at once than its lane has places, though more is leased, and nothing of it is lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from dockbell.domain.deliveries import PauseReason
from dockbell.engine.retry import Policy
from dockbell.store import deliveries, notifications
from dockbell.store import tables as t
from dockbell.store.lanes import WIDTH
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import INTAKE, add, push, running, until
from tests.receiver import Answer, Received, Receiver

MANY = 6 * WIDTH
PATIENT = Policy(waits=(timedelta(hours=1),) * 3, jitter=0.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


async def fill(store: Store, clock: SetClock, url: str) -> None:
    await add(store, url)
    async with store.begin() as tx:
        await INTAKE.record_many(tx, [push(clock, str(number)) for number in range(MANY)])


async def count(store: Store, state: str) -> int:
    query = select(func.count()).select_from(t.deliveries).where(t.deliveries.c.state == state)
    return int((await queues.rows(store, query))[0][0])


def most_at_once(spans: list[tuple[float, float]]) -> int:
    changes = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    under_way = most = 0
    for _, change in changes:
        under_way += change
        most = max(most, under_way)
    return most


async def test_a_busy_lane_keeps_to_its_places(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    receiver.answer(status=204, wait=0.01)
    await fill(store, clock, receiver.url())
    async with running(store, clock, concurrency=256):

        async def are_all_there() -> bool:
            return await count(store, "delivered") == MANY

        await until(are_all_there, within=20)

    assert len(receiver.requests) == MANY
    assert len({one.header("webhook-id") for one in receiver.requests}) == MANY
    # What came together was at most a lane's width: an answer takes 10 ms, so within less nothing new can come.
    times = sorted(one.received_at for one in receiver.requests)
    assert most_at_once([(at, at + 0.009) for at in times]) <= WIDTH
    await queues.assert_lanes_are_right(store)


async def test_a_target_that_fails_is_not_charged_for_what_was_leased_ahead(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    good = 3 * WIDTH

    def choose(request: Received) -> Answer:
        del request
        return Answer(status=204 if len(receiver.requests) <= good else 503, wait=0.01)

    receiver.answer_by(choose)
    await fill(store, clock, receiver.url())
    async with running(store, clock, concurrency=256, policy=PATIENT):

        async def has_failed() -> bool:
            query = select(func.count()).select_from(t.breakers)
            return bool((await queues.rows(store, query))[0][0])

        await until(has_failed, within=20)

        async def is_at_rest() -> bool:
            return await count(store, "sending") == 0

        await until(is_at_rest, within=20)
    tried = select(func.count(), func.sum(t.deliveries.c.attempts)).where(
        t.deliveries.c.attempts > 0
    )
    assert (await queues.rows(store, tried))[0] == (len(receiver.requests),) * 2
    assert good < len(receiver.requests) < MANY
    assert await count(store, "waiting") == MANY - await count(store, "delivered")
    await queues.assert_lanes_are_right(store)


async def test_what_was_leased_ahead_is_handed_back_at_the_end(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    receiver.answer(status=204, wait=0.02)
    await fill(store, clock, receiver.url())
    async with running(store, clock, concurrency=256):
        await receiver.wait_for(2 * WIDTH)
    assert await count(store, "sending") == 0
    assert await count(store, "delivered") == len(receiver.requests)
    assert await count(store, "waiting") == MANY - len(receiver.requests)
    await queues.assert_lanes_are_right(store)
    async with running(store, clock, concurrency=256, worker="w2"):
        await receiver.wait_for(MANY, within=20)

        async def are_all_there() -> bool:
            return await count(store, "delivered") == MANY

        await until(are_all_there)
    assert len({one.header("webhook-id") for one in receiver.requests}) == MANY


async def test_a_pause_meets_no_more_than_what_is_under_way_once_a_target_is_slow(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    quick = 4 * WIDTH

    def choose(request: Received) -> Answer:
        del request
        is_quick = len(receiver.requests) < quick
        return Answer(status=204, wait=0.01 if is_quick else gate)

    receiver.answer_by(choose)
    await fill(store, clock, receiver.url())
    async with running(store, clock, concurrency=256):
        await receiver.wait_for(quick + WIDTH, within=20)
        async with store.begin() as tx:
            found = (await tx.rows(select(t.notifications.c.id)))[0]
            await notifications.pause(tx, found.id, PauseReason.PERSON)
            await deliveries.pause(tx, found.id)

        async def is_only_under_way() -> bool:
            return await count(store, "sending") == WIDTH

        await until(is_only_under_way, within=10)
        gate.set()

        async def is_at_rest() -> bool:
            return await count(store, "sending") == 0

        await until(is_at_rest, within=10)
        assert len(receiver.requests) == quick + WIDTH
    await queues.assert_lanes_are_right(store)
