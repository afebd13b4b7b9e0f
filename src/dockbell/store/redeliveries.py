"""Sending again and calling off, as people ask for it: the changes of a delivery that no try makes."""

from sqlalchemy import select, update

from dockbell.domain.deliveries import State, Trigger
from dockbell.store import lanes, locks, sequences
from dockbell.store.tables import deliveries, notifications
from dockbell.store.transactions import Tx


async def hold_notification(tx: Tx, notification_id: str) -> bool | None:
    """Keep the notification from being deleted until this transaction ends; return whether it is paused.

    None if it is gone. Call it before anything of its deliveries is changed: that is the order in which
    a deletion takes them too, so that neither waits for the other in a circle.
    """
    row = await tx.first(
        select(notifications.c.paused_at)
        .where(notifications.c.id == notification_id)
        .with_for_update(key_share=True)
    )
    return None if row is None else row.paused_at is not None


async def redeliver(
    tx: Tx, delivery_id: str, notification_id: str, trigger: Trigger, key: str | None
) -> bool:
    """Make the delivery due now with a new series of tries; a try that was planned for later is dropped by it.

    Return False, with nothing changed, if it is being sent, or if the last redelivery had the same `key`.
    A test stays a test: it is tried once, and never counts against its notification. One of a notification that is
    sent in order goes out before those of later events.
    """
    is_test = trigger is Trigger.TEST
    is_ordered = not is_test and bool(await sequences.find(tx, [notification_id]))
    lane_of = lanes.lane_of_tests if is_test else lanes.lane_of_redeliveries
    lane_id = notification_id if is_ordered else lane_of(notification_id)
    if is_ordered:
        await locks.hold_lanes(tx, notification_id)
    else:
        await lanes.touch(
            tx,
            [(lane_id, notification_id, False)],
            tx.now,
            width=lanes.TEST_WIDTH if is_test else lanes.REDELIVERY_WIDTH,
        )
    # One statement decides. A lease or a second click that runs at the same time is seen by its condition.
    is_free = deliveries.c.state != State.SENDING.value
    if key is not None:
        is_free &= deliveries.c.request_key.is_distinct_from(key)
    changed = await tx.run(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, is_free)
        .values(
            state=State.WAITING.value,
            trigger=(Trigger.TEST if is_test else Trigger.REDELIVER).value,
            lane_id=lane_id,
            tries=0,
            attempts_before=deliveries.c.attempts,
            interruptions=0,
            due_at=sequences.place(tx) if is_ordered else tx.now,
            finished_at=None,
            request_key=key,
        )
    )
    if changed == 0:
        return False
    if is_ordered:
        await sequences.serve(tx, [lane_id])
    tx.ring()
    return True


async def set_key(tx: Tx, delivery_id: str, key: str) -> None:
    """Note the key of the request that made the delivery."""
    await tx.run(
        update(deliveries).where(deliveries.c.id == delivery_id).values(request_key=key)
    )


async def cancel(tx: Tx, delivery_id: str) -> bool:
    """Call the delivery off; return False, with nothing changed, if it does not wait."""
    changed = await tx.run(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.state == State.WAITING.value)
        .values(state=State.CANCELLED.value, finished_at=tx.now)
    )
    return changed == 1
