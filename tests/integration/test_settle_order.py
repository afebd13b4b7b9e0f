"""Several engines settle, pause and resume the same notifications, and none waits for another in a circle."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from dockbell.domain.deliveries import Order, Result
from dockbell.domain.errors import UndoneError
from dockbell.store import deliveries, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store, Tx
from tests import queues
from tests.conftest import SetClock

ENGINES = 4
NOTIFICATIONS = 12
EVENTS = 60


@pytest.fixture
async def deadlocks(store: Store) -> AsyncIterator[list[str]]:
    """What PostgreSQL undid because it waited in a circle; SQLite has one writer."""
    if store.is_sqlite:
        pytest.skip("SQLite has one writer")
    found: list[str] = []

    def note(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) == "40P01":
            found.append(context.statement)

    event.listen(store.engine.sync_engine, "handle_error", note)
    yield found
    event.remove(store.engine.sync_engine, "handle_error", note)


async def undisturbed(
    store: Store, deadlocks: list[str], work: Callable[[Tx], Awaitable[Any]]
) -> Any:
    """What the work returns, or None if it was undone."""
    try:
        async with store.begin() as tx:
            return await work(tx)
    except UndoneError as error:  # hot statements do not pass SQLAlchemy, which would tell us
        deadlocks.append(repr(error.__cause__))
        return None


async def test_engines_that_pause_and_resume_the_same_notifications(
    store: Store, deadlocks: list[str]
) -> None:
    ids = await queues.prepare(store, NOTIFICATIONS)
    chance = random.Random(1)
    is_over = asyncio.Event()

    async def resume_some() -> None:
        while not is_over.is_set():
            one = chance.choice(ids)
            await undisturbed(store, deadlocks, lambda tx, one=one: _resume(tx, one))
            await asyncio.sleep(0.005)

    async def deliver(worker: str) -> None:
        results: list[Result] = []
        while not is_over.is_set():
            ended = results
            leased = await undisturbed(
                store, deadlocks, lambda tx, ended=ended: _turn(tx, worker, ended)
            )
            results = [
                queues.dead(order) if chance.random() < 0.3 else queues.result_of(order)
                for order in leased or ()
            ]
            await asyncio.sleep(0.002)
        await queues.settle(store, results, worker=worker)

    others = [asyncio.create_task(deliver(f"w{n}")) for n in range(ENGINES)]
    others.append(asyncio.create_task(resume_some()))
    for _ in range(EVENTS):
        await undisturbed(store, deadlocks, lambda tx: queues.record(tx, ids))
    is_over.set()
    await asyncio.gather(*others)

    assert deadlocks == []
    await queues.assert_lanes_are_right(store)


async def _resume(tx: Tx, notification_id: str) -> None:
    await notifications.resume(tx, notification_id)
    await deliveries.resume(tx, notification_id)


async def _turn(tx: Tx, worker: str, ended: Sequence[Result]) -> Sequence[Order]:
    """Settle what ended and lease again, as a dispatcher does in one transaction."""
    await deliveries.settle(tx, ended, worker)
    return (await deliveries.lease(tx, worker, tx.now + timedelta(seconds=30), 24)).orders


async def test_a_late_result_waits_for_nobody_who_holds_its_delivery(
    store: Store, clock: SetClock
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer")
    (one,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [one])
    (order,) = await queues.lease(store)
    clock.move(minutes=1)
    async with store.begin() as tx:
        await deliveries.rescue(tx, lambda: 0.5)
    result = queues.result_of(order)

    async with store.begin() as holder:
        await holder.rows(select(t.deliveries.c.id).with_for_update())
        async with asyncio.timeout(5):
            meanwhile = await queues.settle(store, [result])
    afterwards = await queues.settle(store, [result])

    assert (meanwhile.deferred, afterwards.deferred) == ([result], [])
    assert await queues.attempts(store, order.delivery_id) == [
        (1, "failed", "interrupted"),
        (2, "late", "ok"),
    ]
