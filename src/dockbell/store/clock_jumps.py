"""When the time of the database goes back: what waits for a moment is pulled forward by as much."""

from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, case, select, type_coerce, update

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.deliveries import State
from dockbell.store import audit_entries, locks
from dockbell.store.tables import audit_entries as entries
from dockbell.store.tables import breakers, deliveries, lanes
from dockbell.store.transactions import Tx

KIND = "clock_went_back"
# Other processes see the same jump within this time, and only the first sets things right.
_SAME = timedelta(minutes=10)
_MICROSECOND = timedelta(microseconds=1)


async def set_right(tx: Tx, back_by: timedelta) -> bool:
    """Have everything that waits for a moment to come wait as long as it would have; False if another process did."""
    await locks.hold_word(tx, KIND)
    if await _is_done(tx):
        return False
    await audit_entries.add(
        tx,
        SYSTEM,
        KIND,
        namespace_id=None,
        repository_id=None,
        metadata={"seconds": back_by.total_seconds()},
    )
    # In the order in which everybody locks rows (store/locks.py).
    await tx.run(
        update(deliveries)
        .where(deliveries.c.state == State.SENDING.value)
        .values(
            leased_until=_earlier(deliveries.c.leased_until, back_by),
            # Where deliveries keep their order, one that fails waits with the due time that it had.
            due_at=case(
                (deliveries.c.due_at > tx.now, _earlier(deliveries.c.due_at, back_by)),
                else_=type_coerce(deliveries.c.due_at, BigInteger),
            ),
        )
    )
    await tx.rows(select(lanes.c.id).order_by(lanes.c.id).with_for_update())
    for column in (lanes.c.next_due_at, lanes.c.held_until):
        await tx.run(
            update(lanes)
            .where(column > tx.now)
            .values({column.name: _earlier(column, back_by)})
        )
    await tx.run(
        update(deliveries)
        .where(deliveries.c.state == State.WAITING.value, deliveries.c.due_at > tx.now)
        .values(due_at=_earlier(deliveries.c.due_at, back_by))
    )
    await tx.run(
        update(breakers).values(
            opened_at=_earlier(breakers.c.opened_at, back_by),
            open_until=_earlier(breakers.c.open_until, back_by),
            trial_until=_earlier(breakers.c.trial_until, back_by),
        )
    )
    tx.ring()
    return True


async def _is_done(tx: Tx) -> bool:
    if tx.dialect.HOLD_WORD is None:
        return False  # SQLite has one process that delivers
    found = await tx.first(
        select(entries.c.id)
        .where(
            entries.c.kind == KIND, entries.c.created_at.between(tx.now - _SAME, tx.now + _SAME)
        )
        .limit(1)
    )
    return found is not None


def _earlier(column: Column[Any], span: timedelta) -> ColumnElement[int]:
    return type_coerce(column, BigInteger) - span // _MICROSECOND
