"""Throttles: lanes whose target asked for time, or that have a rate limit. Nothing of them is leased meanwhile, and no try is charged for it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, or_, select, update

from dockbell.store import lanes as store
from dockbell.store.tables import lanes
from dockbell.store.transactions import Tx

# Stands in `held_by`, where the name of a host would be: a breaker that closes does not let these lanes go.
ASKED = "retry-after"
PACED = "rate-limit"


async def hold(tx: Tx, until: Mapping[str, datetime], why: str = ASKED) -> None:
    """Lease nothing of these notifications before then, tests apart; a lane that is held for longer stays so."""
    until_of = {
        lane_id: moment
        for notification_id, moment in until.items()
        for lane_id in store.lanes_of(notification_id)
    }
    if not until_of:
        return
    # Some are locked by this transaction already. For another one it must not wait, or two could wait in a circle.
    free = await tx.rows(
        select(lanes.c.id)
        .where(lanes.c.id.in_(until_of))
        .order_by(lanes.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    if not free:
        return
    await tx.run(
        update(lanes)
        .where(
            lanes.c.id == bindparam("of_id"),
            or_(lanes.c.held_until.is_(None), lanes.c.held_until < bindparam("of_moment")),
        )
        .values(held_until=bindparam("of_moment"), held_by=why),
        [{"of_id": row.id, "of_moment": until_of[row.id]} for row in free],
    )


async def lift(tx: Tx, notification_id: str) -> None:
    """Serve the notification again though it is held: somebody has seen to its target, or set another one or another rate.

    Where a breaker is open, the next lease holds it again.
    """
    await tx.run(
        update(lanes)
        .where(lanes.c.id.in_(store.lanes_of(notification_id)), lanes.c.held_by.is_not(None))
        .values(held_until=None, held_by=None)
    )
    tx.ring()
