"""Events: what happened, whom it went to and why not to others, and sending one again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dockbell.domain.accounts import Actor
from dockbell.domain.deliveries import State
from dockbell.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from dockbell.domain.events import EventKind
from dockbell.domain.notifications import Notification
from dockbell.domain.permissions import AdminOf
from dockbell.domain.records import Consideration, DeliveryRecord, EventRecord, Verdict
from dockbell.services import deliveries, repositories
from dockbell.store import delivery_lists, event_lists, notification_lists
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
    tx: Tx, admin: AdminOf, *, kind: str | None, before: str, limit: int
) -> tuple[Sequence[ListedEvent], str | None]:
    """The repository's events, the newest first, and the id to go on from if there are more."""
    found = await event_lists.list_page(
        tx, admin.repository.id, kind=kind, before=before, limit=limit + 1
    )
    page = found[:limit]
    counts = await delivery_lists.count_of_events(tx, [one.event.id for one in page])
    listed = [ListedEvent(one, counts.get(one.event.id, {})) for one in page]
    return listed, page[-1].event.id if len(found) > limit else None


async def load(
    tx: Tx, actor: Actor, event_id: str, kinds: Mapping[str, EventKind]
) -> EventInFull:
    """The event with each of its repository's notifications: whether it got the event, and if not, why.

    The reasons are worked out from the notifications as they are now.
    """
    admin, record = await _known(tx, actor, event_id)
    standing = await notification_lists.list_of_repository(
        tx, admin.repository.id, after="", limit=_MOST
    )
    made = await delivery_lists.list_of_event(tx, event_id, _MOST)
    by_notification = {delivery.notification_id: delivery for delivery in made}
    kind = kinds.get(record.event.kind)
    considered = [
        _consider(record, kind, notification, by_notification.pop(notification.id, None))
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
    """Send the event to one notification of its repository, whether or not it was sent there before.

    Filters are not asked. Raise ConflictError with the reason if nothing can be sent to it.
    """
    admin, record = await _known(tx, actor, event_id)
    if not record.event.body:
        raise ConflictError("The event is expunged: nothing of it is kept that could be sent.")
    notification = await notification_lists.find(tx, notification_id)
    if notification is None or notification.repository_id != admin.repository.id:
        raise NotFoundError
    if notification.kind != record.event.kind:
        raise InvalidRequestError(
            f"The notification is for '{notification.kind}', the event is '{record.event.kind}'"
        )
    return await deliveries.replay(tx, admin, event_id, notification_id, key)


async def _known(tx: Tx, actor: Actor, event_id: str) -> tuple[AdminOf, EventRecord]:
    repositories.check_may_administer(actor)
    found = await event_lists.find(tx, event_id)
    if found is None:
        raise NotFoundError
    return await repositories.admin_by_id(tx, actor, found.repository_id), found


def _consider(
    record: EventRecord,
    kind: EventKind | None,
    notification: Notification,
    delivery: DeliveryRecord | None,
) -> Consideration:
    if delivery is not None:
        verdict = Verdict.MATCHED
    elif notification.created_at > record.recorded_at:
        verdict = Verdict.MADE_LATER
    elif notification.kind != record.event.kind:
        verdict = Verdict.OTHER_EVENT
    elif record.is_sample:
        verdict = Verdict.OTHER_TEST
    elif kind is None or not kind.accepts(record.event, notification.event_config):
        verdict = Verdict.FILTERED
    else:
        verdict = Verdict.NOT_SENT
    return Consideration(notification.id, notification, verdict, delivery)
