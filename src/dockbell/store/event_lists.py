"""Lists of events, as people look at them. Keeping them is in `store.events`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from dockbell.domain.events import Event, Performer, Subject
from dockbell.domain.records import EventRecord
from dockbell.store.tables import events
from dockbell.store.transactions import Tx


def _of_row(row: Row[Any]) -> EventRecord:
    performer = (
        None
        if row.performer_name is None
        else Performer(row.performer_name, row.performer_kind)
    )
    event = Event(
        id=row.id,
        kind=row.kind,
        subject=Subject(row.namespace, row.repository, is_user=row.is_user),
        body=row.body,
        occurred_at=row.occurred_at,
        performer=performer,
        facts=row.facts,
        producer_key=row.producer_key,
    )
    return EventRecord(event, row.repository_id, row.recorded_at)


async def find(tx: Tx, event_id: str) -> EventRecord | None:
    row = await tx.first(select(events).where(events.c.id == event_id))
    return None if row is None else _of_row(row)


async def list_page(
    tx: Tx, repository_id: str, *, kind: str | None, before: str, limit: int
) -> Sequence[EventRecord]:
    """Up to `limit` of the repository's events, the newest first, samples of tests among them. One query."""
    statement = select(events).where(events.c.repository_id == repository_id)
    if kind is not None:
        statement = statement.where(events.c.kind == kind)
    if before:
        statement = statement.where(events.c.id < before)
    rows = await tx.rows(statement.order_by(events.c.id.desc()).limit(limit))
    return [_of_row(row) for row in rows]


async def list_of_ids(tx: Tx, event_ids: Sequence[str]) -> Sequence[EventRecord]:
    """These events, the oldest first; those that are gone are left out. One query."""
    rows = await tx.rows(select(events).where(events.c.id.in_(event_ids)).order_by(events.c.id))
    return [_of_row(row) for row in rows]
