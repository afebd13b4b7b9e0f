"""Fan-out: the deliveries of events, one for each notification that wants them.

An event with very many has a first part of them at once and the rest in further parts, each in a transaction of its
own (docs/decisions/0027-fan-out-in-parts.md). What is still to be made stands in `fan_outs`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import delete, insert, select

from dockbell.domain.deliveries import Trigger
from dockbell.store import lanes, sequences
from dockbell.store.tables import fan_outs, notifications, to_micros
from dockbell.store.transactions import Tx

# The ids of the event, of the notification's place and of the notification, and whether that is paused.
Wanted = tuple[str, str, str, bool]

PART = 1000  # deliveries of one event that are made in one transaction
_ROWS_AT_ONCE = 10_000  # so that the documents they travel in stay small


async def record(
    tx: Tx,
    wanted: Sequence[Wanted],
    trigger: Trigger = Trigger.EVENT,
    *,
    since: datetime | None = None,
) -> Sequence[str]:
    """Add a delivery for each, in this order, due now or since then; return their ids.

    An event reaches each notification once: for `Trigger.EVENT` a second row is left out silently.
    Those of a paused notification are parked: they wait in a lane that is not served. A test never is.
    """
    if not wanted:
        return ()
    is_test = trigger is Trigger.TEST
    lane_of = lanes.lane_of_tests if is_test else str
    paused = {one: is_paused and not is_test for _, _, one, is_paused in wanted}
    due_at = tx.now if since is None else since
    lanes_first = lanes.touching(
        tx,
        [(lane_of(one), one, is_paused) for one, is_paused in paused.items()],
        due_at,
        width=lanes.TEST_WIDTH if is_test else lanes.WIDTH,
    )
    made: list[str] = []
    for first in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[first : first + _ROWS_AT_ONCE]
        new_ids = tx.new_ids("dlv", len(part))
        rows = [
            (new_id, notification_id, lane_of(notification_id), event_id, place_id)
            for new_id, (event_id, place_id, notification_id, _) in zip(
                new_ids, part, strict=True
            )
        ]
        adding = (
            tx.dialect.ADD_DELIVERIES,
            (*tx.dialect.packed(rows), trigger.value, to_micros(due_at)),
        )
        await tx.hot_each([*lanes_first, adding])
        made += new_ids
        lanes_first = ()
    if is_test:
        for one in paused:
            await lanes.put_in_front(tx, lane_of(one))
    return made


async def part(tx: Tx, wanted: Sequence[Wanted]) -> tuple[Sequence[Wanted], Sequence[Wanted]]:
    """Which of very many deliveries of one event are made with it, and which later.

    Those of notifications that are sent in order are made with it: later events could come before them otherwise.
    """
    ordered = await sequences.find(tx, [one for _, _, one, _ in wanted[PART:]])
    first = [one for place, one in enumerate(wanted) if place < PART or one[2] in ordered]
    return first, [one for one in wanted[PART:] if one[2] not in ordered]


async def put_off(tx: Tx, wanted: Sequence[Wanted]) -> None:
    """Leave these deliveries of one event to `make_part`: they are made later, and lost no more than if they were there."""
    rows: list[dict[str, object]] = []
    for place_id, ours in groupby(sorted(wanted, key=itemgetter(1)), key=itemgetter(1)):
        ids = [notification_id for _, _, notification_id, _ in ours]
        for first in range(0, len(ids), PART):
            part = ids[first : first + PART]
            rows.append(
                {
                    "event_id": wanted[0][0],
                    "number": len(rows),
                    "wanted": [place_id, part],
                    "size": len(part),
                    "recorded_at": tx.now,
                }
            )
    if rows:
        await tx.run(insert(fan_outs), rows)


async def make_part(tx: Tx) -> bool:
    """Make the deliveries of the part that has waited longest; return False if there was none to make.

    Two processes never make the same part, and one is made whole or not at all. Its deliveries are due since their
    event was recorded, so that in their lanes they stand before those of later events. One whose notification was
    deleted meanwhile is made too, and cancelled by the engine as any other.
    """
    row = await tx.first(
        select(fan_outs)
        .order_by(fan_outs.c.recorded_at, fan_outs.c.event_id, fan_outs.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return False
    place_id, ids = row.wanted
    found = await tx.rows(
        select(notifications.c.id).where(
            notifications.c.id.in_(ids), notifications.c.paused_at.is_not(None)
        )
    )
    paused = {one.id for one in found}
    await record(
        tx,
        [(row.event_id, place_id, one, one in paused) for one in ids],
        since=row.recorded_at,
    )
    await tx.run(
        delete(fan_outs).where(
            fan_outs.c.event_id == row.event_id, fan_outs.c.number == row.number
        )
    )
    tx.ring()
    return True


async def has_parts(tx: Tx) -> bool:
    """Whether some part is still to be made. Reads only."""
    return await tx.first(select(fan_outs.c.event_id).limit(1)) is not None


async def drop(tx: Tx, event_id: str) -> int:
    """Make none of the deliveries of the event that are still to be made; return how many they would have been."""
    rows = await tx.rows(select(fan_outs.c.size).where(fan_outs.c.event_id == event_id))
    await tx.run(delete(fan_outs).where(fan_outs.c.event_id == event_id))
    return sum(row.size for row in rows)


async def find_put_off(tx: Tx, event_id: str) -> Collection[str]:
    """The notifications whose deliveries of the event are still to be made. One query."""
    rows = await tx.rows(select(fan_outs.c.wanted).where(fan_outs.c.event_id == event_id))
    return {notification_id for row in rows for notification_id in row.wanted[1]}


async def count_put_off(
    tx: Tx, place_id: str, notification_id: str | None, since: datetime, until: datetime
) -> int:
    """How many deliveries are still to be made in the place, or of its notification, of events recorded in that time."""
    rows = await tx.rows(
        select(fan_outs.c.wanted).where(
            fan_outs.c.recorded_at >= since, fan_outs.c.recorded_at < until
        )
    )
    return sum(
        len(ids) if notification_id is None else ids.count(notification_id)
        for place, ids in (row.wanted for row in rows)
        if place == place_id
    )
