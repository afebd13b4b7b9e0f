"""Deliveries and their tries: looking at them, sending again, calling off."""

from collections.abc import Sequence
from dataclasses import replace

from dockbell.domain.accounts import Actor
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.errors import ConflictError, NotFoundError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import AdminOfPlace, ViewerOfPlace
from dockbell.domain.records import AttemptRecord, DeliveryFilter, DeliveryRecord
from dockbell.net import addresses
from dockbell.services import areas, audit_entries, repositories
from dockbell.store import delivery_lists, events, fan_out, redeliveries
from dockbell.store.transactions import Tx

_KEPT_BACK = b"The operator shows what internal targets answer to superusers only."


class NotificationGoneError(ConflictError):
    """The notification of this delivery was deleted, so there is nowhere to send it."""

    kind = "notification_gone"


class NotificationPausedError(ConflictError):
    """The notification is paused: resume it, and what waits is sent; or test it first."""

    kind = "notification_paused"


class EventGoneError(ConflictError):
    """The event of this delivery is no longer kept, so there is nothing to send."""

    kind = "event_gone"


class BeingSentError(ConflictError):
    """The delivery is being sent just now. Wait for what comes of it."""

    kind = "being_sent"


class NotWaitingError(ConflictError):
    """Only a delivery that waits can be cancelled."""

    kind = "not_waiting"


@dataclass(frozen=True, slots=True)
class DeliveryWithAttempts:
    """A delivery with its last tries, the newest first."""

    delivery: DeliveryRecord
    attempts: Sequence[AttemptRecord]


async def list_page(
    tx: Tx, viewer: ViewerOfPlace, wanted: DeliveryFilter, *, before: str, limit: int
) -> tuple[Sequence[DeliveryRecord], str | None]:
    """The place's deliveries that fit, the newest first, and the id to go on from if there are more.

    A page never skips or repeats a row, whatever is recorded meanwhile.
    """
    found = await delivery_lists.list_page(
        tx, viewer.place_id, wanted, before=before, limit=limit + 1
    )
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def load(
    tx: Tx, actor: Actor, delivery_id: str, *, attempts: int
) -> DeliveryWithAttempts:
    """The delivery with so many of its tries; NotFoundError for one that the caller may not see."""
    delivery = await _seen(tx, actor, delivery_id)
    made = await delivery_lists.list_attempts(tx, delivery.id, before=None, limit=attempts)
    return DeliveryWithAttempts(delivery, [_as_seen_by(actor, one) for one in made])


async def list_attempts(
    tx: Tx, actor: Actor, delivery_id: str, *, before: int | None, limit: int
) -> tuple[Sequence[AttemptRecord], int | None]:
    """The delivery's tries, the newest first, and the number to go on from if there are more."""
    delivery = await _seen(tx, actor, delivery_id)
    found = await delivery_lists.list_attempts(tx, delivery.id, before=before, limit=limit + 1)
    page = found[:limit]
    last = page[-1].number if len(found) > limit else None
    return [_as_seen_by(actor, one) for one in page], last


def _as_seen_by(actor: Actor, attempt: AttemptRecord) -> AttemptRecord:
    """The try, without what an internal target said where the operator keeps that from this caller."""
    if actor.sees_internal_answers or _is_public(attempt.address):
        return attempt
    return replace(attempt, response_headers=(), response_body=_KEPT_BACK)


def _is_public(address: str | None) -> bool:
    """Whether all the world can reach it; so can whoever was never connected to, who said nothing."""
    parsed = None if address is None else addresses.parse(address)
    return parsed is None or addresses.verdict(parsed) is None


async def redeliver(
    tx: Tx, actor: Actor, delivery_id: str, key: str | None = None
) -> DeliveryRecord:
    """Send the delivery again, whatever came of it: a new series of tries under the same id.

    A try that was planned for later is dropped, so that it is never sent twice. With a `key`, a second call
    with the same one changes nothing. Raise ConflictError with the reason if it cannot be.
    """
    admin, delivery = await _known(tx, actor, delivery_id)
    if not await events.is_kept(tx, delivery.event_id):
        raise EventGoneError
    await _hold(tx, delivery.notification_id, trigger=delivery.trigger)
    is_done = await redeliveries.redeliver(
        tx, delivery.id, delivery.notification_id, delivery.trigger, key
    )
    after = await _reload(tx, delivery)
    if is_done:
        await _note(tx, admin, "redeliver_delivery", delivery)
    elif key is None or after.request_key != key:
        raise BeingSentError
    return after


async def cancel(tx: Tx, actor: Actor, delivery_id: str) -> DeliveryRecord:
    """Call off a delivery that waits. One that is cancelled already stays so; ConflictError for any other."""
    admin, delivery = await _known(tx, actor, delivery_id)
    if await redeliveries.cancel(tx, delivery.id):
        await _note(tx, admin, "cancel_delivery", delivery)
        return await _reload(tx, delivery)
    after = await _reload(tx, delivery)
    if after.state is State.SENDING:
        raise BeingSentError
    if after.state is not State.CANCELLED:
        raise NotWaitingError(
            f"The delivery is {after.state.value}. Only one that waits can be cancelled."
        )
    return after


async def replay(
    tx: Tx, admin: AdminOfPlace, event_id: str, notification_id: str, key: str | None
) -> DeliveryRecord:
    """Send an event to this notification of the place, whether or not it was sent before.

    A delivery that the two have already is sent again; otherwise one is made. Filters are not asked.
    The caller has checked that the notification belongs to the place, and the event to it too.
    """
    await _hold(tx, notification_id, trigger=Trigger.REDELIVER)
    wanted = DeliveryFilter(event_id=event_id, notification_id=notification_id)
    earlier = await delivery_lists.list_page(tx, admin.place_id, wanted, before="", limit=1)
    if earlier:
        return await redeliver(tx, admin.actor, earlier[0].id, key)
    row = (event_id, admin.place_id, notification_id, False)
    (made,) = await fan_out.record(tx, [row], Trigger.REDELIVER)
    if key is not None:
        await redeliveries.set_key(tx, made, key)
    tx.ring()
    delivery = await delivery_lists.find(tx, made)
    if delivery is None:
        raise NotFoundError
    await _note(tx, admin, "redeliver_delivery", delivery)
    return delivery


async def _hold(tx: Tx, notification_id: str, *, trigger: Trigger) -> None:
    """Keep the notification from being deleted meanwhile; raise ConflictError if nothing can be sent to it."""
    is_paused = await redeliveries.hold_notification(tx, notification_id)
    if is_paused is None:
        raise NotificationGoneError
    if is_paused and trigger is not Trigger.TEST:
        raise NotificationPausedError


async def _seen(tx: Tx, actor: Actor, delivery_id: str) -> DeliveryRecord:
    repositories.check_may_view(actor)
    delivery = await delivery_lists.find(tx, delivery_id)
    if delivery is None:
        raise NotFoundError
    await areas.viewer_by_id(tx, actor, delivery.place_id)
    return delivery


async def _known(tx: Tx, actor: Actor, delivery_id: str) -> tuple[AdminOfPlace, DeliveryRecord]:
    repositories.check_may_administer(actor)
    delivery = await delivery_lists.find(tx, delivery_id)
    if delivery is None:
        raise NotFoundError
    return await areas.admin_by_id(tx, actor, delivery.place_id), delivery


async def _reload(tx: Tx, delivery: DeliveryRecord) -> DeliveryRecord:
    found = await delivery_lists.find(tx, delivery.id)
    if found is None:
        raise NotFoundError
    return found


async def _note(tx: Tx, admin: AdminOfPlace, kind: str, delivery: DeliveryRecord) -> None:
    await audit_entries.write_at(
        tx,
        admin,
        kind,
        delivery_id=delivery.id,
        event_id=delivery.event_id,
        notification_id=delivery.notification_id,
    )
