"""Events: lists, one in full with why it went where it did, and sending one again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from dockbell.api.v2.areas import IsInstance, NamespaceName, RepositoryPath
from dockbell.api.v2.deliveries import Delivery, RequestKey
from dockbell.api.v2.deliveries import shown as shown_delivery
from dockbell.domain import words
from dockbell.domain.deliveries import State
from dockbell.domain.notifications import NotificationScope
from dockbell.domain.records import Consideration, EventRecord, Verdict
from dockbell.services import areas, events
from dockbell.web.calls import ApiCall, Call
from dockbell.web.pages import USUAL, Cursor, Limit, Page, of_cursor, to_cursor

_ALL = "/events"
_ONE = "/events/{event_id:str}"


class Event(msgspec.Struct, frozen=True):
    """Something happened. `is_sample`: a test made it. An event of a namespace itself has no repository."""

    id: str
    event: str
    namespace: str
    repository: str | None
    summary: str
    performer: str | None
    is_sample: bool
    occurred_at: datetime
    recorded_at: datetime


class ListedEvent(msgspec.Struct, frozen=True):
    """An event, and how many of its deliveries are in each state."""

    event: Event
    deliveries: Mapping[State, int]


class ConsideredNotification(msgspec.Struct, frozen=True):
    """One notification: whether it got the event, and if not, why. `filter`: the one that refused the event."""

    notification: str
    scope: NotificationScope | None
    title: str | None
    method: str | None
    verdict: Verdict
    filter: str | None
    sentence: str
    delivery: Delivery | None


class EventInFull(msgspec.Struct, frozen=True):
    """An event with what is sent of it and every notification that it was held against and the caller administers."""

    event: Event
    payload: Mapping[str, Any]
    facts: Mapping[str, Any]
    considered: Sequence[ConsideredNotification]


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the event is to be sent to: a notification's `ntf_` id."""

    notification: str


def shown(call: ApiCall, record: EventRecord) -> Event:
    event = record.event
    kind = call.faces.kinds.get(event.kind)
    return Event(
        id=event.id,
        event=event.kind,
        namespace=event.subject.namespace,
        repository=None if event.subject.repository is None else event.subject.path,
        summary=event.kind if kind is None else kind.summary(event),
        performer=None if event.performer is None else event.performer.name,
        is_sample=record.is_sample,
        occurred_at=event.occurred_at,
        recorded_at=record.recorded_at,
    )


def _considered(one: Consideration) -> ConsideredNotification:
    notification, delivery = one.notification, one.delivery
    sentence = one.verdict.sentence
    if delivery is not None and delivery.is_parked:
        sentence = "It matched; the notification is paused, so the delivery is parked."
    if one.refused_by is not None:
        sentence = f"Its filter does not want this event: {one.refused_by}."
    return ConsideredNotification(
        notification=one.notification_id,
        scope=None if notification is None else notification.scope,
        title=None if notification is None else notification.title,
        method=None if notification is None else notification.method,
        verdict=one.verdict,
        filter=one.refused_by,
        sentence=sentence,
        delivery=None if delivery is None else shown_delivery(delivery),
    )


@get(_ALL)
async def list_events(  # noqa: PLR0913, PLR0917 -- one argument for each of the query's
    call: Call,
    repository: RepositoryPath = None,
    namespace: NamespaceName = None,
    instance: IsInstance = False,  # noqa: FBT002 -- a query's parameter has a name
    event: Annotated[str | None, QueryParameter(description="The event's kind.")] = None,
    limit: Limit = USUAL,
    cursor: Cursor = "",
) -> Page[ListedEvent]:
    """One page of the events of a repository, a namespace or the instance, the newest first, with counts of deliveries."""
    words.check_event(event, call.faces.kinds)
    before = of_cursor(cursor)
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer = await areas.viewer_of(
            tx, actor, repository=repository, namespace=namespace, is_instance=instance
        )
        found, last = await events.list_page(tx, viewer, kind=event, before=before, limit=limit)
    items = [ListedEvent(shown(call, one.record), one.counts) for one in found]
    return Page(items, to_cursor(last))


@get(_ONE)
async def get_event(call: Call, event_id: FromPath[str]) -> EventInFull:
    """The event with each notification of its repository, namespace and instance: whether it got it, and if not, why."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found = await events.load(tx, actor, event_id, call.faces.kinds)
    return EventInFull(
        event=shown(call, found.record),
        payload=found.record.event.data,
        facts=found.record.event.facts,
        considered=[_considered(one) for one in found.considered],
    )


@post(f"{_ONE}/replay", status_code=202)
async def replay(
    call: Call, event_id: FromPath[str], data: JSONBody[Replay], request_key: RequestKey = None
) -> Delivery:
    """Send the event to one notification of its repository, namespace or instance, sent there before or not."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        made = await events.replay(tx, actor, event_id, data.notification, request_key or None)
    return shown_delivery(made)


HANDLERS = [list_events, get_event, replay]
