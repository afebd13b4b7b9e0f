"""An event that is recorded while a notification that wants it is deleted: what is left in the end, on both databases."""

import asyncio

from sqlalchemy import select

from dockbell.store import deliveries, locks, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.engines import INTAKE, add, push, running, until_states
from tests.queues import assert_lanes_are_right, rows, states
from tests.receiver import Receiver


async def delete(store: Store, notification_id: str) -> None:
    """As `services.notifications` does it."""
    async with store.begin() as tx:
        await notifications.delete(tx, notification_id)
        await locks.hold_lanes(tx, notification_id)
        await deliveries.cancel_for(tx, notification_id)


async def test_a_delivery_made_while_its_notification_goes_ends_cancelled_and_is_never_sent(
    store: Store, clock: SetClock
) -> None:
    async with Receiver() as target:
        gone = await add(store, target.url("/gone"))
        await add(store, target.url("/stays"))

        async with store.begin() as tx:
            event_id = await INTAKE.record(tx, push(clock))
            deleting = asyncio.create_task(delete(store, gone.id))
            # On PostgreSQL the deletion is over first and does not see the delivery; on SQLite it waits for its turn.
            await asyncio.wait([deleting], timeout=0.5)
            was_first = deleting.done()
        await deleting
        before = sorted((await states(store)).values())
        async with running(store, clock):
            await until_states(store, "cancelled", "delivered")
        received = await target.wait_for(1)

    assert was_first is not store.is_sqlite
    assert before == (["cancelled", "waiting"] if store.is_sqlite else ["waiting", "waiting"])
    assert [one.path for one in received] == ["/stays"]
    ended = select(
        t.deliveries.c.notification_id, t.deliveries.c.event_id, t.deliveries.c.finished_at
    ).where(t.deliveries.c.state == "cancelled")
    assert await rows(store, ended) == [(gone.id, event_id, clock())]
    assert await rows(store, select(t.attempts.c.number)) == [(1,)]
    await assert_lanes_are_right(store)


async def test_a_deletion_that_comes_first_leaves_nothing_to_deliver(
    store: Store, clock: SetClock
) -> None:
    gone = await add(store, "http://127.0.0.1:9/gone")

    await delete(store, gone.id)
    async with store.begin() as tx:
        await INTAKE.record(tx, push(clock))

    assert await states(store) == {}
