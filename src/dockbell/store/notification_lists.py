"""Notifications as people look for them and change them, and how one is doing."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, literal, select, update

from dockbell.domain.deliveries import State
from dockbell.domain.forms import PayloadForm
from dockbell.domain.ids import is_uuid
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import Notification, Outline
from dockbell.domain.permissions import ViewerOfPlace
from dockbell.domain.records import Health
from dockbell.store import lanes, notification_tls, notifications
from dockbell.store.tables import deliveries, repositories
from dockbell.store.tables import lanes as lane_rows
from dockbell.store.tables import notifications as table
from dockbell.store.transactions import Tx

_LONGEST_KEPT = 1024  # characters of a document whose other spelling is remembered
_LAST = 1000  # deliveries in which the last success and failure are looked for


@dataclass(frozen=True, slots=True)
class ListedNotification:
    """A notification, and the name of its repository without the namespace, if it has one."""

    notification: Notification
    repository: str | None


async def find(tx: Tx, named: str) -> Notification | None:
    """The notification with this id or, as API v1 shows it, this UUID; without its signing secrets."""
    column = table.c.uuid if is_uuid(named) else table.c.id
    row = await tx.first(notifications.selection().where(column == named))
    if row is None:
        return None
    (found,) = await notification_tls.completed(tx, [notifications.of_row(tx, row)])
    return found


async def list_outlines(tx: Tx, repository_id: str) -> Sequence[Outline]:
    """All notifications of the repository in the order they were created, for showing. One query.

    Config is opened and passed on as the text it was sealed as. It is the most called list of all.
    """
    rows = await tx.hot(tx.dialect.LIST_OUTLINES, (repository_id,))
    opened = tx.seal.open
    return [
        Outline(
            uuid,
            title,
            kind,
            method,
            opened(config).decode(),
            _respelled(event_config),
            streak,
            paused_at is not None,
        )
        for uuid, title, kind, method, config, event_config, streak, paused_at in rows
    ]


def _respelled(document: str) -> str:
    """A stored document as `json.dumps` writes it. Most are short, and among few."""
    return _spelling_of(document) if len(document) <= _LONGEST_KEPT else _spell(document)


def _spell(document: str) -> str:
    return json.dumps(msgspec.json.decode(document))


_spelling_of = lru_cache(maxsize=256)(_spell)


async def list_of_place(
    tx: Tx, admin: ViewerOfPlace, *, after: str, limit: int
) -> Sequence[Notification]:
    """Up to `limit` of the notifications of this very place with a later id than `after`, in order. Two queries."""
    statement = notifications.selection().where(_of_place(admin))
    rows = await tx.rows(_page(statement, after=after, limit=limit))
    return await notification_tls.completed(tx, [notifications.of_row(tx, row) for row in rows])


async def count_of_place(tx: Tx, admin: ViewerOfPlace) -> int:
    """How many notifications this very place has."""
    row = await tx.first(select(func.count()).select_from(table).where(_of_place(admin)))
    return 0 if row is None else int(row[0])


def _of_place(admin: ViewerOfPlace) -> ColumnElement[bool]:
    if admin.repository_id is not None:
        return table.c.repository_id == admin.repository_id
    # Of no namespace either, if it is the whole server.
    return and_(
        table.c.namespace_id.is_not_distinct_from(admin.namespace_id),
        table.c.repository_id.is_(None),
    )


async def list_of_namespace(
    tx: Tx, namespace_id: str, *, after: str, limit: int
) -> Sequence[ListedNotification]:
    """The same for a namespace and all its repositories. Two queries."""
    statement = (
        notifications.selection()
        .add_columns(repositories.c.name)
        .outerjoin(repositories, repositories.c.id == table.c.repository_id)
        .where(table.c.namespace_id == namespace_id)
    )
    rows = await tx.rows(_page(statement, after=after, limit=limit))
    found = await notification_tls.completed(
        tx, [notifications.of_row(tx, row[:-1]) for row in rows]
    )
    return [ListedNotification(one, row[-1]) for one, row in zip(found, rows, strict=True)]


def _page(statement: Select[Any], *, after: str, limit: int) -> Select[Any]:
    return statement.where(table.c.id > after).order_by(None).order_by(table.c.id).limit(limit)


async def update_settings(  # noqa: PLR0913 -- one argument for each column that may change
    tx: Tx,
    notification_id: str,
    *,
    method: str,
    title: str | None,
    config: Mapping[str, object],
    event_config: Mapping[str, object],
    kinds: tuple[str, ...],
    filters: Mapping[str, object] | None,
    payload_form: PayloadForm,
    rate_limit: float | None,
    in_order: bool,
) -> bool:
    """Change what the notification does; tries that begin after the commit do it the new way.

    Return False if it is gone.
    """
    changed = await tx.run(
        update(table)
        .where(table.c.id == notification_id)
        .values(
            method=method,
            title=title,
            config_sealed=tx.seal.close(json.dumps(config).encode()),
            event_config=event_config,
            kind=kinds[0],
            further_kinds=" ".join(kinds[1:]),
            filter=filters,
            payload_form=payload_form.value,
            rate_limit=rate_limit,
            in_order=in_order,
            updated_at=tx.now,
        )
    )
    return changed == 1


async def count_waiting(tx: Tx, notification_id: str) -> int:
    """How many of its deliveries wait, tests left out. One query, by an index of what waits."""
    row = await tx.first(
        select(func.count().label("number")).where(
            deliveries.c.lane_id.in_(lanes.lanes_of(notification_id)),
            deliveries.c.state == State.WAITING.value,
        )
    )
    return 0 if row is None else int(row.number)


async def health(tx: Tx, notification_id: str) -> Health:
    """How the notification is doing. Five queries; the last success and failure are those of its last deliveries."""
    waiting = await count_waiting(tx, notification_id)
    sending = await tx.first(
        select(func.coalesce(func.sum(lane_rows.c.inflight), literal(0)).label("number")).where(
            lane_rows.c.id.in_(
                [*lanes.lanes_of(notification_id), lanes.lane_of_tests(notification_id)]
            )
        )
    )
    held = await tx.first(
        select(lane_rows.c.held_until, lane_rows.c.held_by).where(
            lane_rows.c.id == notification_id, lane_rows.c.held_until > tx.now
        )
    )
    success = await tx.first(_newest(notification_id, State.DELIVERED))
    failure = await tx.first(_newest(notification_id, State.DEAD))
    return Health(
        waiting=waiting,
        sending=0 if sending is None else int(sending.number),
        last_success_at=None if success is None else success.finished_at,
        last_failure_at=None if failure is None else failure.finished_at,
        last_failure_code=None if failure is None else failure.code,
        held_until=None if held is None else held.held_until,
        held_by=None if held is None else held.held_by,
    )


def _newest(notification_id: str, state: State) -> Select[Any]:
    """The delivery that reached this state last, among the last ones made."""
    last = (
        select(deliveries.c.state, deliveries.c.finished_at, deliveries.c.code)
        .where(deliveries.c.notification_id == notification_id)
        .order_by(deliveries.c.id.desc())
        .limit(_LAST)
        .subquery()
    )
    return (
        select(last.c.finished_at, last.c.code)
        .where(last.c.state == state.value)
        .order_by(last.c.finished_at.desc())
        .limit(1)
    )
