"""Events: what happened, kept with the exact bytes that are sent."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from dockbell.domain.events import Event, Performer, Subject
from dockbell.store.tables import events, of_micros
from dockbell.store.transactions import Tx

_BODY = 5  # its place in a row of LOAD_EVENTS


async def record(
    tx: Tx, event: Event, *, namespace_id: str, repository_id: str | None
) -> str | None:
    """Keep the event. Return None, or the id of the event that has the same producer key already.

    On PostgreSQL this waits for another transaction that is just recording the same key.
    """
    statement = (
        tx.dialect.insert(events)
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
    """Those of the events that are still kept, by id. One query. An expunged one has no body and is left out."""
    if not ids:
        return {}
    rows = await tx.hot(tx.dialect.LOAD_EVENTS, tx.dialect.packed([(one,) for one in ids]))
    return {row[0]: _of_row(row) for row in rows if row[_BODY]}


def _of_row(row: Sequence[Any]) -> Event:
    (
        event_id, kind, namespace, repository, is_user, body, facts, performer_name, performer_kind,
        producer_key, occurred_at,
    ) = row  # fmt: skip
    return Event(
        id=event_id,
        kind=kind,
        subject=Subject(namespace, repository, is_user=bool(is_user)),
        body=body,
        occurred_at=of_micros(occurred_at),
        performer=None if performer_name is None else Performer(performer_name, performer_kind),
        facts=json.loads(facts),
        producer_key=producer_key,
    )
