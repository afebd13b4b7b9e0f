"""A target that asks for time gets it: what else waits for it waits too, and is not charged for that."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from dockbell.engine.retry import Policy
from dockbell.store import tables as t
from dockbell.store import throttles
from dockbell.store.lanes import lane_of_retries
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import NOON, SetClock
from tests.engines import add, record, running, until, until_states
from tests.receiver import Receiver

POLICY = Policy(waits=(timedelta(seconds=1),) * 9, jitter=0.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


async def charged(store: Store) -> list[int]:
    found = await queues.rows(store, select(t.deliveries.c.tries).order_by(t.deliveries.c.id))
    return [row[0] for row in found]


async def held(store: Store) -> list[tuple[object, ...]]:
    statement = select(t.lanes.c.id, t.lanes.c.held_until, t.lanes.c.held_by)
    return await queues.rows(store, statement.where(t.lanes.c.held_until.is_not(None)))


@pytest.mark.parametrize("status", [429, 503])
async def test_what_waits_for_a_target_that_asks_for_time_waits_uncharged(
    store: Store, clock: SetClock, receiver: Receiver, status: int
) -> None:
    receiver.answer(status=status, headers=[("Retry-After", "120")])
    notification = await add(store, receiver.url("/a"))
    async with Receiver() as well, running(store, clock, policy=POLICY) as engine:
        await record(store, clock)
        await until(lambda: held(store))
        holding = await held(store)
        receiver.answer(status=200)
        for _ in range(3):
            await record(store, clock)
        await add(store, well.url("/b"))
        clock.move(seconds=119)
        await record(store, clock)  # for both; only the other is tried
        await well.wait_for(1)
        before = len(receiver.requests)

        clock.move(seconds=2)
        engine.ring()
        await until_states(store, *["delivered"] * 6)

    asked_at = NOON + timedelta(seconds=120)
    lanes = (notification.id, lane_of_retries(notification.id))
    assert sorted(holding) == [(one, asked_at, throttles.ASKED) for one in lanes]
    assert (before, len(receiver.requests)) == (1, 6)
    assert sorted(await charged(store)) == [1, 1, 1, 1, 1, 2]
    await queues.assert_lanes_are_right(store)


async def test_a_lane_that_is_held_for_longer_stays_so(store: Store, clock: SetClock) -> None:
    (one,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [one])
        await throttles.hold(tx, {one: clock() + timedelta(hours=1)})
        await throttles.hold(tx, {one: clock() + timedelta(minutes=1)})

    assert await held(store) == [(one, clock() + timedelta(hours=1), throttles.ASKED)]


async def test_who_sees_to_a_notification_lifts_its_hold(store: Store, clock: SetClock) -> None:
    one, other = await queues.prepare(store, 2)
    later = clock() + timedelta(hours=1)
    async with store.begin() as tx:
        await queues.record(tx, [one, other])
        await throttles.hold(tx, {one: later, other: later})
        await throttles.lift(tx, one)

    assert await held(store) == [(other, later, throttles.ASKED)]
    assert [order.notification_id for order in await queues.lease(store)] == [one]
