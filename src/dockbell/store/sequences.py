"""Sequences: notifications whose deliveries go out one at a time, in the order of their events.

News, retries and redeliveries of such a notification share one lane, which is one wide and by that known for what
it is. What waits there is due since its event; what failed keeps this place, and the lane is held until its next try
(docs/decisions/0040-ordered-notifications.md).
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, case, func, literal, or_, select, update

from dockbell.domain.deliveries import State
from dockbell.store import lanes as store
from dockbell.store import locks
from dockbell.store.tables import Moment, deliveries, lanes
from dockbell.store.transactions import Tx

_AT_ONCE = 1000


async def begin(tx: Tx, notification_id: str) -> None:
    """Keep the order of the notification's deliveries from now on. What is being sent ends as it would have."""
    width = store.ORDERED_WIDTH
    await store.add(tx, [(notification_id, notification_id, False)], tx.now, width=width)
    await _set_width(tx, notification_id, width)
    await tx.run(
        update(deliveries)
        .where(
            deliveries.c.lane_id.in_(store.lanes_of(notification_id)),
            deliveries.c.state == State.WAITING.value,
        )
        .values(lane_id=notification_id, due_at=place(tx))
    )
    await serve(tx, [notification_id])


async def end(tx: Tx, notification_id: str) -> None:
    """Send the notification's deliveries side by side again."""
    await _set_width(tx, notification_id, store.WIDTH)
    await serve(tx, [notification_id])


async def _set_width(tx: Tx, notification_id: str, width: int) -> None:
    await locks.hold_lanes(tx, notification_id)
    await tx.run(update(lanes).where(lanes.c.id == notification_id).values(max_inflight=width))


async def find(tx: Tx, lane_ids: Collection[str]) -> Collection[str]:
    """Those of the lanes in which deliveries keep their order. One query for a thousand."""
    asked, found = list(lane_ids), set()
    for first in range(0, len(asked), _AT_ONCE):
        rows = await tx.rows(
            select(lanes.c.id).where(
                lanes.c.id.in_(asked[first : first + _AT_ONCE]),
                lanes.c.max_inflight == store.ORDERED_WIDTH,
            )
        )
        found |= {row.id for row in rows}
    return found


def place(tx: Tx) -> ColumnElement[datetime]:
    """When a delivery is due that takes its place in such a lane: since it was made, whatever the clock did since."""
    made = deliveries.c.created_at
    return case((made <= tx.now, made), else_=literal(tx.now, Moment))


async def serve(tx: Tx, lane_ids: Collection[str]) -> None:
    """Send what waits first in these lanes, which are locked, without waiting for the time of its next try."""
    ours = lanes.c.id.in_(lane_ids)
    await tx.run(update(lanes).where(ours).values(next_due_at=_EARLIEST))
    await tx.run(
        update(lanes)
        .where(ours, lanes.c.held_by == store.IN_ORDER)
        .values(held_until=None, held_by=None)
    )
    tx.ring()


async def hold(tx: Tx, until: Mapping[str, datetime]) -> None:
    """Have all that waits in these lanes, which are locked, wait for the next try of the first. One held for longer stays so."""
    if not until:
        return
    await tx.run(update(lanes).where(lanes.c.id.in_(until)).values(next_due_at=_EARLIEST))
    await tx.run(
        update(lanes)
        .where(
            lanes.c.id == bindparam("of_id"),
            or_(lanes.c.held_until.is_(None), lanes.c.held_until < bindparam("of_moment")),
        )
        .values(held_until=bindparam("of_moment"), held_by=store.IN_ORDER),
        [{"of_id": lane_id, "of_moment": moment} for lane_id, moment in until.items()],
    )


async def keeps_still(tx: Tx, lane_id: str) -> bool:
    """Whether a delivery of the lane may be locked for a moment, and no later one is sent meanwhile.

    It waits for nobody: False if somebody else has such a lane just now.
    """
    if not await find(tx, [lane_id]):
        return True
    row = await tx.first(
        select(lanes.c.id)
        .where(lanes.c.id == lane_id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    return row is not None


_EARLIEST = (
    select(func.min(deliveries.c.due_at))
    .where(deliveries.c.lane_id == lanes.c.id, deliveries.c.state == State.WAITING.value)
    .scalar_subquery()
)
