"""Lists of events, as people look at them. Keeping them is in `store.events`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from dockbell.domain.events import Event, Performer, Subject
from dockbell.domain.permissions import ViewerOf, ViewerOfAll, ViewerOfInstance, ViewerOfPlace
from dockbell.domain.records import EventRecord
from dockbell.store.tables import events
from dockbell.store.transactions import Tx

_LAST = 10_000  # events of the whole server in which those of some kinds are looked for


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
    return EventRecord(event, row.namespace_id, row.repository_id, row.recorded_at)


async def find(tx: Tx, event_id: str) -> EventRecord | None:
    row = await tx.first(select(events).where(events.c.id == event_id))
    return None if row is None else _of_row(row)


async def list_page(
    tx: Tx, viewer: ViewerOfPlace, *, kinds: Sequence[str], before: str, limit: int
) -> Sequence[EventRecord]:
    """Up to `limit` of the place's events of these kinds, or of all; the newest first. One query.

    A namespace's are those of its repositories too, the server's are all. Samples of tests are among them.
    """
    statement = select(events)
    match viewer:
        case ViewerOf():
            statement = statement.where(events.c.repository_id == viewer.repository.id)
        case ViewerOfAll():
            statement = statement.where(events.c.namespace_id == viewer.namespace.id)
        case ViewerOfInstance():
            if kinds:  # among so many only, because no index leads to a rare kind
                last = select(events.c.id).order_by(events.c.id.desc()).limit(_LAST)
                statement = statement.where(events.c.id.in_(last.scalar_subquery()))
    if kinds:
        statement = statement.where(events.c.kind.in_(kinds))
    if before:
        statement = statement.where(events.c.id < before)
    rows = await tx.rows(statement.order_by(events.c.id.desc()).limit(limit))
    return [_of_row(row) for row in rows]


async def list_of_ids(tx: Tx, event_ids: Sequence[str]) -> Sequence[EventRecord]:
    """These events, the oldest first; those that are gone are left out. One query."""
    rows = await tx.rows(select(events).where(events.c.id.in_(event_ids)).order_by(events.c.id))
    return [_of_row(row) for row in rows]
