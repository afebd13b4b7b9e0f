"""Deliveries and their tries: lists, one in full, sending again, calling off."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter

from dockbell.api.v2.areas import (
    EventId,
    IsInstance,
    NamespaceName,
    NotificationId,
    RepositoryPath,
)
from dockbell.domain import words
from dockbell.domain.advice import advice_of
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.errors import ConfigError
from dockbell.domain.records import AttemptRecord, DeliveryFilter, DeliveryRecord
from dockbell.services import areas, deliveries
from dockbell.services.deliveries import DeliveryWithAttempts
from dockbell.web.calls import Call
from dockbell.web.pages import (
    USUAL,
    Cursor,
    Limit,
    Page,
    number_of_cursor,
    of_cursor,
    to_cursor,
)

_ALL = "/deliveries"
_ONE = "/deliveries/{delivery_id:str}"
_ATTEMPTS_SHOWN = 50
_LONGEST_KEY = 128

StatusClass = Literal["2xx", "3xx", "4xx", "5xx"]
_CODES: Mapping[StatusClass, Sequence[str]] = {
    "2xx": ("ok",),
    "3xx": ("redirect_not_followed",),
    "4xx": ("http_4xx", "http_410", "http_429"),
    "5xx": ("http_5xx",),
}
HeldFor = Literal["retry_after", "rate_limit", "order", "host"]
# Held by a name is held for that host.
_HELD_FOR: Mapping[str, HeldFor] = {
    "retry-after": "retry_after",
    "rate-limit": "rate_limit",
    "in-order": "order",
}
RequestKey = Annotated[
    str | None,
    HeaderParameter(
        name="idempotency-key",
        max_length=_LONGEST_KEY,
        description="Any text of your own. A second request with the same one sends nothing more.",
    ),
]


class DeliveredEvent(msgspec.Struct, frozen=True):
    """What happened. Null parts: the event is no longer kept. One of a namespace itself has no repository."""

    id: str
    event: str | None
    namespace: str | None
    repository: str | None
    occurred_at: datetime | None


class DeliveryTarget(msgspec.Struct, frozen=True):
    """Where it goes. `is_deleted`: the notification is gone."""

    id: str
    title: str | None
    method: str | None
    is_deleted: bool


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one notification. `held_until`: it is due, but nothing of its kind is sent before."""

    id: str
    state: State
    trigger: Trigger
    event: DeliveredEvent
    notification: DeliveryTarget
    attempt_count: int
    last_code: str | None
    is_parked: bool
    next_attempt_at: datetime | None
    held_until: datetime | None
    held_for: HeldFor | None
    created_at: datetime
    finished_at: datetime | None


class Header(msgspec.Struct, frozen=True):
    name: str
    value: str


class Attempt(msgspec.Struct, frozen=True):
    """One try. Phases are seconds from its start until each was over; secrets in headers are masked."""

    number: int
    outcome: str
    code: str
    fault: str | None
    detail: str
    advice: str | None
    started_at: datetime
    duration_seconds: float
    phases: Mapping[str, float]
    address: str | None
    status: int | None
    request_headers: Sequence[Header]
    response_headers: Sequence[Header]
    response_body: str
    worker: str | None


class DeliveryInFull(msgspec.Struct, frozen=True):
    """A delivery with its last tries, the newest first."""

    delivery: Delivery
    attempts: Sequence[Attempt]


def held_for(held_by: str | None) -> HeldFor | None:
    """Why nothing is sent for a while, in a word for programs."""
    return None if held_by is None else _HELD_FOR.get(held_by, "host")


def shown(record: DeliveryRecord) -> Delivery:
    path = None if record.repository is None else f"{record.namespace}/{record.repository}"
    return Delivery(
        id=record.id,
        state=record.state,
        trigger=record.trigger,
        event=DeliveredEvent(
            record.event_id, record.kind, record.namespace, path, record.occurred_at
        ),
        notification=DeliveryTarget(
            id=record.notification_id,
            title=record.title,
            method=record.method,
            is_deleted=not record.has_notification,
        ),
        attempt_count=record.attempts,
        last_code=record.code,
        is_parked=record.is_parked,
        next_attempt_at=record.next_attempt_at,
        held_until=record.held_until,
        held_for=held_for(record.held_by),
        created_at=record.created_at,
        finished_at=record.finished_at,
    )


def shown_attempt(record: AttemptRecord) -> Attempt:
    return Attempt(
        number=record.number,
        outcome=record.outcome,
        code=record.code,
        fault=record.fault,
        detail=record.detail,
        advice=None if record.outcome == "delivered" else advice_of(record.code),
        started_at=record.started_at,
        duration_seconds=record.duration.total_seconds(),
        phases=record.phases,
        address=record.address,
        status=record.status,
        request_headers=[Header(name, value) for name, value in record.request_headers],
        response_headers=[Header(name, value) for name, value in record.response_headers],
        response_body=record.response_body.decode("utf-8", "replace"),
        worker=record.worker,
    )


def in_full(found: DeliveryWithAttempts) -> DeliveryInFull:
    return DeliveryInFull(
        shown(found.delivery), [shown_attempt(record) for record in found.attempts]
    )


def codes_of(status_class: StatusClass | None, codes: Sequence[str]) -> Sequence[str]:
    """The codes that both filters let through; none at all is an empty code, which no delivery has.

    ConfigError for one that there is not.
    """
    words.check_codes(codes)
    if status_class is None:
        return codes
    of_class = _CODES[status_class]
    return [code for code in of_class if not codes or code in codes] or [""]


def moment(value: datetime | None, name: str) -> datetime | None:
    """The time, which must say its zone."""
    if value is not None and value.tzinfo is None:
        raise ConfigError(
            f"'{name}' must be a time with its zone, such as 2026-03-14T12:00:00Z", field=name
        )
    return value


@get(_ALL)
async def list_deliveries(  # noqa: PLR0913, PLR0917 -- one argument for each filter
    call: Call,
    repository: RepositoryPath = None,
    namespace: NamespaceName = None,
    instance: IsInstance = False,  # noqa: FBT002 -- a query's parameter has a name
    notification: NotificationId = None,
    event_id: EventId = None,
    in_state: Annotated[
        list[State] | None, QueryParameter(name="state", description="One or several.")
    ] = None,
    event: Annotated[str | None, QueryParameter(description="The event's kind.")] = None,
    trigger: FromQuery[Trigger | None] = None,
    status_class: Annotated[
        StatusClass | None, QueryParameter(description="Of the last try's answer.")
    ] = None,
    code: Annotated[
        list[str] | None, QueryParameter(description="Of the last try; one or several.")
    ] = None,
    since: Annotated[datetime | None, QueryParameter(description="Made then or later.")] = None,
    until: Annotated[datetime | None, QueryParameter(description="Made before.")] = None,
    limit: Limit = USUAL,
    cursor: Cursor = "",
) -> Page[Delivery]:
    """One page of a place's deliveries, the newest first. Name a repository, namespace, instance, notification or event."""
    words.check_event(event, call.faces.kinds)
    wanted = DeliveryFilter(
        states=in_state or (),
        kind=event,
        event_id=event_id,
        notification_id=notification,
        codes=codes_of(status_class, code or ()),
        trigger=trigger,
        since=moment(since, "since"),
        until=moment(until, "until"),
    )
    before = of_cursor(cursor)
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer = await areas.viewer_of(
            tx,
            actor,
            repository=repository,
            namespace=namespace,
            is_instance=instance,
            notification_id=notification,
            event_id=event_id,
        )
        found, last = await deliveries.list_page(tx, viewer, wanted, before=before, limit=limit)
    return Page([shown(record) for record in found], to_cursor(last))


@get(_ONE)
async def get_delivery(call: Call, delivery_id: FromPath[str]) -> DeliveryInFull:
    """The delivery with its last 50 tries, the newest first."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found = await deliveries.load(tx, actor, delivery_id, attempts=_ATTEMPTS_SHOWN)
    return in_full(found)


@get(f"{_ONE}/attempts")
async def list_attempts(
    call: Call, delivery_id: FromPath[str], limit: Limit = USUAL, cursor: Cursor = ""
) -> Page[Attempt]:
    """One page of the delivery's tries, the newest first."""
    before = number_of_cursor(cursor)
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, last = await deliveries.list_attempts(
            tx, actor, delivery_id, before=before, limit=limit
        )
    return Page([shown_attempt(record) for record in found], to_cursor(last))


@post(f"{_ONE}/redeliver", status_code=202)
async def redeliver(
    call: Call, delivery_id: FromPath[str], request_key: RequestKey = None
) -> Delivery:
    """Send it again now, with a new series of tries under the same id; a try planned for later is dropped."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        after = await deliveries.redeliver(tx, actor, delivery_id, request_key or None)
    return shown(after)


@post(f"{_ONE}/cancel", status_code=200)
async def cancel(call: Call, delivery_id: FromPath[str]) -> Delivery:
    """Call off a delivery that waits; one that is cancelled already stays so."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        after = await deliveries.cancel(tx, actor, delivery_id)
    return shown(after)


HANDLERS = [list_deliveries, get_delivery, list_attempts, redeliver, cancel]
