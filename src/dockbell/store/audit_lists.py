"""Lists and counts of audit entries, as people look at them. Writing them is in `store.audit_entries`."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, func, literal, select, true, type_coerce

from dockbell.domain import ids
from dockbell.domain.accounts import ActorKind, Namespace, NamespaceKind
from dockbell.domain.permissions import SuperViewer, ViewerOf, ViewerOfNamespace
from dockbell.domain.records import AuditCount, AuditFilter, AuditRecord
from dockbell.store.tables import audit_entries as entries
from dockbell.store.tables import namespaces, of_micros
from dockbell.store.transactions import Tx

Viewer = ViewerOf | ViewerOfNamespace | SuperViewer

_DAY = timedelta(days=1) // timedelta(microseconds=1)
_actors = namespaces.alias("actors")


def _wanted(viewer: Viewer, wanted: AuditFilter) -> list[ColumnElement[bool]]:
    """What leads to the entries by one index: ids are in order of time."""
    place: ColumnElement[bool]
    match viewer:
        case ViewerOf():
            place = entries.c.repository_id == viewer.repository.id
        case ViewerOfNamespace():
            place = entries.c.namespace_id == viewer.namespace.id
        case _:
            place = true()
    found = [
        place,
        entries.c.id >= ids.compose("aud", wanted.since, 0),
        entries.c.id < ids.compose("aud", wanted.until, 0),
    ]
    if wanted.performer is not None:
        found.append(entries.c.actor_name == wanted.performer)
    return found


async def list_page(
    tx: Tx, viewer: Viewer, wanted: AuditFilter, *, before: str, limit: int
) -> Sequence[AuditRecord]:
    """Up to `limit` of the place's entries, the newest first, those before the id `before` if there is one. One query."""
    statement = (
        select(
            entries,
            _actors.c.email.label("actor_email"),
            namespaces.c.name.label("namespace"),
            namespaces.c.kind.label("namespace_kind"),
            namespaces.c.email.label("namespace_email"),
            namespaces.c.created_at.label("namespace_made_at"),
        )
        .outerjoin(namespaces, namespaces.c.id == entries.c.namespace_id)
        .outerjoin(_actors, _actors.c.name == entries.c.actor_name)
        .where(*_wanted(viewer, wanted))
    )
    if before:
        statement = statement.where(entries.c.id < before)
    rows = await tx.rows(statement.order_by(entries.c.id.desc()).limit(limit))
    return [_of_row(row) for row in rows]


def _of_row(row: Any) -> AuditRecord:
    namespace = None
    if row.namespace is not None:
        namespace = Namespace(
            id=row.namespace_id,
            name=row.namespace,
            kind=NamespaceKind(row.namespace_kind),
            email=row.namespace_email,
            created_at=row.namespace_made_at,
        )
    return AuditRecord(
        id=row.id,
        kind=row.kind,
        actor_kind=ActorKind(row.actor_kind),
        actor_name=row.actor_name,
        actor_email=row.actor_email,
        namespace=namespace,
        metadata=row.metadata,
        ip=row.ip,
        created_at=row.created_at,
    )


async def count_by_day(tx: Tx, viewer: Viewer, wanted: AuditFilter) -> Sequence[AuditCount]:
    """How often each kind of thing was done on each day, by day and kind. One query."""
    micros = type_coerce(entries.c.created_at, BigInteger)
    day = (micros - micros % literal(_DAY, BigInteger)).label("day")
    rows = await tx.rows(
        select(entries.c.kind, day, func.count().label("number"))
        .where(*_wanted(viewer, wanted))
        .group_by(entries.c.kind, day)
        .order_by(day, entries.c.kind)
    )
    return [AuditCount(row.kind, of_micros(row.day), row.number) for row in rows]
