"""Throttles: lanes whose target asked for time. Nothing of them is leased meanwhile, and no try is charged for it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, or_, update

from dockbell.store.tables import lanes
from dockbell.store.transactions import Tx

# Stands in `held_by`, where the name of a host would be: a breaker that closes does not let these lanes go.
ASKED = "retry-after"


async def hold(tx: Tx, until: Mapping[str, datetime]) -> None:
    """Lease nothing of these lanes before then; a lane that is held for longer stays so."""
    if until:
        await tx.run(
            update(lanes)
            .where(
                lanes.c.id == bindparam("of_id"),
                or_(lanes.c.held_until.is_(None), lanes.c.held_until < bindparam("of_moment")),
            )
            .values(held_until=bindparam("of_moment"), held_by=ASKED),
            [
                {"of_id": lane_id, "of_moment": moment}
                for lane_id, moment in sorted(until.items())
            ],
        )


async def lift(tx: Tx, notification_id: str) -> None:
    """Serve the notification's lane again though its target asked for time: somebody has seen to it."""
    await tx.run(
        update(lanes)
        .where(lanes.c.id == notification_id, lanes.c.held_by == ASKED)
        .values(held_until=None, held_by=None)
    )
    tx.ring()
