"""Events: what happened, whom it went to and why not to others, and sending one again."""

from collections.abc import Callable, Mapping, Sequence

from dockbell.domain.accounts import Actor
from dockbell.domain.deliveries import State
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.events import EventKind
from dockbell.domain.filters import of_document, refusal_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import Notification
from dockbell.domain.permissions import AdminOfPlace, ViewerOfPlace
from dockbell.domain.records import Consideration, DeliveryRecord, EventRecord, Verdict
from dockbell.services import areas, deliveries, repositories
from dockbell.store import delivery_lists, event_lists, fan_out, notification_lists
from dockbell.store.transactions import Tx

_MOST = 1000  # notifications that one event is held against


@dataclass(frozen=True, slots=True)
class EventInFull:
    """An event with every notification that it was held against."""

    record: EventRecord
    considered: Sequence[Consideration]


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event, and how many of its deliveries are in each state."""

    record: EventRecord
    counts: Mapping[State, int]


async def list_page(
    tx: Tx, viewer: ViewerOfPlace, *, kind: str | None, before: str, limit: int
) -> tuple[Sequence[ListedEvent], str | None]:
    """The place's events, the newest first, and the id to go on from if there are more."""
    kinds = () if kind is None else (kind,)
    found = await event_lists.list_page(tx, viewer, kinds=kinds, before=before, limit=limit + 1)
    page = found[:limit]
    counts = await delivery_lists.count_of_events(tx, [one.event.id for one in page], viewer)
    listed = [ListedEvent(one, counts.get(one.event.id, {})) for one in page]
    return listed, page[-1].event.id if len(found) > limit else None


async def load(
    tx: Tx, actor: Actor, event_id: str, kinds: Mapping[str, EventKind]
) -> EventInFull:
    """The event with each notification of its places that the caller may see: whether it got it, and if not, why.

    Its places are its repository, its namespace and the server. The reasons are worked out from the
    notifications as they are now.
    """
    record = await _find(tx, event_id, repositories.check_may_view, actor)
    viewers = await areas.viewers_of_event(tx, actor, record)
    standing = [
        notification
        for viewer in viewers
        for notification in await notification_lists.list_of_place(
            tx, viewer, after="", limit=_MOST
        )
    ]
    put_off = await fan_out.find_put_off(tx, event_id)  # first: one can be made meanwhile
    made = await delivery_lists.list_of_event(
        tx, event_id, [viewer.place_id for viewer in viewers], _MOST
    )
    by_notification = {delivery.notification_id: delivery for delivery in made}
    kind = kinds.get(record.event.kind)
    considered = [
        Consideration(notification.id, notification, Verdict.PENDING, None)
        if notification.id in put_off and notification.id not in by_notification
        else _consider(record, kind, notification, by_notification.pop(notification.id, None))
        for notification in standing
    ]
    gone = [
        Consideration(notification_id, None, Verdict.MATCHED, delivery)
        for notification_id, delivery in by_notification.items()
    ]
    return EventInFull(record, [*considered, *gone])


async def replay(
    tx: Tx, actor: Actor, event_id: str, notification_id: str, key: str | None = None
) -> DeliveryRecord:
    """Send the event to one notification of one of its places, whether or not it was sent there before.

    Filters are not asked. Raise ConflictError with the reason if nothing can be sent to it.
    """
    admins, record = await _known(tx, actor, event_id)
    if not record.event.body:
        raise deliveries.EventGoneError(
            "The event is expunged: nothing of it is kept that could be sent."
        )
    notification = await notification_lists.find(tx, notification_id)
    admin = next(
        (
            one
            for one in admins
            if notification is not None and one.place_id == notification.place_id
        ),
        None,
    )
    if notification is None or admin is None:
        raise NotFoundError
    if record.event.kind not in notification.kinds:
        raise InvalidRequestError(
            f"The notification is for {' and '.join(map(repr, notification.kinds))},"
            f" the event is '{record.event.kind}'"
        )
    return await deliveries.replay(tx, admin, event_id, notification_id, key)


async def _known(
    tx: Tx, actor: Actor, event_id: str
) -> tuple[Sequence[AdminOfPlace], EventRecord]:
    found = await _find(tx, event_id, repositories.check_may_administer, actor)
    return await areas.admins_of_event(tx, actor, found), found


async def _find(
    tx: Tx, event_id: str, check: Callable[[Actor], None], actor: Actor
) -> EventRecord:
    """The event, once it is checked that the caller may see any at all."""
    check(actor)
    found = await event_lists.find(tx, event_id)
    if found is None:
        raise NotFoundError
    return found


def _consider(
    record: EventRecord,
    kind: EventKind | None,
    notification: Notification,
    delivery: DeliveryRecord | None,
) -> Consideration:
    refused_by = None
    if delivery is not None:
        verdict = Verdict.MATCHED
    elif notification.created_at > record.recorded_at:
        verdict = Verdict.MADE_LATER
    elif record.event.kind not in notification.kinds:
        verdict = Verdict.OTHER_EVENT
    elif record.is_sample:
        verdict = Verdict.OTHER_TEST
    elif (
        refused_by := refusal_of(
            record.event, kind, notification.event_config, of_document(notification.filters)
        )
    ) is not None:
        verdict = Verdict.FILTERED
    else:
        verdict = Verdict.NOT_SENT
    return Consideration(notification.id, notification, verdict, delivery, refused_by)
