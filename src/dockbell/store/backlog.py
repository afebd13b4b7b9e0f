"""How much waits, counted for operators: one statement, whose cost is bounded whatever waits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, func, literal, or_, select

from dockbell.domain.deliveries import State
from dockbell.store.tables import breakers, deliveries, lanes
from dockbell.store.transactions import Tx

# A count of rows that wait ends here: beyond, it matters to nobody how many more there are.
MOST_COUNTED = 100_000


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


async def count(tx: Tx) -> Backlog:
    """Count the queue. Reads only."""
    is_served = and_(lanes.c.next_due_at.is_not(None), ~lanes.c.is_paused)
    is_held = lanes.c.held_until > tx.now
    is_free = and_(is_served, or_(lanes.c.held_until.is_(None), lanes.c.held_until <= tx.now))
    is_due = deliveries.c.due_at <= tx.now
    row = await tx.first(
        select(
            _waiting(is_free, is_due).label("due"),
            _waiting(is_free, ~is_due).label("later"),
            _waiting(is_served, is_held).label("held"),
            _waiting(lanes.c.is_paused).label("parked"),
            _capped(select(literal(1)).where(deliveries.c.state == State.SENDING.value)).label(
                "sending"
            ),
            select(func.min(lanes.c.next_due_at))
            .where(is_free)
            .scalar_subquery()
            .label("oldest_due_at"),
            select(func.count()).select_from(breakers).scalar_subquery().label("breakers"),
            select(func.count())
            .select_from(lanes)
            .where(lanes.c.held_by.is_not(None), is_held)
            .scalar_subquery()
            .label("lanes_held"),
            select(func.count())
            .select_from(lanes)
            .where(lanes.c.is_paused)
            .scalar_subquery()
            .label("lanes_paused"),
        )
    )
    found = row._mapping if row is not None else {}  # noqa: SLF001 -- SQLAlchemy's public name for it
    oldest = found["oldest_due_at"]
    return Backlog(
        pending={name: found[name] for name in ("due", "later", "held", "parked", "sending")},
        oldest_due_at=oldest if oldest is not None and oldest <= tx.now else None,
        breakers_open=found["breakers"],
        lanes_held=found["lanes_held"],
        lanes_paused=found["lanes_paused"],
    )


def _waiting(*conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    return _capped(
        select(literal(1))
        .select_from(lanes.join(deliveries, deliveries.c.lane_id == lanes.c.id))
        .where(deliveries.c.state == State.WAITING.value, *conditions)
    )


def _capped(rows: Any) -> ScalarSelect[Any]:
    return (
        select(func.count()).select_from(rows.limit(MOST_COUNTED).subquery()).scalar_subquery()
    )
