"""Notifications: making, listing, testing, resetting and deleting them."""

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dockbell.domain import rates
from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.deliveries import PauseReason
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.events import EventKind, EventScope, Performer, Subject
from dockbell.domain.forms import PayloadForm
from dockbell.domain.ids import is_uuid
from dockbell.domain.methods import Method
from dockbell.domain.notifications import Notification, Outline
from dockbell.domain.permissions import AdminOf, AdminOfAll
from dockbell.domain.records import Health
from dockbell.domain.signing import Signature
from dockbell.services import audit_entries, repositories, signing_secrets
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups, Reading
from dockbell.store import deliveries, locks, notification_lists, notifications, throttles
from dockbell.store.transactions import Tx

_MOST_BYTES = 64 * 1024
_MOST_LEVELS = 32
_ALIKE = 0.8


class UnknownNotificationError(InvalidRequestError):
    """No notification has this id."""


@dataclass(frozen=True, slots=True)
class NewNotification:
    """A notification as somebody asks for it."""

    kind: str
    method: str
    config: Mapping[str, object]
    event_config: Mapping[str, object]
    title: str | None = None
    payload_form: PayloadForm = PayloadForm.QUAY
    signatures: tuple[Signature, ...] = (Signature.V1,)
    rate_limit: float | None = None  # deliveries in a second


@dataclass(frozen=True, slots=True)
class Notifications:
    """What faces may ask about the notifications of a repository.

    Every function that takes a UUID treats that of another repository as unknown.
    """

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    intake: Intake
    lookups: Lookups
    chance: Callable[[int], bytes]  # that many unpredictable bytes

    async def check(self, reading: Reading, admin: AdminOf, new: NewNotification) -> None:
        """Raise InvalidRequestError if the notification may not be made. Call it before `create`.

        No transaction may be open: a method can ask a name server about its target.
        """
        check_sizes(new)
        rates.check(new.rate_limit)
        method = self.methods.get(new.method)
        if method is None:
            raise InvalidRequestError(
                _unknown(
                    f"Unknown notification method '{new.method}'", new.method, self.methods
                )
            )
        await method.check(new.config, self.lookups.of(reading, admin.repository))
        kinds = {
            name: kind
            for name, kind in self.kinds.items()
            if kind.scope is EventScope.REPOSITORY
        }
        if new.kind not in kinds:
            raise InvalidRequestError(_unknown(f"Invalid event '{new.kind}'", new.kind, kinds))
        kinds[new.kind].check(new.event_config)

    async def create(self, tx: Tx, admin: AdminOf, new: NewNotification) -> Notification:
        """Make the notification, which passed `check`, and audit it.

        A method that signs gets its first signing secret, which the result carries: this is the
        only time it is shown. Raise NotFoundError if the repository went away meanwhile.
        """
        if not await locks.hold_repository(tx, admin.repository.id):
            raise NotFoundError
        made = await notifications.insert(
            tx,
            namespace_id=admin.repository.namespace_id,
            repository_id=admin.repository.id,
            kind=new.kind,
            method=new.method,
            title=new.title,
            config=new.config,
            event_config=new.event_config,
            payload_form=new.payload_form,
            signatures=new.signatures,
            rate_limit=new.rate_limit,
        )
        if self.methods[new.method].signs:
            secrets = await signing_secrets.make_missing(tx, admin, made, self.chance)
            made = replace(made, secrets=tuple(secrets))
        await _audit(tx, admin, "add_repo_notification", made)
        return made

    async def load(
        self, tx: Tx, actor: Actor, notification_id: str
    ) -> tuple[AdminOf, Notification]:
        """The notification with this `ntf_` id and the right to it; one that the caller may not see is unknown."""
        repositories.check_may_administer(actor)
        found = await notification_lists.find(tx, notification_id)
        if found is None:
            raise NotFoundError
        return await repositories.admin_by_id(tx, actor, found.repository_id), found

    async def list_page(
        self, tx: Tx, admin: AdminOf, *, after: str, limit: int
    ) -> Sequence[Notification]:
        """Up to `limit` of the repository's notifications behind the id `after`, in the order they were made."""
        return await notification_lists.list_of_repository(
            tx, admin.repository.id, after=after, limit=limit
        )

    async def list_page_of_namespace(
        self, tx: Tx, admin: AdminOfAll, *, after: str, limit: int
    ) -> Sequence[tuple[str, Notification]]:
        """The same for all repositories of a namespace, each with its repository's path."""
        found = await notification_lists.list_of_namespace(
            tx, admin.namespace.id, after=after, limit=limit
        )
        return [(f"{admin.namespace.name}/{one.repository}", one.notification) for one in found]

    async def health(self, tx: Tx, admin: AdminOf, notification: Notification) -> Health:
        """How one of the repository's notifications is doing."""
        del admin
        return await notification_lists.health(tx, notification.id)

    async def change(
        self, tx: Tx, admin: AdminOf, notification_id: str, new: NewNotification
    ) -> Notification:
        """Give the notification the settings of `new`, which passed `check`; its kind of event stays.

        What waits goes to the new target at its next try. A method that signs gets a signing secret if there
        is none yet, which the result carries.
        """
        known = await notification_lists.find(tx, notification_id)
        if (
            known is None
            or known.repository_id != admin.repository.id
            or not await notification_lists.update_settings(
                tx,
                known.id,
                method=new.method,
                title=new.title,
                config=new.config,
                event_config=new.event_config,
                rate_limit=new.rate_limit,
            )
        ):
            raise NotFoundError
        await throttles.lift(tx, known.id)
        made = replace(
            known,
            method=new.method,
            title=new.title,
            config=new.config,
            event_config=new.event_config,
            rate_limit=new.rate_limit,
        )
        if self.methods[new.method].signs:
            secrets = await signing_secrets.make_missing(tx, admin, made, self.chance)
            made = replace(made, secrets=tuple(secrets))
        await _audit(tx, admin, "change_repo_notification", made)
        return made

    async def pause(self, tx: Tx, admin: AdminOf, uuid: str) -> None:
        """Send nothing more until somebody resumes it; what comes meanwhile is parked. Pausing twice is harmless."""
        known = await self._known(tx, admin, uuid)
        if await notifications.pause(tx, known.id, PauseReason.PERSON):
            await deliveries.pause(tx, known.id)
            await _audit(tx, admin, "pause_repo_notification", known)

    async def resume(self, tx: Tx, admin: AdminOf, uuid: str) -> int:
        """As `reset`; return how many deliveries that waited are due now."""
        known = await self._known(tx, admin, uuid)
        await self.reset(tx, admin, uuid)
        return await notification_lists.count_waiting(tx, known.id)

    async def list_all(self, tx: Tx, admin: AdminOf) -> Sequence[Outline]:
        """The repository's notifications in the order they were created, for showing."""
        return await notification_lists.list_outlines(tx, admin.repository.id)

    async def find(self, tx: Tx, admin: AdminOf, uuid: str) -> Notification | None:
        """The repository's notification with this UUID, if there is one."""
        if not is_uuid(uuid):
            return None
        return await notifications.find_by_uuid(tx, admin.repository.id, uuid)

    async def delete(self, tx: Tx, admin: AdminOf, uuid: str) -> None:
        """Remove the notification; its deliveries that still wait are cancelled and stay on record."""
        gone = await self._known(tx, admin, uuid)
        if not await notifications.delete(tx, gone.id):
            raise _unknown_uuid(admin, uuid)  # somebody else was faster
        await locks.hold_lanes(tx, gone.id)
        await deliveries.cancel_for(tx, gone.id)
        await _audit(tx, admin, "delete_repo_notification", gone)

    async def choose(
        self,
        tx: Tx,
        admin: AdminOf,
        uuid: str,
        *,
        payload_form: PayloadForm | None = None,
        signatures: tuple[Signature, ...] | None = None,
    ) -> Notification:
        """Set the form of the payload, or the ways to sign, from the next try on; return what it is then.

        A key pair that a new way to sign needs is made. Its public half is for everybody to see.
        """
        known = await self._known(tx, admin, uuid)
        changed = replace(
            known,
            payload_form=payload_form or known.payload_form,
            signatures=signatures or known.signatures,
        )
        await notifications.choose(tx, known.id, changed.payload_form, changed.signatures)
        method = self.methods.get(known.method)
        if method is not None and method.signs:
            await signing_secrets.make_missing(tx, admin, changed, self.chance)
        await _audit(tx, admin, "change_repo_notification", changed)
        return changed

    async def reset(self, tx: Tx, admin: AdminOf, uuid: str) -> None:
        """Forget the failures; a paused notification resumes, and what was parked is sent, the oldest first."""
        known = await self._known(tx, admin, uuid)
        await notifications.resume(tx, known.id)
        await deliveries.resume(tx, known.id)
        await throttles.lift(tx, known.id)
        await _audit(tx, admin, "reset_repo_notification", known)

    async def test(self, tx: Tx, admin: AdminOf, uuid: str) -> str:
        """Queue the event's sample for this notification alone; return the delivery's id.

        It works for a paused notification too, and is how one finds out whether its target is back.
        """
        known = await self._known(tx, admin, uuid)
        if known.kind not in self.kinds:
            raise InvalidRequestError(
                f"The event '{known.kind}' is not installed, so there is nothing to send"
            )
        subject = Subject(
            namespace=admin.repository.namespace, repository=admin.repository.name
        )
        delivery_id = await self.intake.test(tx, known, subject, _performer(admin.actor))
        await _audit(tx, admin, "test_repo_notification", known)
        return delivery_id

    async def _known(self, tx: Tx, admin: AdminOf, uuid: str) -> Notification:
        found = await self.find(tx, admin, uuid)
        if found is None:
            raise _unknown_uuid(admin, uuid)
        return found


def _unknown_uuid(admin: AdminOf, uuid: str) -> UnknownNotificationError:
    # Quay: the three parts print as a list. Pinned by compat/test_notifications_errors.py.
    where = f"{admin.repository.namespace}, {admin.repository.name}, {uuid}"
    return UnknownNotificationError(f"No repository notification found for: {where}")


def _unknown(problem: str, name: str, known: Collection[str]) -> str:
    """The sentence that refuses a name, with the nearest right one if it looks like a slip."""
    alike = difflib.get_close_matches(name[:64], known, n=1, cutoff=_ALIKE)
    hint = f" (did you mean '{alike[0]}'?)" if alike else ""
    return f"{problem}{hint}. Must be one of: {', '.join(sorted(known))}"


def check_sizes(new: NewNotification) -> None:
    """Raise InvalidRequestError if a document of the notification is too large or too deep to keep."""
    _check_size("config", new.config)
    _check_size("event_config", new.event_config)


def _check_size(name: str, document: Mapping[str, object]) -> None:
    level: list[object] = [document]
    for _ in range(_MOST_LEVELS):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            break
    else:
        raise InvalidRequestError(f"'{name}' is nested deeper than {_MOST_LEVELS} levels")
    if len(json.dumps(document).encode()) > _MOST_BYTES:
        raise InvalidRequestError(f"'{name}' is larger than {_MOST_BYTES} bytes")


def _performer(actor: Actor) -> Performer | None:
    if actor.kind in {ActorKind.USER, ActorKind.ROBOT}:
        return Performer(name=actor.name, kind=actor.kind.value)
    return None


async def _audit(tx: Tx, admin: AdminOf, kind: str, notification: Notification) -> None:
    await audit_entries.write_about(
        tx,
        admin.actor,
        admin.repository,
        kind,
        notification_id=notification.uuid,
        event=notification.kind,
        method=notification.method,
    )
