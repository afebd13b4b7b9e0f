"""Notifications: making, listing, testing, resetting and deleting them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dockbell.domain import rates, words
from dockbell.domain.accounts import Actor, ActorKind, NamespaceKind
from dockbell.domain.deliveries import PauseReason
from dockbell.domain.errors import (
    ConfigError,
    DockbellError,
    InvalidRequestError,
    NotFoundError,
    TooManyError,
)
from dockbell.domain.events import EventKind, EventScope, Performer, Subject
from dockbell.domain.filters import compile_filter
from dockbell.domain.forms import PayloadForm
from dockbell.domain.ids import is_uuid
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Method
from dockbell.domain.notifications import Notification, NotificationScope, Outline
from dockbell.domain.permissions import (
    AdminOf,
    AdminOfAll,
    AdminOfPlace,
    ViewerOf,
    ViewerOfAll,
    ViewerOfPlace,
)
from dockbell.domain.records import Health
from dockbell.domain.signing import Signature
from dockbell.domain.tls import Tls
from dockbell.services import areas, audit_entries, signing_secrets
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups, Reading
from dockbell.store import (
    breakers,
    deliveries,
    lanes,
    locks,
    notification_lists,
    notification_tls,
    notifications,
    redeliveries,
    sequences,
    throttles,
)
from dockbell.store.transactions import Tx

_MOST_BYTES = 64 * 1024
_MOST_LEVELS = 32
_MOST_OF_NAMESPACE = 1000
_MINUTE = timedelta(minutes=1)
_SAMPLE = "sample"  # the repository, and the namespace, of samples where there is no real one


class UnknownNotificationError(InvalidRequestError):
    """No notification has this id."""


@dataclass(frozen=True, slots=True)
class NewNotification:
    """A notification as somebody asks for it."""

    kind: str  # the first one
    method: str
    config: Mapping[str, object]
    event_config: Mapping[str, object]
    title: str | None = None
    payload_form: PayloadForm = PayloadForm.QUAY
    signatures: tuple[Signature, ...] = (Signature.V1,)
    further_kinds: tuple[str, ...] = ()
    filters: Mapping[str, object] | None = None
    rate_limit: float | None = None  # deliveries in a second
    in_order: bool = False  # one at a time, each when the one before is over
    tls: Tls | None = None
    uuid: str | None = None  # that it had elsewhere; nobody else's here

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.kind, *self.further_kinds)


@dataclass(frozen=True, slots=True)
class Notifications:
    """What faces may ask about the notifications of a repository, a namespace or the whole server.

    Every function that takes a UUID treats that of another place as unknown.
    """

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    intake: Intake
    lookups: Lookups
    chance: Callable[[int], bytes]  # that many unpredictable bytes
    most: int = 10_000  # of one place
    tests_per_minute: int = 0  # of one caller in one namespace; 0 is no limit

    async def check(self, reading: Reading, admin: AdminOfPlace, new: NewNotification) -> None:
        """Raise InvalidRequestError if the notification may not be made. Call it before `create`.

        No transaction may be open: a method can ask a name server about its target.
        """
        check_sizes(new)
        rates.check(new.rate_limit)
        method = self.methods.get(new.method)
        if method is None:
            raise InvalidRequestError(
                words.refusal(
                    f"Unknown notification method '{new.method}'", new.method, self.methods
                )
            )
        await method.check(new.config, self.lookups.of(reading, admin))
        if new.payload_form is not PayloadForm.QUAY and not method.signs:
            raise ConfigError(
                f"The method '{new.method}' has a message of its own, in no other form",
                field="payload_form",
            )
        self._check_events(admin, new)
        if new.tls is not None:
            await _check_tls(reading, method, new.config, new.tls)

    def check_own_kind(self, admin: AdminOfAll, name: str) -> None:
        """Raise InvalidRequestError unless this is an event of the namespace itself, and of none of its repositories."""
        del admin
        own = [kind.name for kind in self.kinds.values() if kind.scope is EventScope.NAMESPACE]
        if name not in own:
            raise InvalidRequestError(words.refusal(f"Invalid event '{name}'", name, own))

    def _check_events(self, admin: AdminOfPlace, new: NewNotification) -> None:
        kinds = {
            name: kind
            for name, kind in self.kinds.items()
            if kind.scope is EventScope.REPOSITORY or not isinstance(admin, AdminOf)
        }
        for name in new.kinds:
            if name not in kinds:
                raise InvalidRequestError(words.refusal(f"Invalid event '{name}'", name, kinds))
            kinds[name].check(new.event_config)
        if len(set(new.kinds)) < len(new.kinds):
            raise ConfigError("Name each event once", field="events")
        if new.filters is not None:
            compile_filter(new.filters)

    async def create(self, tx: Tx, admin: AdminOfPlace, new: NewNotification) -> Notification:
        """Make the notification, which passed `check`, and audit it.

        A method that signs gets its first signing secret, which the result carries: this is the
        only time it is shown. Raise NotFoundError if the repository went away meanwhile.
        """
        if not await self._hold(tx, admin):
            raise NotFoundError
        if await notification_lists.count_of_place(tx, admin) >= self.most:
            raise InvalidRequestError(
                f"There are {self.most} notifications here already, and no more are allowed. Delete one, or ask an "
                "operator to raise most_notifications"
            )
        made = await notifications.insert(
            tx,
            namespace_id=admin.namespace_id,
            repository_id=admin.repository_id,
            kind=new.kind,
            method=new.method,
            title=new.title,
            config=new.config,
            event_config=new.event_config,
            payload_form=new.payload_form,
            signatures=new.signatures,
            further_kinds=new.further_kinds,
            filters=new.filters,
            rate_limit=new.rate_limit,
            in_order=new.in_order,
            uuid=new.uuid,
        )
        if new.tls is not None:
            await notification_tls.put(tx, made.id, new.tls)
            made = replace(made, tls=new.tls)
        if self.methods[new.method].signs:
            secrets = await signing_secrets.make_missing(tx, admin, made, self.chance)
            made = replace(made, secrets=tuple(secrets))
        # Quay: its two words for the same. Pinned by compat/test_namespace_notifications.py.
        verb = "add" if isinstance(admin, AdminOf) else "create"
        await _audit(tx, admin, f"{verb}_{{}}_notification", made)
        return made

    async def _hold(self, tx: Tx, admin: AdminOfPlace) -> bool:
        match admin:
            case AdminOf():
                return await locks.hold_repository(tx, admin.repository.id)
            case AdminOfAll():
                return await locks.keep_namespace(tx, admin.namespace.id)
            case _:
                return True  # the server is always there

    async def load(
        self, tx: Tx, actor: Actor, notification_id: str
    ) -> tuple[AdminOfPlace, Notification]:
        """The notification with this `ntf_` id and the right to it; one that the caller may not see is unknown."""
        return await areas.admin_of_notification(tx, actor, notification_id)

    async def look_at(
        self, tx: Tx, actor: Actor, notification_id: str
    ) -> tuple[ViewerOfPlace, Notification]:
        """The same, for who may only see it."""
        return await areas.viewer_of_notification(tx, actor, notification_id)

    async def list_page(
        self, tx: Tx, viewer: ViewerOfPlace, *, after: str, limit: int
    ) -> Sequence[Notification]:
        """Up to `limit` of the place's own notifications behind the id `after`, in the order they were made."""
        return await notification_lists.list_of_place(tx, viewer, after=after, limit=limit)

    async def list_page_of_namespace(
        self, tx: Tx, viewer: ViewerOfAll, *, after: str, limit: int
    ) -> Sequence[tuple[str, Notification]]:
        """The same for a namespace and all its repositories, each with its place's path."""
        found = await notification_lists.list_of_namespace(
            tx, viewer.namespace.id, after=after, limit=limit
        )
        name = viewer.namespace.name
        return [
            (name if one.repository is None else f"{name}/{one.repository}", one.notification)
            for one in found
        ]

    async def health(self, tx: Tx, viewer: ViewerOfPlace, notification: Notification) -> Health:
        """How one of the repository's notifications is doing."""
        del viewer
        return await notification_lists.health(tx, notification.id)

    async def change(
        self, tx: Tx, admin: AdminOfPlace, notification_id: str, new: NewNotification
    ) -> Notification:
        """Give the notification the settings of `new`, which passed `check`; its signatures stay.

        What waits goes to the new target at its next try. A method that signs gets a signing secret if there
        is none yet, which the result carries.
        """
        known = await notification_lists.find(tx, notification_id)
        if known is None or known.place_id != admin.place_id:
            raise NotFoundError
        made = replace(
            known,
            kind=new.kind,
            further_kinds=new.further_kinds,
            method=new.method,
            title=new.title,
            config=new.config,
            event_config=new.event_config,
            filters=new.filters,
            payload_form=new.payload_form,
            rate_limit=new.rate_limit,
            in_order=new.in_order,
            tls=new.tls,
        )
        if not await notification_lists.update_settings(
            tx,
            known.id,
            method=made.method,
            title=made.title,
            config=made.config,
            event_config=made.event_config,
            kinds=made.kinds,
            filters=made.filters,
            payload_form=made.payload_form,
            rate_limit=made.rate_limit,
            in_order=made.in_order,
        ):
            raise NotFoundError
        await notifications.put_kinds(tx, made)
        if new.tls != known.tls:
            await notification_tls.put(tx, known.id, new.tls)
        # Lanes come after notifications, whoever locks them.
        if made.in_order is not known.in_order:
            await (sequences.begin if made.in_order else sequences.end)(tx, known.id)
        await throttles.lift(tx, known.id)
        if self.methods[new.method].signs:
            secrets = await signing_secrets.make_missing(tx, admin, made, self.chance)
            made = replace(made, secrets=tuple(secrets))
        await _audit(tx, admin, "change_{}_notification", made)
        return made

    async def pause(self, tx: Tx, admin: AdminOfPlace, uuid: str) -> None:
        """Send nothing more until somebody resumes it; what comes meanwhile is parked. Pausing twice is harmless."""
        known = await self._known(tx, admin, uuid)
        if await notifications.pause(tx, known.id, PauseReason.PERSON):
            await deliveries.pause(tx, known.id)
            await _audit(tx, admin, "pause_{}_notification", known)

    async def resume(self, tx: Tx, admin: AdminOfPlace, uuid: str) -> int:
        """As `reset`; return how many deliveries that waited are due now."""
        known = await self._known(tx, admin, uuid)
        await self.reset(tx, admin, uuid)
        return await notification_lists.count_waiting(tx, known.id)

    async def list_all(self, tx: Tx, admin: ViewerOf) -> Sequence[Outline]:
        """The repository's notifications in the order they were created, for showing."""
        return await notification_lists.list_outlines(tx, admin.repository.id)

    async def list_of_namespace(self, tx: Tx, admin: ViewerOfAll) -> Sequence[Notification]:
        """The namespace's own notifications in the order they were created, at most a thousand."""
        return await notification_lists.list_of_place(
            tx, admin, after="", limit=_MOST_OF_NAMESPACE
        )

    async def find(self, tx: Tx, admin: ViewerOfPlace, uuid: str) -> Notification | None:
        """The place's notification with this UUID, if there is one."""
        if not is_uuid(uuid):
            return None
        return await notifications.find_by_uuid(tx, admin.place_id, uuid)

    async def delete(self, tx: Tx, admin: AdminOfPlace, uuid: str) -> None:
        """Remove the notification; its deliveries that still wait are cancelled and stay on record."""
        gone = await self._known(tx, admin, uuid)
        if not await notifications.delete(tx, gone.id):
            raise _unknown_uuid(admin, uuid)  # somebody else was faster
        # It may be all that speaks against its host. Then what others send there need not wait any longer.
        host = await self._try_host(tx, gone)
        await locks.hold_lanes(tx, gone.id)
        await deliveries.cancel_for(tx, gone.id)
        if host is not None:
            await lanes.let_some_go(tx, host)
        await _audit(tx, admin, "delete_{}_notification", gone)

    async def choose(
        self,
        tx: Tx,
        admin: AdminOfPlace,
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
        await _audit(tx, admin, "change_{}_notification", changed)
        return changed

    async def reset(self, tx: Tx, admin: AdminOfPlace, uuid: str) -> None:
        """Forget the failures; a paused notification resumes, and what was parked is sent, the oldest first."""
        known = await self._known(tx, admin, uuid)
        await notifications.resume(tx, known.id)
        await self._try_host(tx, known)
        await deliveries.resume(tx, known.id)
        await throttles.lift(tx, known.id)
        await _audit(tx, admin, "reset_{}_notification", known)

    async def _try_host(self, tx: Tx, notification: Notification) -> str | None:
        """Allow the notification's host its one trial now, if its breaker is open; return the host."""
        method = self.methods.get(notification.method)
        host = None if method is None else method.host(notification.config)
        if host is not None:
            await breakers.try_now(tx, host)
        return host

    async def test(
        self, tx: Tx, admin: AdminOfPlace, uuid: str, *, kind: str | None = None
    ) -> str:
        """Queue the sample of its first event, or of this one, for this notification alone; return the delivery's id.

        It works for a paused notification too, and is how one finds out whether its target is back.
        """
        known = await self._known(tx, admin, uuid)
        await self._check_tests(tx, admin)
        kind = known.kind if kind is None else kind
        if kind not in known.kinds:
            raise InvalidRequestError(
                words.refusal(f"Invalid event '{kind}'", kind, known.kinds)
            )
        if kind not in self.kinds:
            raise InvalidRequestError(
                f"The event '{kind}' is not installed, so there is nothing to send"
            )
        # Otherwise somebody could delete it meanwhile, and the sample would wait for nobody.
        if await redeliveries.hold_notification(tx, known.id) is None:
            raise _unknown_uuid(admin, uuid)
        subject = sample_subject(admin, self.kinds[kind])
        delivery_id = await self.intake.test(
            tx, known, subject, _performer(admin.actor), kind=kind
        )
        await _audit(tx, admin, "test_{}_notification", known)
        return delivery_id

    async def _check_tests(self, tx: Tx, admin: AdminOfPlace) -> None:
        """A test tells whether something answers at an address: nobody is to look for ports with it."""
        if not self.tests_per_minute:
            return
        asked = await audit_entries.count_tests(tx, admin, tx.now - _MINUTE)
        if asked >= self.tests_per_minute:
            raise TooManyError(
                f"You asked for {asked} test messages in the last minute. Wait a minute."
            )

    async def _known(self, tx: Tx, admin: AdminOfPlace, uuid: str) -> Notification:
        found = await self.find(tx, admin, uuid)
        if found is None:
            raise _unknown_uuid(admin, uuid)
        return found


def _unknown_uuid(admin: AdminOfPlace, uuid: str) -> DockbellError:
    if not isinstance(admin, AdminOf):
        # Quay: 404 here and 400 for a repository's (Q4). Pinned by compat/test_namespace_notifications.py.
        return NotFoundError()
    # Quay: the three parts print as a list. Pinned by compat/test_notifications_errors.py.
    where = f"{admin.repository.namespace}, {admin.repository.name}, {uuid}"
    return UnknownNotificationError(f"No repository notification found for: {where}")


def sample_subject(admin: AdminOfPlace, kind: EventKind) -> Subject:
    """What a sample says it is about: the place, or something made up in it."""
    match admin:
        case AdminOf():
            return Subject(admin.repository.namespace, admin.repository.name)
        case AdminOfAll():
            namespace = admin.namespace.name
            is_user = admin.namespace.kind is NamespaceKind.USER
        case _:
            namespace, is_user = _SAMPLE, False
    name = _SAMPLE if kind.scope is EventScope.REPOSITORY else None
    return Subject(namespace, name, is_user=is_user and name is None)


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


def expiry_of(tls: Tls) -> datetime | None:
    """When the client certificate runs out, if there is one."""
    from dockbell.net import certificates  # noqa: PLC0415 -- most notifications have none

    return certificates.expiry(tls)


async def _check_tls(
    reading: Reading, method: Method, config: Mapping[str, object], tls: Tls
) -> None:
    """Raise ConfigError for what can never be used: nothing of it is secret from whoever sends it."""
    if method.host(config) is None or str(config.get("url", "")).lower().startswith("http:"):
        raise ConfigError("Only a target with https takes this", field="tls")
    from dockbell.net import certificates  # noqa: PLC0415 -- as above

    async with reading() as tx:  # one time for all of us
        now = tx.now
    certificates.check(tls, now)


def _performer(actor: Actor) -> Performer | None:
    if actor.kind in {ActorKind.USER, ActorKind.ROBOT}:
        return Performer(name=actor.name, kind=actor.kind.value)
    return None


_SCOPES = {
    # Quay: its word for these. Pinned by compat/test_notifications.py.
    NotificationScope.REPOSITORY: "repo",
    NotificationScope.NAMESPACE: "namespace",
    NotificationScope.INSTANCE: "instance",
}


async def _audit(tx: Tx, admin: AdminOfPlace, kind: str, notification: Notification) -> None:
    further = (
        {"further_events": list(notification.further_kinds)}
        if notification.further_kinds
        else {}
    )
    await audit_entries.write_at(
        tx,
        admin,
        kind.format(_SCOPES[admin.scope]),
        notification_id=notification.uuid,
        event=notification.kind,
        method=notification.method,
        **further,
    )
