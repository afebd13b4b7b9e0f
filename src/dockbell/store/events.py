"""Events: what happened, kept with the exact bytes that are sent."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select

from dockbell.domain.events import (
    MOST_OF_ADDRESSES,
    Event,
    Performer,
    Subject,
    is_same_payload,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import events, of_micros, to_micros
from dockbell.store.transactions import Tx

_BODY = 5  # its place in a row of LOAD_EVENTS
# Whether there is something of an event to send: one that is expunged has none.
HAS_BODY = func.length(events.c.body) > 0


@dataclass(slots=True)  # not frozen: that would make it three times as dear, and many are made
class Placed:
    """An event with the rows that it is about."""

    event: Event
    namespace_id: str | None  # None for the sample of a notification of the whole server
    repository_id: str | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The event that has a producer key already, and whether it tells the same."""

    id: str
    is_same: bool


async def record_many(tx: Tx, placed: Sequence[Placed]) -> Mapping[str, Earlier]:
    """Keep the events; return for each that was not kept, by its id, the one that has its producer key already.

    Of two with the same key the first is kept. One statement, and two more if a key is known. On PostgreSQL this
    waits for another transaction that is just recording one of the keys.
    """
    if not placed:
        return {}
    now = to_micros(tx.now)
    rows = []
    for one in placed:
        event = one.event
        subject, performer, facts, moment = (
            event.subject, event.performer, event.facts, event.occurred_at,
        )  # fmt: skip
        rows.append(
            (
                event.id,
                event.kind,
                subject.namespace,
                subject.repository,
                subject.is_user,
                one.namespace_id,
                one.repository_id,
                event.body,
                _document_of(facts) if facts else "{}",
                None if performer is None else performer.name,
                None if performer is None else performer.kind,
                event.producer_key,
                now if moment is tx.now else to_micros(moment),
                now,
            )
        )
    if await tx.hot_all(tx.dialect.add_events(rows)) == len(rows):
        return {}
    return await _find_earlier(tx, placed)


def _document_of(facts: Mapping[str, object]) -> str:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


async def _find_earlier(tx: Tx, placed: Sequence[Placed]) -> Mapping[str, Earlier]:
    keys = {one.event.producer_key for one in placed if one.event.producer_key is not None}
    table = events.c
    rows = await tx.rows(
        select(
            table.id,
            table.kind,
            table.repository_id,
            table.facts,
            table.performer_name,
            table.performer_kind,
            table.producer_key,
            func.length(table.body).label("size"),
        ).where(table.producer_key.in_(keys))
    )
    first = {row.producer_key: row for row in rows}
    met = [
        (one, first[one.event.producer_key])
        for one in placed
        if one.event.producer_key in first and first[one.event.producer_key].id != one.event.id
    ]
    alike = [(one, row) for one, row in met if _is_alike(one, row)]
    # Bodies of quite another size are not even loaded: so this takes little more memory than what was sent.
    bodies = await tx.rows(
        select(table.id, table.body).where(table.id.in_({row.id for _, row in alike}))
    )
    kept = {row.id: row.body for row in bodies}
    same = {one.event.id for one, row in alike if is_same_payload(kept[row.id], one.event.body)}
    return {one.event.id: Earlier(row.id, one.event.id in same) for one, row in met}


def _is_alike(one: Placed, row: Any) -> bool:
    event, performer = one.event, one.event.performer
    if abs(len(event.body) - row.size) > MOST_OF_ADDRESSES:
        return False
    return (
        event.kind,
        one.repository_id,
        event.facts,
        None if performer is None else (performer.name, performer.kind),
    ) == (
        row.kind,
        row.repository_id,
        row.facts,
        None if row.performer_name is None else (row.performer_name, row.performer_kind),
    )


@dataclass(frozen=True, slots=True)
class Last:
    """When an event of some kind came last."""

    id: str
    occurred_at: datetime


async def find_last(tx: Tx, place_id: str, kind: str) -> Last | None:
    """The newest event of the kind in the repository or namespace with this id."""
    row = await tx.first(
        select(events.c.id, events.c.occurred_at)
        .where(
            or_(events.c.repository_id == place_id, events.c.namespace_id == place_id),
            events.c.kind == kind,
        )
        .order_by(events.c.id.desc())
        .limit(1)
    )
    return None if row is None else Last(row.id, row.occurred_at)


async def has_key(tx: Tx, producer_key: str) -> bool:
    """Whether there is an event with this key."""
    row = await tx.first(select(events.c.id).where(events.c.producer_key == producer_key))
    return row is not None


async def is_kept(tx: Tx, event_id: str) -> bool:
    """Whether there is something of it to send: it is neither gone nor expunged."""
    row = await tx.first(select(HAS_BODY).where(events.c.id == event_id))
    return row is not None and bool(row[0])


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
