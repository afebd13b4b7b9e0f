"""Lists of deliveries and their attempts, as people look at them. The queue itself is in `store.deliveries`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, null, select, union_all

from dockbell.domain import ids
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.notifications import INSTANCE
from dockbell.domain.permissions import ViewerOfAll, ViewerOfPlace
from dockbell.domain.records import AttemptRecord, DeliveryFilter, DeliveryRecord
from dockbell.store.tables import attempts, deliveries, events, fan_outs, lanes, notifications
from dockbell.store.transactions import Tx

_EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
# An id is made while its transaction runs, and `created_at` is when it began.
_SLACK = timedelta(hours=1)

_JOINED = (
    deliveries.outerjoin(events, events.c.id == deliveries.c.event_id)
    .outerjoin(notifications, notifications.c.id == deliveries.c.notification_id)
    .outerjoin(lanes, lanes.c.id == deliveries.c.lane_id)
)
_SELECT = select(
    deliveries.c.id,
    deliveries.c.event_id,
    deliveries.c.notification_id,
    deliveries.c.place_id,
    deliveries.c.trigger,
    deliveries.c.state,
    deliveries.c.tries,
    deliveries.c.attempts,
    deliveries.c.due_at,
    deliveries.c.code,
    deliveries.c.created_at,
    deliveries.c.finished_at,
    deliveries.c.request_key,
    events.c.kind,
    events.c.namespace,
    events.c.repository,
    events.c.occurred_at,
    notifications.c.method,
    notifications.c.title,
    notifications.c.paused_at,
    lanes.c.held_until,
    lanes.c.held_by,
).select_from(_JOINED)


def _of_row(row: Row[Any], now: datetime) -> DeliveryRecord:
    state = State(row.state)
    is_held = state is State.WAITING and row.held_until is not None and row.held_until > now
    return DeliveryRecord(
        id=row.id,
        event_id=row.event_id,
        notification_id=row.notification_id,
        place_id=row.place_id,
        trigger=Trigger(row.trigger),
        state=state,
        tries=row.tries,
        attempts=row.attempts,
        due_at=row.due_at,
        code=row.code,
        created_at=row.created_at,
        finished_at=row.finished_at,
        request_key=row.request_key,
        kind=row.kind,
        namespace=row.namespace,
        repository=row.repository,
        occurred_at=row.occurred_at,
        method=row.method,
        title=row.title,
        is_paused=row.paused_at is not None,
        held_until=row.held_until if is_held else None,
        held_by=row.held_by if is_held else None,
    )


def made_between(
    column: ColumnElement[str], prefix: str, since: datetime | None, until: datetime | None
) -> Sequence[ColumnElement[bool]]:
    """Bounds of ids that hold all rows made in that time and few others: an index of ids can use them."""
    bounds = []
    if since is not None:
        least = min(max(since, _EARLIEST + _SLACK), _LATEST) - _SLACK
        bounds.append(column >= ids.compose(prefix, least, 0))
    if until is not None:
        most = max(min(until, _LATEST), _EARLIEST) + _SLACK
        bounds.append(column < ids.compose(prefix, most, 0))
    return bounds


def matching(place_id: str, wanted: DeliveryFilter) -> ColumnElement[bool]:
    """The condition for a place's deliveries that fit. It may name columns of `events`."""
    table = deliveries.c
    # Of two conditions that mean nearly the same rows, PostgreSQL would read both indexes whole. As an
    # expression, the wider one only checks what the narrower one finds.
    is_narrow = wanted.notification_id is not None or wanted.event_id is not None
    owner = func.coalesce(table.place_id, "") if is_narrow else table.place_id
    conditions: list[ColumnElement[bool]] = [owner == place_id]
    if wanted.states:
        conditions.append(table.state.in_([state.value for state in wanted.states]))
    if wanted.kind is not None:
        conditions.append(events.c.kind == wanted.kind)
    if wanted.event_id is not None:
        conditions.append(table.event_id == wanted.event_id)
    if wanted.notification_id is not None:
        named: ColumnElement[str] | str = wanted.notification_id
        if ids.is_uuid(wanted.notification_id):
            uuids = notifications.alias("by_uuid").c
            named = (
                select(uuids.id).where(uuids.uuid == wanted.notification_id).scalar_subquery()
            )
        conditions.append(table.notification_id == named)
    if wanted.codes:
        conditions.append(table.code.in_(wanted.codes))
    if wanted.trigger is not None:
        conditions.append(table.trigger == wanted.trigger.value)
    if wanted.since is not None:
        conditions.append(table.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.created_at < wanted.until)
    conditions += made_between(table.id, "dlv", wanted.since, wanted.until)
    return and_(*conditions)


async def list_page(
    tx: Tx, place_id: str, wanted: DeliveryFilter, *, before: str, limit: int
) -> Sequence[DeliveryRecord]:
    """Up to `limit` of the place's deliveries that fit, the newest first. One query.

    `before` is the id that the page before ended with, or empty.
    """
    statement = page(place_id, wanted, before=before, limit=limit)
    return [_of_row(row, tx.now) for row in await tx.rows(statement)]


def page(place_id: str, wanted: DeliveryFilter, *, before: str, limit: int) -> Select[Any]:
    """The statement of `list_page`."""
    statement = _SELECT.where(matching(place_id, wanted))
    if before:
        statement = statement.where(deliveries.c.id < before)
    return statement.order_by(deliveries.c.id.desc()).limit(limit)


def _reached(viewer: ViewerOfPlace) -> ColumnElement[bool]:
    place_id = func.coalesce(deliveries.c.place_id, "")
    if isinstance(viewer, ViewerOfAll):
        return place_id != INSTANCE  # those of its repositories, and its own
    return place_id == viewer.place_id


def _is_reached(viewer: ViewerOfPlace, place_id: str) -> bool:
    """The same of one place."""
    return (
        place_id != INSTANCE if isinstance(viewer, ViewerOfAll) else place_id == viewer.place_id
    )


async def find(tx: Tx, delivery_id: str) -> DeliveryRecord | None:
    row = await tx.first(_SELECT.where(deliveries.c.id == delivery_id))
    return None if row is None else _of_row(row, tx.now)


async def list_of_event(
    tx: Tx, event_id: str, place_ids: Sequence[str], limit: int
) -> Sequence[DeliveryRecord]:
    """The event's deliveries in these places, the first made first. One query."""
    rows = await tx.rows(
        _SELECT.where(
            deliveries.c.event_id == event_id,
            func.coalesce(deliveries.c.place_id, "").in_(place_ids),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return [_of_row(row, tx.now) for row in rows]


async def list_of_ids(tx: Tx, delivery_ids: Sequence[str]) -> Sequence[DeliveryRecord]:
    """These deliveries, the first made first; those that are gone are left out. One query."""
    rows = await tx.rows(
        _SELECT.where(deliveries.c.id.in_(delivery_ids)).order_by(deliveries.c.id)
    )
    return [_of_row(row, tx.now) for row in rows]


async def list_attempts(
    tx: Tx, delivery_id: str, *, before: int | None, limit: int
) -> Sequence[AttemptRecord]:
    """Up to `limit` of the delivery's tries with a number below `before`, the newest first. One query."""
    statement = select(attempts).where(attempts.c.delivery_id == delivery_id)
    if before is not None:
        statement = statement.where(attempts.c.number < before)
    rows = await tx.rows(statement.order_by(attempts.c.number.desc()).limit(limit))
    return [_attempt_of(row) for row in rows]


def _attempt_of(row: Row[Any]) -> AttemptRecord:
    return AttemptRecord(
        number=row.number,
        outcome=row.outcome,
        code=row.code,
        detail=row.detail,
        fault=row.fault,
        status=row.status,
        address=row.address,
        started_at=row.started_at,
        duration=timedelta(microseconds=row.duration_micros),
        phases=row.phases or {},
        request_headers=[(name, value) for name, value in row.request_headers or ()],
        response_headers=[(name, value) for name, value in row.response_headers or ()],
        response_body=row.response_body or b"",
        worker=row.worker,
    )


async def count_of_events(
    tx: Tx, event_ids: Sequence[str], viewer: ViewerOfPlace
) -> Mapping[str, Mapping[State, int]]:
    """How many deliveries of each event are in each state, as far as this right reaches. One query.

    Those that are still to be made, of an event with very many, wait as much as any.
    """
    if not event_ids:
        return {}
    # One statement, because a part may be made between two.
    made = (
        select(
            deliveries.c.event_id,
            deliveries.c.state,
            func.count().label("number"),
            null().label("wanted"),
        )
        .where(deliveries.c.event_id.in_(event_ids), _reached(viewer))
        .group_by(deliveries.c.event_id, deliveries.c.state)
    )
    put_off = select(
        fan_outs.c.event_id,
        literal(State.WAITING.value).label("state"),
        fan_outs.c.size.label("number"),
        fan_outs.c.wanted,
    ).where(fan_outs.c.event_id.in_(event_ids))
    counts: dict[str, dict[State, int]] = {}
    for row in await tx.rows(union_all(put_off, made)):
        if row.wanted is None or _is_reached(viewer, row.wanted[0]):
            of_event = counts.setdefault(row.event_id, {})
            of_event[State(row.state)] = of_event.get(State(row.state), 0) + row.number
    return counts
