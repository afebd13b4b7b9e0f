"""Events: what happened, kept with the exact bytes that are sent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Row

from dockbell.domain.events import Event, Performer, Subject
from dockbell.store.tables import events
from dockbell.store.transactions import Tx

# The two databases share the words ON CONFLICT DO NOTHING, but SQLAlchemy keeps one construct for each.
_INSERT: Mapping[str, Callable[[Table], postgresql.Insert | sqlite.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


async def record(
    tx: Tx, event: Event, *, namespace_id: str, repository_id: str | None
) -> str | None:
    """Keep the event. Return None, or the id of the event that has the same producer key already.

    On PostgreSQL this waits for another transaction that is just recording the same key.
    """
    statement = (
        _INSERT[tx.dialect.NAME](events)
        .values(
            id=event.id,
            kind=event.kind,
            namespace=event.subject.namespace,
            repository=event.subject.repository,
            is_user=event.subject.is_user,
            namespace_id=namespace_id,
            repository_id=repository_id,
            body=event.body,
            facts=event.facts,
            performer_name=None if event.performer is None else event.performer.name,
            performer_kind=None if event.performer is None else event.performer.kind,
            producer_key=event.producer_key,
            occurred_at=event.occurred_at,
            recorded_at=tx.now,
        )
        .on_conflict_do_nothing(index_elements=["producer_key"])
    )
    if await tx.run(statement) == 1:
        return None
    first = await tx.first(
        select(events.c.id).where(events.c.producer_key == event.producer_key)
    )
    return None if first is None else str(first.id)


async def load_many(tx: Tx, ids: Sequence[str]) -> Mapping[str, Event]:
    """Those of the events that are still kept, by id. One query."""
    rows = await tx.rows(select(events).where(events.c.id.in_(ids)))
    return {row.id: _of_row(row) for row in rows}


def _of_row(row: Row[Any]) -> Event:
    return Event(
        id=row.id,
        kind=row.kind,
        subject=Subject(row.namespace, row.repository, is_user=row.is_user),
        body=row.body,
        occurred_at=row.occurred_at,
        performer=(
            None
            if row.performer_name is None
            else Performer(row.performer_name, row.performer_kind)
        ),
        facts=row.facts,
        producer_key=row.producer_key,
    )
