"""Lanes: what of each notification is under way, and when more of it is due.

`next_due_at` is never later than the earliest delivery that waits in the lane. It may be earlier, and then the
next lease that looks puts it right. Only a lease moves it to later, everything else moves it to earlier.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)

from dockbell.domain.deliveries import State
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.dialects.statements import Plan, Statement
from dockbell.store.tables import Moment, deliveries, lanes, of_micros, to_micros
from dockbell.store.transactions import Tx

WIDTH = 64  # deliveries of one notification that are under way at once, over all processes
TEST_WIDTH = 4
RETRY_WIDTH = 32
REDELIVERY_WIDTH = 16
ORDERED_WIDTH = (
    1  # of the one lane of a notification that is sent in order (store/sequences.py)
)
IN_ORDER = "in-order"  # stands in `held_by` of such a lane while its first delivery waits for another try
REDELIVERIES = ":redelivery"
_FEW = 16


def lane_of_tests(notification_id: str) -> str:
    """The lane in which the notification's tests travel."""
    return f"{notification_id}:test"


def lane_of_retries(notification_id: str) -> str:
    """The lane of what failed before: news takes turns with it, and does not stand behind it."""
    return f"{notification_id}:retry"


def lane_of_redeliveries(notification_id: str) -> str:
    """The lane of what somebody sends again, which may be very much."""
    return f"{notification_id}{REDELIVERIES}"


def lanes_of(notification_id: str) -> tuple[str, str, str]:
    """All lanes of the notification that a pause holds up: all but that of its tests. The first is for news."""
    return (
        notification_id,
        lane_of_retries(notification_id),
        lane_of_redeliveries(notification_id),
    )


@dataclass(frozen=True, slots=True)
class Outlook:
    """When the next lease can take something, and whether something is due but has no room in its lane."""

    next_due_at: datetime | None
    is_crowded: bool


async def touch(
    tx: Tx, wanted: Sequence[tuple[str, str, bool]], due_at: datetime, *, width: int = WIDTH
) -> None:
    """See that each lane (id, notification id, is paused) exists and is due by then.

    Call it before the deliveries are written: from here to the commit no lease puts these lanes to rest.
    """
    await tx.hot_each(touching(tx, wanted, due_at, width=width))


def touching(
    tx: Tx, wanted: Sequence[tuple[str, str, bool]], due_at: datetime, *, width: int = WIDTH
) -> Sequence[Statement]:
    """The statements of `touch`, for whoever executes more together with them."""
    due = to_micros(due_at)
    adding = (tx.dialect.ADD_LANES, (*tx.dialect.packed(wanted), due, width))
    if tx.dialect.HOLD_LANES is None:
        return [adding]
    ids = [lane_id for lane_id, _, _ in wanted]
    return [adding, (tx.dialect.HOLD_LANES, (ids,)), (tx.dialect.WAKE_LANES, (ids, due))]


async def add(
    tx: Tx, wanted: Sequence[tuple[str, str, bool]], due_at: datetime, *, width: int
) -> None:
    """See that each lane (id, notification id, is paused) exists. One that does is due by then or stays as it is."""
    await tx.hot(tx.dialect.ADD_LANES, (*tx.dialect.packed(wanted), to_micros(due_at), width))


async def put_in_front(tx: Tx, lane_id: str) -> None:
    """Make the lane the first that the next lease looks at, before those that were never served."""
    await tx.run(update(lanes).where(lanes.c.id == lane_id).values(served_at=of_micros(-1)))


async def latest_turn(tx: Tx) -> datetime | None:
    """The last turn of all lanes that wait to be served."""
    row = await tx.first(
        select(func.max(lanes.c.served_at)).where(
            lanes.c.next_due_at.is_not(None), ~lanes.c.is_paused
        )
    )
    return None if row is None else row[0]


async def set_turns(tx: Tx, turns: Mapping[str, datetime]) -> None:
    """Serve these lanes, which this transaction has leased from, again at that turn."""
    rows = [(lane_id, to_micros(turn)) for lane_id, turn in turns.items()]
    await tx.hot(tx.dialect.SET_TURNS, tx.dialect.packed(rows))


async def settle(tx: Tx, ended: Mapping[str, tuple[int, datetime | None]]) -> None:
    """For each lane: so many leases ended, and the earliest delivery that waits again is due then."""
    if not ended:
        return
    rows = [
        (lane_id, count, None if due is None else to_micros(due))
        for lane_id, (count, due) in ended.items()
    ]
    await tx.hot(tx.dialect.SETTLE_LANES, tx.dialect.packed(rows))


async def hold(tx: Tx, until: Mapping[str, datetime], host: str) -> None:
    """Lease nothing of these lanes before then, because of that host."""
    await tx.run(
        update(lanes)
        .where(lanes.c.id == bindparam("of_id"))
        .values(held_until=bindparam("of_moment"), held_by=host),
        [{"of_id": lane_id, "of_moment": moment} for lane_id, moment in sorted(until.items())],
    )


async def let_some_go(tx: Tx, host: str) -> None:
    """Serve again a few of the lanes that are held because of that host, those that waited longest.

    One of them makes the host's trial, and the others are held again. Lanes that somebody locks are left out, so that
    it waits for nobody.
    """
    rows = await tx.rows(
        select(lanes.c.id)
        .where(lanes.c.held_by == host, lanes.c.next_due_at.is_not(None), ~lanes.c.is_paused)
        .order_by(lanes.c.served_at, lanes.c.id)
        .limit(_FEW)
        .with_for_update(key_share=True, skip_locked=True)
    )
    await tx.run(
        update(lanes)
        .where(lanes.c.id.in_([row.id for row in rows]))
        .values(held_until=None, held_by=None)
    )
    tx.ring()


async def let_go(tx: Tx, hosts: Collection[str]) -> None:
    """Serve again what was held because of these hosts."""
    await tx.rows(
        select(lanes.c.id)
        .where(lanes.c.held_by.in_(sorted(hosts)))
        .order_by(lanes.c.id)
        .with_for_update(key_share=True)
    )
    await tx.run(
        update(lanes)
        .where(lanes.c.held_by.in_(sorted(hosts)))
        .values(held_until=None, held_by=None)
    )


# By hand, because nearly every turn of every engine asks.
_OUTLOOK = """
SELECT
  min(CASE WHEN inflight < max_inflight THEN
        CASE WHEN held_until > next_due_at THEN held_until ELSE next_due_at END END),
  min(CASE WHEN inflight >= max_inflight THEN next_due_at END)
FROM lanes WHERE next_due_at IS NOT NULL AND NOT is_paused
"""


async def outlook(tx: Tx) -> Outlook:
    """What lanes have to offer from now on. Reads only."""
    return await tx.hot_run(looking(tx.now))


def looking(now: datetime) -> Plan[Outlook]:
    """The steps of `outlook`, for whoever does more together with them."""
    (((next_due_at, crowded_since),),) = yield ((_OUTLOOK, ()),)
    return Outlook(
        None if next_due_at is None else of_micros(next_due_at),
        is_crowded=crowded_since is not None and crowded_since <= to_micros(now),
    )


async def pause(tx: Tx, notification_id: str) -> None:
    """Serve the notification's lanes no more. What comes is parked there. Its tests are never held up."""
    await touch(tx, [(notification_id, notification_id, True)], tx.now)
    await _lock(tx, notification_id)
    await tx.run(
        update(lanes).where(lanes.c.id.in_(lanes_of(notification_id))).values(is_paused=True)
    )


async def resume(tx: Tx, notification_id: str) -> None:
    """Serve the notification's lanes again; all that waits there is due now, in the order it came.

    What failed before goes back among the news for that.
    """
    await _lock(tx, notification_id)
    await tx.run(
        update(deliveries)
        .where(
            deliveries.c.lane_id.in_([notification_id, lane_of_retries(notification_id)]),
            deliveries.c.state == State.WAITING.value,
            deliveries.c.due_at > deliveries.c.created_at,
        )
        .values(due_at=deliveries.c.created_at, lane_id=notification_id)
    )
    earliest = (
        select(func.min(deliveries.c.due_at))
        .where(deliveries.c.lane_id == lanes.c.id, deliveries.c.state == State.WAITING.value)
        .scalar_subquery()
    )
    await tx.run(
        update(lanes)
        .where(lanes.c.id.in_(lanes_of(notification_id)))
        .values(
            is_paused=False,
            next_due_at=func.coalesce(earliest, literal(tx.now, Moment)),
        )
    )
    await tx.run(
        update(lanes)
        .where(lanes.c.id == notification_id, lanes.c.held_by == IN_ORDER)
        .values(held_until=None, held_by=None)
    )
    tx.ring()


async def next_part(tx: Tx, after: str, size: int) -> str | None:
    """The id of the lane so many further on; None if there are not so many."""
    row = await tx.first(
        select(lanes.c.id)
        .where(lanes.c.id > after)
        .order_by(lanes.c.id)
        .offset(size - 1)
        .limit(1)
    )
    return None if row is None else row.id


def _sending() -> ScalarSelect[int]:
    return (
        select(func.count())
        .where(deliveries.c.lane_id == lanes.c.id, deliveries.c.state == State.SENDING.value)
        .scalar_subquery()
    )


def _earliest() -> ScalarSelect[Any]:
    return (
        select(func.min(deliveries.c.due_at))
        .where(deliveries.c.lane_id == lanes.c.id, deliveries.c.state == State.WAITING.value)
        .scalar_subquery()
    )


def _sleeps_through() -> ColumnElement[bool]:
    """Something waits in the lane, and the lane counts on nothing so early."""
    return exists().where(
        deliveries.c.lane_id == lanes.c.id,
        deliveries.c.state == State.WAITING.value,
        or_(lanes.c.next_due_at.is_(None), deliveries.c.due_at < lanes.c.next_due_at),
    )


async def find_wrong(tx: Tx, after: str, upto: str | None) -> Sequence[str]:
    """Lanes in this part that are not what a count of their deliveries says. One query, which reads only.

    A lane and its deliveries are changed in one transaction, so what one query sees fits together or is wrong.
    """
    counted = (
        select(deliveries.c.lane_id, func.count().label("number"))
        .where(deliveries.c.state == State.SENDING.value)
        .group_by(deliveries.c.lane_id)
        .subquery()
    )
    statement = (
        select(lanes.c.id)
        .outerjoin(counted, counted.c.lane_id == lanes.c.id)
        .where(
            lanes.c.id > after,
            or_(lanes.c.inflight != func.coalesce(counted.c.number, 0), _sleeps_through()),
        )
        .order_by(lanes.c.id)
    )
    rows = await tx.rows(statement if upto is None else statement.where(lanes.c.id <= upto))
    return [row.id for row in rows]


async def recount(tx: Tx, ids: Collection[str]) -> Sequence[str]:
    """Count anew what of these lanes is under way, and when more of it is due; return those that were counted.

    The lanes are locked before the statement that counts: whoever leases or settles changes them too, and either has
    committed, so that it is counted, or adds to what was counted. Lanes that somebody holds are left out.
    """
    rows = await tx.rows(
        select(lanes.c.id)
        .where(lanes.c.id.in_(ids))
        .order_by(lanes.c.id)
        .with_for_update(key_share=True, skip_locked=True)
    )
    held = [row.id for row in rows]
    await tx.run(
        update(lanes)
        .where(lanes.c.id.in_(held))
        .values(
            inflight=_sending(),
            next_due_at=case((_sleeps_through(), _earliest()), else_=lanes.c.next_due_at),
        )
    )
    tx.ring()
    return held


async def _lock(tx: Tx, notification_id: str) -> None:
    await tx.rows(
        select(lanes.c.id)
        .where(lanes.c.id.in_(lanes_of(notification_id)))
        .order_by(lanes.c.id)
        .with_for_update(key_share=True)
    )
