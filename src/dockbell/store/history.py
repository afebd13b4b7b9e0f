"""What happened long ago: thrown away in small steps, or made to be forgotten at once.

Ids begin with the time they were made at, so that the oldest rows are found by the primary key, and no index is
needed for the time. A row whose key is young is young; one whose key is old is looked at.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, select, text, update

from dockbell.domain import ids
from dockbell.domain.deliveries import State
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store import fan_out
from dockbell.store.tables import (
    app_tokens,
    attempts,
    audit_entries,
    authorization_codes,
    deliveries,
    events,
    notices,
    owner_mails,
    sessions,
    tokens,
)
from dockbell.store.transactions import Store, Tx

_FINAL = (State.DELIVERED.value, State.DEAD.value, State.CANCELLED.value, State.EXPIRED.value)
_FORGOTTEN = "Expunged."


@dataclass(frozen=True, slots=True)
class Step:
    """What one step deleted, and the key after which the next one goes on; None if nothing is left to look at."""

    deleted: int
    last: str | None


async def prune_attempts(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete tries begun before then, of deliveries that are final."""
    rows = await tx.rows(
        select(attempts.c.delivery_id)
        .where(
            attempts.c.delivery_id > after,
            attempts.c.delivery_id < _first_of("dlv", before),
        )
        .order_by(attempts.c.delivery_id, attempts.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = sorted({row.delivery_id for row in rows})
    # By their ids, which are few: a condition on all that is under way would be looked up for every row.
    busy = await tx.rows(
        select(deliveries.c.id).where(
            deliveries.c.id.in_(found), deliveries.c.state.not_in(_FINAL)
        )
    )
    over = sorted(set(found) - {row.id for row in busy})
    deleted = await tx.run(
        delete(attempts).where(attempts.c.delivery_id.in_(over), attempts.c.started_at < before)
    )
    return Step(deleted, found[-1] if len(rows) == limit else None)


async def prune_deliveries(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete deliveries that ended before then, with their tries."""
    found, last = await _oldest(tx, deliveries, "dlv", before, after, limit)
    # One that is sent again at this moment is final no more, and stays.
    rows = await tx.rows(
        delete(deliveries)
        .where(
            deliveries.c.id.in_(found),
            deliveries.c.state.in_(_FINAL),
            deliveries.c.finished_at < before,
        )
        .returning(deliveries.c.id)
    )
    gone = [row.id for row in rows]
    if gone:
        await tx.run(delete(attempts).where(attempts.c.delivery_id.in_(gone)))
    return Step(len(gone), last)


async def prune_events(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete events recorded before then that have no delivery any more, final or not."""
    found, last = await _oldest(tx, events, "evt", before, after, limit)
    rows = await tx.rows(
        select(deliveries.c.event_id).where(deliveries.c.event_id.in_(found)).distinct()
    )
    over = sorted(set(found) - {row.event_id for row in rows})
    deleted = await tx.run(
        delete(events).where(events.c.id.in_(over), events.c.recorded_at < before)
    )
    return Step(deleted, last)


async def prune_notices(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete notices made before then, seen or not."""
    found, last = await _oldest(tx, notices, "ntc", before, after, limit)
    is_over = notices.c.created_at < before
    return Step(await tx.run(delete(notices).where(notices.c.id.in_(found), is_over)), last)


async def prune_audit_entries(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete audit entries written before then."""
    found, last = await _oldest(tx, audit_entries, "aud", before, after, limit)
    statement = delete(audit_entries).where(
        audit_entries.c.id.in_(found), audit_entries.c.created_at < before
    )
    return Step(await tx.run(statement), last)


async def prune_tokens(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete access tokens that ended before then."""
    return await _prune_ended(tx, tokens, "tok", before, after, limit)


async def prune_app_tokens(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete tokens of single programs that ended before then."""
    return await _prune_ended(tx, app_tokens, "apt", before, after, limit)


async def prune_sessions(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete sessions that ended before then."""
    return await _prune_ended(tx, sessions, "ses", before, after, limit)


async def prune_authorization_codes(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete codes that ended before then."""
    return await _prune_ended(tx, authorization_codes, "aco", before, after, limit)


async def prune_owner_mails(tx: Tx, before: datetime, after: str, limit: int) -> Step:
    """Delete mails to owners made before then, sent or not: nobody is told old news."""
    found, last = await _oldest(tx, owner_mails, "oml", before, after, limit)
    is_over = owner_mails.c.created_at < before
    return Step(
        await tx.run(delete(owner_mails).where(owner_mails.c.id.in_(found), is_over)), last
    )


async def _prune_ended(  # noqa: PLR0913, PLR0917 -- only the functions above call it
    tx: Tx, table: Table, prefix: str, before: datetime, after: str, limit: int
) -> Step:
    # Most old ones are alive, so they are sorted out while they are found.
    is_over = table.c.expires_at < before
    found, last = await _oldest(tx, table, prefix, before, after, limit, is_over)
    return Step(await tx.run(delete(table).where(table.c.id.in_(found), is_over)), last)


async def _oldest(  # noqa: PLR0913, PLR0917 -- only the functions above call it
    tx: Tx,
    table: Table,
    prefix: str,
    before: datetime,
    after: str,
    limit: int,
    *conditions: Any,
) -> tuple[Sequence[str], str | None]:
    """The ids of the oldest rows after that key, and the last of them if there may be more.

    Those that another process deletes at this moment are left to it.
    """
    rows = await tx.rows(
        select(table.c.id)
        .where(table.c.id > after, table.c.id < _first_of(prefix, before), *conditions)
        .order_by(table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = [row.id for row in rows]
    return found, found[-1] if len(found) == limit else None


def _first_of(prefix: str, moment: datetime) -> str:
    return ids.compose(prefix, moment, 0)


@dataclass(frozen=True, slots=True)
class Expunged:
    """What was forgotten with an event."""

    cancelled: int  # deliveries that still waited
    attempts: int
    notices: int


async def is_being_sent(tx: Tx, event_id: str) -> bool:
    """Whether some delivery of the event is being sent. From here to the commit no other begins to be."""
    rows = await tx.rows(
        select(deliveries.c.state)
        .where(deliveries.c.event_id == event_id)
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    return any(row.state == State.SENDING.value for row in rows)


async def expunge(tx: Tx, event_id: str) -> Expunged | None:
    """Forget what the event said and what came back for it; None if there is no such event.

    That it happened, when, to which repository and how its deliveries ended stays. What still waits is cancelled,
    and nothing of it can be sent again.
    """
    is_sqlite = tx.dialect.NAME == "sqlite"
    if is_sqlite:  # what is let go of is overwritten
        await tx.hot("PRAGMA secure_delete = ON")
    try:
        known = await tx.first(select(events.c.facts).where(events.c.id == event_id))
        if known is None:
            return None
        sample = {key: value for key, value in known.facts.items() if key == "sample"}
        await tx.run(
            update(events)
            .where(events.c.id == event_id)
            .values(body=b"", facts=sample, performer_name=None, performer_kind=None)
        )
        of_event = select(deliveries.c.id).where(deliveries.c.event_id == event_id)
        cancelled = await tx.run(
            update(deliveries)
            .where(deliveries.c.event_id == event_id, deliveries.c.state == State.WAITING.value)
            .values(state=State.CANCELLED.value, finished_at=tx.now)
        )
        cancelled += await fan_out.drop(tx, event_id)
        blanked = await tx.run(
            update(attempts)
            .where(attempts.c.delivery_id.in_(of_event))
            .values(
                detail=_FORGOTTEN, request_headers=[], response_headers=[], response_body=None
            )
        )
        dropped = await tx.run(delete(notices).where(notices.c.delivery_id.in_(of_event)))
    finally:
        if is_sqlite:
            await tx.hot("PRAGMA secure_delete = OFF")
    return Expunged(cancelled, blanked, dropped)


async def sweep(store: Store) -> None:
    """Have the database give up the old versions of what was expunged. Call it outside of a transaction."""
    if store.is_sqlite:
        async with store.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            if driver is not None:
                await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    engine = store.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for table in (events, attempts, notices):
            await connection.execute(text(f"VACUUM {table.name}"))
