"""How much waits, counted for operators: one statement, whose cost is bounded whatever waits."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
)

from dockbell.domain.deliveries import State
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import breakers, deliveries, events, fan_outs, lanes
from dockbell.store.transactions import Tx

# A count of rows that wait ends here: beyond, it matters to nobody how many more there are.
MOST_COUNTED = 20_000


# Written out and not bound, so that both databases see that their partial indexes serve.
_WAITING = deliveries.c.state == literal_column(f"'{State.WAITING.value}'")
_SENDING = deliveries.c.state == literal_column(f"'{State.SENDING.value}'")


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits and what is under way, over all processes. No count of deliveries exceeds MOST_COUNTED."""

    pending: Mapping[
        str, int
    ]  # due, later (a retry), held (for its host), parked (paused), sending
    oldest_due_at: datetime | None  # of what is due and neither held nor parked
    breakers_open: int
    lanes_held: int
    lanes_paused: int


_notifications = func.count(lanes.c.notification_id.distinct())


async def count(tx: Tx) -> Backlog:
    """Count the queue. Reads only, and what it reads is small or ends at MOST_COUNTED."""
    is_served = and_(lanes.c.next_due_at.is_not(None), ~lanes.c.is_paused)
    is_free = and_(is_served, or_(lanes.c.held_until.is_(None), lanes.c.held_until <= tx.now))
    is_held = and_(is_served, lanes.c.held_by.is_not(None), lanes.c.held_until > tx.now)
    is_due = deliveries.c.due_at <= tx.now
    row = await tx.first(
        select(
            _waiting(is_free, is_due).label("due"),
            # Deliveries of large events that are still to be made.
            _one(select(func.coalesce(func.sum(fan_outs.c.size), 0))).label("put_off"),
            _waiting(is_free, ~is_due).label("later"),
            _waiting(is_held).label("held"),
            _waiting(lanes.c.is_paused).label("parked"),
            _capped(select(deliveries.c.leased_until).where(_SENDING)).label("sending"),
            _one(select(func.min(lanes.c.next_due_at)).where(is_free)).label("oldest_due_at"),
            _one(select(func.count()).select_from(breakers)).label("breakers_open"),
            # A notification has lanes for its news, its retries, what is sent again and its tests.
            _one(select(_notifications).where(is_held)).label("lanes_held"),
            _one(select(_notifications).where(lanes.c.is_paused)).label("lanes_paused"),
        )
    )
    if row is None:
        raise RuntimeError("A SELECT without FROM gave no row.")
    oldest = row.oldest_due_at
    return Backlog(
        pending={
            "due": min(row.due + row.put_off, MOST_COUNTED),
            "later": row.later,
            "held": row.held,
            "parked": row.parked,
            "sending": row.sending,
        },
        oldest_due_at=oldest if oldest is not None and oldest <= tx.now else None,
        breakers_open=row.breakers_open,
        lanes_held=row.lanes_held,
        lanes_paused=row.lanes_paused,
    )


async def oldest_transaction(tx: Tx) -> timedelta:
    """How long the oldest transaction that keeps dead rows from being cleared away is open. SQLite has none.

    Those of other users show only to a user who may read all statistics.
    """
    if tx.dialect.OLDEST_TRANSACTION is None:
        return timedelta()
    ((seconds,),) = await tx.hot(tx.dialect.OLDEST_TRANSACTION)
    return timedelta(seconds=float(seconds))


async def count_dead(tx: Tx, since: datetime) -> int:
    """How many deliveries were given up since then. Looks at all of them: not for every few seconds."""
    row = await tx.first(
        select(func.count()).where(
            deliveries.c.state == State.DEAD.value, deliveries.c.finished_at >= since
        )
    )
    return 0 if row is None else int(row[0])


async def latest_event_at(tx: Tx) -> datetime | None:
    """When the newest event was recorded."""
    row = await tx.first(select(events.c.recorded_at).order_by(events.c.id.desc()).limit(1))
    return None if row is None else row.recorded_at


def _waiting(
    of_lanes: ColumnElement[bool], is_meant: ColumnElement[bool] | None = None
) -> ScalarSelect[Any]:
    """How many deliveries wait in these lanes. The lanes come first: those that matter are few."""
    rows = select(deliveries.c.due_at).where(
        _WAITING, deliveries.c.lane_id.in_(select(lanes.c.id).where(of_lanes))
    )
    return _capped(rows if is_meant is None else rows.where(is_meant))


def _capped(rows: Select[Any]) -> ScalarSelect[Any]:
    return _one(select(func.count()).select_from(rows.limit(MOST_COUNTED).subquery()))


def _one(statement: Select[Any]) -> ScalarSelect[Any]:
    return statement.scalar_subquery()
