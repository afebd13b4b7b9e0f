"""The count of the queue on both databases."""

from datetime import timedelta

import pytest

from dockbell.store import backlog, breakers, deliveries, lanes
from dockbell.store.backlog import Backlog
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock


async def test_an_empty_queue_counts_nothing(store: Store) -> None:
    async with store.read() as tx:
        found = await backlog.count(tx)

    assert found == Backlog(
        {"due": 0, "later": 0, "held": 0, "parked": 0, "sending": 0}, None, 0, 0, 0
    )


async def test_what_waits_is_counted_by_why_it_waits(store: Store, clock: SetClock) -> None:
    begun = clock()
    due, later, held, parked, sending = await queues.prepare(store, 5)
    async with store.begin() as tx:
        await queues.record(tx, [sending, later])
    orders = {one.notification_id: one for one in await queues.lease(store)}
    await queues.settle(store, [queues.again(orders[later], clock() + timedelta(hours=1))])
    async with store.begin() as tx:
        await queues.record(tx, [due])
        await queues.record(tx, [due, held, parked])
        await deliveries.pause(tx, parked)
        await breakers.open_for(tx, "down.test:443", "http_5xx", tx.now + timedelta(hours=1))
        await lanes.hold(tx, {held: tx.now + timedelta(hours=1)}, "down.test:443")
    clock.move(seconds=90)

    async with store.read() as tx:
        found = await backlog.count(tx)

    assert found == Backlog(
        pending={"due": 2, "later": 1, "held": 1, "parked": 1, "sending": 1},
        oldest_due_at=begun,
        breakers_open=1,
        lanes_held=1,
        lanes_paused=1,
    )


async def test_a_long_queue_is_counted_only_so_far(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.add_backlog(tx, notification, 12)
    monkeypatch.setattr(backlog, "MOST_COUNTED", 10)

    async with store.read() as tx:
        found = await backlog.count(tx)

    assert found.pending["due"] == 10
