"""Notifications: standing orders, with their configuration sealed."""

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Select, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into

from dockbell.domain.deliveries import PauseReason
from dockbell.domain.errors import SetupError
from dockbell.domain.filters import Filter, of_document, of_text
from dockbell.domain.forms import PayloadForm
from dockbell.domain.ids import uuid_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import INSTANCE, Notification
from dockbell.domain.signing import Signature
from dockbell.store import notification_tls, sequences, signing_secrets
from dockbell.store.tables import notification_kinds, notifications
from dockbell.store.transactions import Tx

_COLUMNS = (
    notifications.c.id,
    notifications.c.uuid,
    notifications.c.namespace_id,
    notifications.c.repository_id,
    notifications.c.kind,
    notifications.c.method,
    notifications.c.title,
    notifications.c.config_sealed,
    notifications.c.event_config,
    notifications.c.payload_form,
    notifications.c.signatures,
    notifications.c.failure_streak,
    notifications.c.paused_at,
    notifications.c.pause_reason,
    notifications.c.created_at,
    notifications.c.failing_since,
    notifications.c.further_kinds,
    notifications.c.filter,
    notifications.c.rate_limit,
    notifications.c.in_order,
)


@lru_cache(maxsize=256)
def _kinds_of(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@lru_cache(maxsize=16)
def _signatures_of(text: str) -> tuple[Signature, ...]:
    return tuple(Signature(name) for name in text.split())


# What reading a row raises when a value in it is not what we wrote. A wrong key is a SetupError.
_UNSOUND = (SetupError, ValueError, TypeError, msgspec.MsgspecError)


def selection() -> Select[Any]:
    """The notifications whose rows `of_row` reads, in the order they were created."""
    return select(*_COLUMNS).order_by(notifications.c.created_at, notifications.c.id)


def of_row(tx: Tx, row: Sequence[Any]) -> Notification:
    # By place, in the order of _COLUMNS: by name it takes twice as long, and lists are long.
    (
        found_id,
        uuid,
        namespace_id,
        repository_id,
        kind,
        method,
        title,
        config,
        event_config,
        form,
        signatures,
        streak,
        paused_at,
        reason,
        created_at,
        failing_since,
        further_kinds,
        filters,
        rate_limit,
        in_order,
    ) = row
    return Notification(
        id=found_id,
        uuid=uuid,
        namespace_id=namespace_id,
        repository_id=repository_id,
        kind=kind,
        method=method,
        title=title,
        config=msgspec.json.decode(tx.seal.open(config)),
        event_config=event_config,
        payload_form=PayloadForm(form),
        signatures=_signatures_of(signatures),
        failure_streak=streak,
        paused_at=paused_at,
        pause_reason=None if reason is None else PauseReason(reason),
        created_at=created_at,
        failing_since=failing_since,
        further_kinds=_kinds_of(further_kinds),
        filters=filters,
        rate_limit=rate_limit,
        in_order=in_order,
    )


async def insert(  # noqa: PLR0913 -- one argument for each column a caller fills
    tx: Tx,
    *,
    namespace_id: str | None,
    repository_id: str | None,
    kind: str,
    method: str,
    title: str | None,
    config: Mapping[str, object],
    event_config: Mapping[str, object],
    payload_form: PayloadForm = PayloadForm.QUAY,
    signatures: tuple[Signature, ...] = (Signature.V1,),
    further_kinds: tuple[str, ...] = (),
    filters: Mapping[str, object] | None = None,
    rate_limit: float | None = None,
    in_order: bool = False,
    uuid: str | None = None,
) -> Notification:
    """Add a notification that is neither paused nor has failed; return it as it is now, without secrets.

    Without a UUID it gets one that follows from its id.
    """
    notification_id = tx.new_id("ntf")
    made = Notification(
        id=notification_id,
        uuid=uuid or uuid_of(notification_id),
        namespace_id=namespace_id,
        repository_id=repository_id,
        kind=kind,
        method=method,
        title=title,
        config=config,
        event_config=event_config,
        payload_form=payload_form,
        signatures=signatures,
        rate_limit=rate_limit,
        in_order=in_order,
        failure_streak=0,
        paused_at=None,
        pause_reason=None,
        created_at=tx.now,
        further_kinds=further_kinds,
        filters=filters,
    )
    await tx.run(
        insert_into(notifications).values(
            id=made.id,
            uuid=made.uuid,
            namespace_id=namespace_id,
            repository_id=repository_id,
            kind=kind,
            method=method,
            title=title,
            config_sealed=tx.seal.close(json.dumps(config).encode()),
            event_config=event_config,
            payload_form=payload_form.value,
            signatures=" ".join(signatures),
            rate_limit=rate_limit,
            in_order=in_order,
            failure_streak=0,
            created_at=tx.now,
            updated_at=tx.now,
            further_kinds=" ".join(further_kinds),
            filter=filters,
        )
    )
    await _add_kinds(tx, made)
    if in_order:
        await sequences.begin(tx, made.id)
    return made


async def put_kinds(tx: Tx, notification: Notification) -> None:
    """Have events find the notification by the kinds that it has now."""
    await tx.run(
        delete_from(notification_kinds).where(
            notification_kinds.c.notification_id == notification.id
        )
    )
    await _add_kinds(tx, notification)


async def _add_kinds(tx: Tx, notification: Notification) -> None:
    # The first kind of a repository's own notification is found by its row.
    is_wide = notification.repository_id is None
    kinds = notification.kinds if is_wide else notification.further_kinds
    if kinds:
        await tx.run(
            insert_into(notification_kinds),
            [
                {
                    "place_id": notification.place_id,
                    "kind": kind,
                    "notification_id": notification.id,
                }
                for kind in kinds
            ],
        )


async def load_many(tx: Tx, ids: Sequence[str]) -> Mapping[str, Notification]:
    """Those of the notifications that still exist, by id, with their live signing secrets and TLS. Three queries."""
    if not ids:
        return {}
    rows = await tx.rows(selection().where(notifications.c.id.in_(ids)))
    secrets = await signing_secrets.find_live(tx, [row.id for row in rows])
    tls = await notification_tls.find_many(tx, [row.id for row in rows])
    return {
        row.id: replace(of_row(tx, row), secrets=secrets.get(row.id, ()), tls=tls.get(row.id))
        for row in rows
    }


async def load_sound(tx: Tx, ids: Sequence[str]) -> Mapping[str, Notification]:
    """As `load_many`, without those whose row is there but cannot be read: sealed with another key, or damaged."""
    try:
        return await load_many(tx, ids)
    except _UNSOUND:
        found: dict[str, Notification] = {}
        for notification_id in ids:
            with contextlib.suppress(*_UNSOUND):
                found.update(await load_many(tx, [notification_id]))
        return found


async def load(tx: Tx, notification_id: str) -> Notification:
    """The notification with its live signing secrets. It must exist."""
    return (await load_many(tx, [notification_id]))[notification_id]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What decides whether a notification gets an event; its configuration stays sealed."""

    id: str
    place_id: str  # of its repository or namespace, or INSTANCE
    event_config: Mapping[str, object]
    filter: Filter
    is_paused: bool


@dataclass(frozen=True, slots=True)
class Watcher(Candidate):
    """A notification for which the server itself looks whether there is news."""

    created_at: datetime


async def find_candidates_many(
    tx: Tx, places: Collection[tuple[str, str | None, str]]
) -> Mapping[tuple[str, str | None, str], Sequence[Candidate]]:
    """For each (namespace id, repository id, kind): the notifications of the repository, the namespace and the server.

    Paused ones are among them: their deliveries are made, and wait. In the order they were made. One query.
    """
    if not places:
        return {}
    numbered = list(places)
    asked = [
        (number, place_id, kind)
        for number, (namespace_id, repository_id, kind) in enumerate(numbered)
        for place_id in (repository_id, namespace_id, INSTANCE)
        if place_id is not None
    ]
    rows = await tx.hot(tx.dialect.FIND_CANDIDATES, tx.dialect.packed(asked))
    found: dict[tuple[str, str | None, str], list[Candidate]] = {one: [] for one in numbered}
    for number, _, found_id, event_config, filters, paused_at, place_id in sorted(
        rows, key=itemgetter(0, 1, 2)
    ):
        found[numbered[number]].append(
            Candidate(
                found_id,
                place_id,
                msgspec.json.decode(event_config),
                of_text(filters),
                paused_at is not None,
            )
        )
    return found


async def find_of_kind(tx: Tx, kind: str, *, after: str, limit: int) -> Sequence[Watcher]:
    """Notifications of this kind, of whatever place, in the order of their ids. One query."""
    own = (
        select(notifications.c.id)
        .where(notifications.c.kind == kind, notifications.c.id > after)
        .order_by(notifications.c.id)
        .limit(limit)
        .subquery()
    )
    further = (
        select(notification_kinds.c.notification_id)
        .where(notification_kinds.c.kind == kind, notification_kinds.c.notification_id > after)
        .order_by(notification_kinds.c.notification_id)
        .limit(limit)
        .subquery()
    )
    rows = await tx.rows(
        select(
            notifications.c.id,
            notifications.c.repository_id,
            notifications.c.namespace_id,
            notifications.c.event_config,
            notifications.c.filter,
            notifications.c.paused_at,
            notifications.c.created_at,
        )
        .where(
            or_(
                notifications.c.id.in_(select(own.c.id)),
                notifications.c.id.in_(select(further.c.notification_id)),
            )
        )
        .order_by(notifications.c.id)
        .limit(limit)
    )
    return [
        Watcher(
            row.id,
            row.repository_id or row.namespace_id or INSTANCE,
            row.event_config,
            of_document(row.filter),
            row.paused_at is not None,
            row.created_at,
        )
        for row in rows
    ]


async def find_by_uuid(tx: Tx, place_id: str, uuid: str) -> Notification | None:
    """The place's notification with this UUID, without secrets; None for another place's."""
    row = await tx.first(selection().where(notifications.c.uuid == uuid))
    found = None if row is None else of_row(tx, row)
    return None if found is None or found.place_id != place_id else found


async def places_of_uuids(tx: Tx, uuids: Collection[str]) -> Mapping[str, str]:
    """For those of the UUIDs that a notification has: the id of the place it belongs to. One query."""
    rows = await tx.rows(
        select(
            notifications.c.uuid, notifications.c.namespace_id, notifications.c.repository_id
        ).where(notifications.c.uuid.in_(uuids))
    )
    return {row.uuid: row.repository_id or row.namespace_id or INSTANCE for row in rows}


async def find_by_any_id(tx: Tx, found_id: str) -> Notification | None:
    """The notification with this id or UUID, of whatever place, without secrets."""
    row = await tx.first(
        selection().where((notifications.c.id == found_id) | (notifications.c.uuid == found_id))
    )
    return None if row is None else of_row(tx, row)


async def delete(tx: Tx, notification_id: str) -> bool:
    """Remove the notification and its signing secrets; return whether it was there.

    Its deliveries stay for the record.
    """
    count = await tx.run(
        delete_from(notifications).where(notifications.c.id == notification_id)
    )
    return count == 1


async def choose(
    tx: Tx,
    notification_id: str,
    payload_form: PayloadForm,
    signatures: tuple[Signature, ...],
) -> None:
    """Set the form of the payload and the ways to sign. The next try follows them."""
    await tx.run(
        update(notifications)
        .where(notifications.c.id == notification_id)
        .values(
            payload_form=payload_form.value,
            signatures=" ".join(signatures),
            updated_at=tx.now,
        )
    )


async def touch(tx: Tx, notification_id: str) -> None:
    """Note that something of the notification changed, so that the engine reads it again."""
    await tx.run(
        update(notifications)
        .where(notifications.c.id == notification_id)
        .values(updated_at=tx.now)
    )


async def set_streak(tx: Tx, notification_id: str, streak: int) -> None:
    """Note how many deliveries in a row were given up."""
    await tx.run(
        update(notifications)
        .where(notifications.c.id == notification_id)
        .values(failure_streak=streak, updated_at=tx.now)
    )


async def pause(tx: Tx, notification_id: str, reason: PauseReason) -> bool:
    """Mark as paused; return False if it was paused already, and then keep the first reason and time."""
    changed = await tx.run(
        update(notifications)
        .where(notifications.c.id == notification_id, notifications.c.paused_at.is_(None))
        .values(paused_at=tx.now, pause_reason=reason.value, updated_at=tx.now)
    )
    return changed == 1


async def resume(tx: Tx, notification_id: str) -> None:
    """Mark as not paused, with no failures. Releasing parked deliveries is for `store.deliveries`."""
    await tx.run(
        update(notifications)
        .where(notifications.c.id == notification_id)
        .values(
            failure_streak=0,
            paused_at=None,
            pause_reason=None,
            failing_since=None,
            told_failing_at=None,
            updated_at=tx.now,
        )
    )
