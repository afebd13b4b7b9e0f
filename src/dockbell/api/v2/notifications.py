"""Notifications: lists, making, changing, pausing, testing, copying, and how one is doing."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from dockbell.api.v2.areas import IsInstance, RepositoryPath
from dockbell.api.v2.deliveries import DeliveryInFull, HeldFor, held_for, in_full
from dockbell.api.v2.tls import Tls, TlsBody, shown_tls, to_tls
from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.errors import ConfigError
from dockbell.domain.forms import PayloadForm
from dockbell.domain.masks import masked, unmasked
from dockbell.domain.notifications import Notification as NotificationOf
from dockbell.domain.notifications import NotificationScope
from dockbell.domain.permissions import AdminOfPlace
from dockbell.services import areas, deliveries, repositories
from dockbell.services.areas import NamedPlace
from dockbell.services.notifications import NewNotification
from dockbell.web.calls import ApiCall, Call
from dockbell.web.pages import USUAL, Cursor, Limit, Page, of_cursor, to_cursor

_ALL = "/notifications"
_ONE = "/notifications/{notification_id:str}"
_LONGEST_WAIT = 15
_FIRST_LOOK = 0.02  # seconds
_LAST_LOOK = 0.5

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Path = Annotated[str, msgspec.Meta(min_length=3, max_length=512)]
Events = Annotated[list[Name], msgspec.Meta(min_length=1, max_length=100)]
Title = Annotated[str, msgspec.Meta(max_length=1024)]
Show = Annotated[
    Literal["config"] | None,
    QueryParameter(
        description="`config` shows the secrets in configs, which are masked otherwise."
    ),
]

_REASONS: Mapping[PauseReason, str] = {
    PauseReason.FAILURES: "Three messages in a row could not be delivered.",
    PauseReason.NO_SUCCESS: "Nothing has arrived for five days.",
    PauseReason.GONE: "The target says that it is gone for good (410).",
    PauseReason.PERSON: "Somebody paused it.",
}


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fast deliveries go out; what waits for that is charged to nobody. Between 0.01 and 1000."""

    per_second: float


class Notification(msgspec.Struct, frozen=True):
    """A standing order: which events of which place go where, and how. `event` is the first of `events`.

    `in_order`: one delivery at a time, the next when the one before has arrived or was given up.
    """

    id: str
    uuid: str
    scope: NotificationScope
    namespace: str | None
    repository: str | None
    event: str
    events: Sequence[str]
    event_config: Mapping[str, Any]
    filter: Mapping[str, Any] | None
    payload_form: PayloadForm
    method: str
    title: str | None
    target: str
    config: Mapping[str, Any]
    tls: Tls | None
    state: Literal["active", "failing", "paused"]
    pause_reason: str | None
    pause_sentence: str | None
    paused_at: datetime | None
    failing_since: datetime | None
    failure_streak: int
    rate_limit: RateLimit | None
    in_order: bool
    created_at: datetime


class MadeNotification(msgspec.Struct, frozen=True):
    """A notification as it is now, and what to know about its method. A signing secret that was made is shown this once."""

    notification: Notification
    signing_secret: str | None
    warnings: Sequence[str]


class WantedNotification(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For a `repository`, a `namespace` or the `instance`; for an `event` or several `events`."""

    repository: Path | None = None
    namespace: Name | None = None
    instance: bool = False
    event: Name | None = None
    events: Events | None = None
    method: Name
    config: dict[str, Any]
    event_config: dict[str, Any] = msgspec.field(default_factory=dict)
    filter: dict[str, Any] | None = None
    payload_form: PayloadForm = PayloadForm.QUAY

    def place(self) -> NamedPlace:
        return NamedPlace(self.repository, self.namespace, is_instance=self.instance)

    def wanted(self) -> NewNotification:
        """What is said here. Raise ConfigError unless the events are named in one way."""
        kinds = kinds_of(self.event, self.events)
        return NewNotification(
            kind=kinds[0],
            further_kinds=kinds[1:],
            method=self.method,
            config=self.config,
            event_config=self.event_config,
            filters=self.filter,
            payload_form=self.payload_form,
        )


class NewNotificationBody(WantedNotification, frozen=True, kw_only=True):
    """What is to be made: for a `repository`, a `namespace` or the `instance`; for an `event` or several `events`."""

    title: Title | None = None
    rate_limit: RateLimit | None = None
    in_order: bool = False
    tls: TlsBody | None = None


class NotificationChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays. A mask in `config`, or as the key in `tls`, stands for what is stored."""

    title: Title | UnsetType | None = UNSET
    event: Name | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    method: Name | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    url: str | UnsetType = UNSET
    event_config: dict[str, Any] | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType | None = UNSET
    payload_form: PayloadForm | UnsetType = UNSET
    rate_limit: RateLimit | UnsetType | None = UNSET
    in_order: bool | UnsetType = UNSET
    tls: TlsBody | UnsetType | None = UNSET


class NotificationCopy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the copy is to be made: for a `repository`, a `namespace` or the `instance`."""

    repository: Path | None = None
    namespace: Name | None = None
    instance: bool = False
    title: Title | UnsetType | None = UNSET


class Resumed(msgspec.Struct, frozen=True):
    """The notification, and how many deliveries that waited are on their way now."""

    notification: Notification
    released: int


class Standing(msgspec.Struct, frozen=True):
    """How a notification is doing. Last success and failure are those of its last 1000 deliveries."""

    state: Literal["active", "failing", "paused"]
    pause_reason: str | None
    pause_sentence: str | None
    paused_at: datetime | None
    failing_since: datetime | None
    failure_streak: int
    waiting: int
    parked: int
    sending: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure_code: str | None
    held_until: datetime | None  # nothing is sent before, tests apart
    held_for: HeldFor | None


def state_of(notification: NotificationOf) -> Literal["active", "failing", "paused"]:
    if notification.paused_at is not None:
        return "paused"
    is_failing = notification.failing_since is not None or notification.failure_streak > 0
    return "failing" if is_failing else "active"


def shown(
    call: ApiCall, path: str, notification: NotificationOf, *, show: str | None = None
) -> Notification:
    method = call.faces.methods.get(notification.method)
    config = notification.config
    is_of_repository = notification.scope is NotificationScope.REPOSITORY
    reason = notification.pause_reason if notification.paused_at is not None else None
    return Notification(
        id=notification.id,
        uuid=notification.uuid,
        scope=notification.scope,
        namespace=path.partition("/")[0] or None,
        repository=path if is_of_repository else None,
        event=notification.kind,
        events=notification.kinds,
        event_config=notification.event_config,
        filter=notification.filters,
        payload_form=notification.payload_form,
        method=notification.method,
        title=notification.title,
        target=notification.method if method is None else method.target(config),
        config=config if show == "config" else masked(method, config),
        tls=shown_tls(notification.tls),
        state=state_of(notification),
        pause_reason=None if reason is None else reason.value,
        pause_sentence=None if reason is None else _REASONS[reason],
        paused_at=notification.paused_at,
        failing_since=notification.failing_since,
        failure_streak=notification.failure_streak,
        rate_limit=None
        if notification.rate_limit is None
        else RateLimit(notification.rate_limit),
        in_order=notification.in_order,
        created_at=notification.created_at,
    )


def _made(call: ApiCall, path: str, notification: NotificationOf) -> MadeNotification:
    secrets = notification.secrets
    method = call.faces.methods.get(notification.method)
    warning = None if method is None else method.warning
    return MadeNotification(
        shown(call, path, notification),
        secrets[0].text if secrets else None,
        [] if warning is None else [warning],
    )


def kinds_of(event: str | None, events: Sequence[str] | None) -> tuple[str, ...]:
    """The kinds that a body names by `event` or by `events`, or ConfigError if it is not one of them."""
    if (event is None) is (events is None):
        raise ConfigError("Name an event, or several as events", field="event")
    return tuple(events) if events is not None else (str(event),)


async def _load(call: ApiCall, notification_id: str) -> tuple[AdminOfPlace, NotificationOf]:
    async with call.read() as tx:
        actor = await call.actor(tx)
        return await call.notifications.load(tx, actor, notification_id)


@get(_ALL)
async def list_notifications(  # noqa: PLR0913, PLR0917 -- one argument for each of the query's
    call: Call,
    repository: RepositoryPath = None,
    namespace: Annotated[
        str | None,
        QueryParameter(description="A user or organization, with all its repositories."),
    ] = None,
    instance: IsInstance = False,  # noqa: FBT002 -- a query's parameter has a name
    show: Show = None,
    limit: Limit = USUAL,
    cursor: Cursor = "",
) -> Page[Notification]:
    """One page of the notifications of a repository, a namespace or the instance, in the order they were made."""
    after = of_cursor(cursor)
    async with call.read() as tx:
        actor = await call.actor(tx)
        if repository is not None:
            viewer = await repositories.viewer_of(tx, actor, repository)
            rows = await call.notifications.list_page(tx, viewer, after=after, limit=limit + 1)
            found: Sequence[tuple[str, NotificationOf]] = [(repository, one) for one in rows]
        elif namespace is not None:
            right = await repositories.viewer_of_all(tx, actor, namespace)
            found = await call.notifications.list_page_of_namespace(
                tx, right, after=after, limit=limit + 1
            )
        elif instance:
            of_instance = await areas.viewer_of(tx, actor, is_instance=True)
            rows = await call.notifications.list_page(
                tx, of_instance, after=after, limit=limit + 1
            )
            found = [("", one) for one in rows]
        else:
            repositories.check_may_view(actor)
            raise ConfigError(
                "Name a repository, a namespace or the instance", field="repository"
            )
    page = found[:limit]
    last = page[-1][1].id if len(found) > limit else None
    return Page([shown(call, path, one, show=show) for path, one in page], to_cursor(last))


async def _create(call: ApiCall, named: NamedPlace, new: NewNotification) -> MadeNotification:
    async with call.read() as tx:
        admin = await areas.admin_of_named(tx, await call.actor(tx), named)
    await call.notifications.check(call.read, admin, new)
    async with call.begin() as tx:
        # Asked again, because the place or the right may be gone since.
        admin = await areas.admin_of_named(tx, await call.actor(tx), named)
        made = await call.notifications.create(tx, admin, new)
    return _made(call, admin.path, made)


@post(_ALL, status_code=201)
async def create_notification(
    call: Call, data: JSONBody[NewNotificationBody]
) -> MadeNotification:
    """The notification as it was made; its signing secret, if the method signs, is shown this once."""
    new = replace(
        data.wanted(),
        title=data.title,
        rate_limit=_rate_of(data.rate_limit),
        in_order=data.in_order,
        tls=to_tls(data.tls),
    )
    return await _create(call, data.place(), new)


def _rate_of(limit: RateLimit | None) -> float | None:
    return None if limit is None else limit.per_second


@get(_ONE)
async def get_notification(
    call: Call, notification_id: FromPath[str], show: Show = None
) -> Notification:
    """The notification, its secrets masked unless `show=config`."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer, found = await call.notifications.look_at(tx, actor, notification_id)
    return shown(call, viewer.path, found, show=show)


@patch(_ONE)
async def change_notification(
    call: Call, notification_id: FromPath[str], data: JSONBody[NotificationChange]
) -> MadeNotification:
    """Change it in place; what waits goes to the new target at its next try."""
    admin, found = await _load(call, notification_id)
    config: Mapping[str, Any] = found.config
    if data.config is not UNSET:
        config = unmasked(data.config, found.config)
    if data.url is not UNSET:
        config = {**config, "url": data.url}
    kinds = found.kinds
    if data.event is not UNSET or data.events is not UNSET:
        kinds = kinds_of(data.event or None, data.events or None)
    new = NewNotification(
        kind=kinds[0],
        further_kinds=kinds[1:],
        method=found.method if data.method is UNSET else data.method,
        config=config,
        event_config=found.event_config if data.event_config is UNSET else data.event_config,
        filters=found.filters if data.filter is UNSET else data.filter,
        payload_form=found.payload_form if data.payload_form is UNSET else data.payload_form,
        title=found.title if data.title is UNSET else data.title,
        rate_limit=found.rate_limit if data.rate_limit is UNSET else _rate_of(data.rate_limit),
        in_order=found.in_order if data.in_order is UNSET else data.in_order,
        tls=found.tls if data.tls is UNSET else to_tls(data.tls, found.tls),
    )
    # A certificate that has run out since must not keep anybody from changing something else.
    asked = replace(new, tls=None) if data.tls is UNSET else new
    await call.notifications.check(call.read, admin, asked)
    async with call.begin() as tx:
        # Asked again, because the right may be gone since.
        admin, _ = await call.notifications.load(tx, await call.actor(tx), notification_id)
        changed = await call.notifications.change(tx, admin, notification_id, new)
    return _made(call, admin.path, changed)


# The framework lets a 204 declared here have no answer object.
@delete(_ONE, status_code=204)
async def delete_notification(call: Call, notification_id: FromPath[str]) -> None:
    """Nothing: it is gone. What waited is cancelled and stays on record."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin, found = await call.notifications.load(tx, actor, notification_id)
        await call.notifications.delete(tx, admin, found.uuid)


@post(f"{_ONE}/pause", status_code=200)
async def pause_notification(call: Call, notification_id: FromPath[str]) -> Notification:
    """Send nothing more until it is resumed; what comes meanwhile is parked, never lost."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin, found = await call.notifications.load(tx, actor, notification_id)
        await call.notifications.pause(tx, admin, found.uuid)
        _, after = await call.notifications.load(tx, actor, notification_id)
    return shown(call, admin.path, after)


@post(f"{_ONE}/resume", status_code=200)
async def resume_notification(call: Call, notification_id: FromPath[str]) -> Resumed:
    """Forget the failures and send what was parked, the oldest first."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin, found = await call.notifications.load(tx, actor, notification_id)
        released = await call.notifications.resume(tx, admin, found.uuid)
        _, after = await call.notifications.load(tx, actor, notification_id)
    return Resumed(shown(call, admin.path, after), released)


@post(f"{_ONE}/test", status_code=200)
async def run_notification_test(
    call: Call,
    notification_id: FromPath[str],
    wait: Annotated[
        int,
        QueryParameter(ge=0, le=_LONGEST_WAIT, description="Seconds to wait for the outcome."),
    ] = _LONGEST_WAIT,
    event: Annotated[
        str | None, QueryParameter(description="Which of its events; the first if left out.")
    ] = None,
) -> Response[DeliveryInFull]:
    """Send the event's sample now; 200 with what came of it, or 202 if it is still on its way."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin, found = await call.notifications.load(tx, actor, notification_id)
        delivery_id = await call.notifications.test(tx, admin, found.uuid, kind=event)
    outcome = await _outcome_of(call, delivery_id, wait)
    is_over = outcome.delivery.state not in {State.WAITING, State.SENDING}
    return Response(outcome, status_code=200 if is_over else 202)


async def _outcome_of(call: ApiCall, delivery_id: str, seconds: float) -> DeliveryInFull:
    """The delivery once it is over, or as it is after so many seconds. No transaction is open while it waits."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + seconds, _FIRST_LOOK
    while True:
        async with call.read() as tx:
            found = await deliveries.load(tx, await call.actor(tx), delivery_id, attempts=1)
        left = deadline - loop.time()
        if left <= 0 or found.delivery.finished_at is not None:
            return in_full(found)
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, _LAST_LOOK)


@post(f"{_ONE}/copy", status_code=201)
async def copy_notification(
    call: Call, notification_id: FromPath[str], data: JSONBody[NotificationCopy]
) -> MadeNotification:
    """Make the same one for another place that the caller administers, with a signing secret of its own."""
    _, found = await _load(call, notification_id)
    new = NewNotification(
        kind=found.kind,
        further_kinds=found.further_kinds,
        method=found.method,
        config=found.config,
        event_config=found.event_config,
        filters=found.filters,
        title=found.title if data.title is UNSET else data.title,
        payload_form=found.payload_form,
        signatures=found.signatures,
        rate_limit=found.rate_limit,
        in_order=found.in_order,
        tls=found.tls,
    )
    named = NamedPlace(data.repository, data.namespace, is_instance=data.instance)
    return await _create(call, named, new)


@get(f"{_ONE}/standing")
async def get_standing(call: Call, notification_id: FromPath[str]) -> Standing:
    """How it is doing: state, why it is paused, failures, last success, what waits."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer, found = await call.notifications.look_at(tx, actor, notification_id)
        health = await call.notifications.health(tx, viewer, found)
    view = shown(call, viewer.path, found)
    is_paused = view.state == "paused"
    return Standing(
        state=view.state,
        pause_reason=view.pause_reason,
        pause_sentence=view.pause_sentence,
        paused_at=view.paused_at,
        failing_since=view.failing_since,
        failure_streak=view.failure_streak,
        waiting=0 if is_paused else health.waiting,
        parked=health.waiting if is_paused else 0,
        sending=health.sending,
        last_success_at=health.last_success_at,
        last_failure_at=health.last_failure_at,
        last_failure_code=health.last_failure_code,
        held_until=health.held_until,
        held_for=held_for(health.held_by),
    )


HANDLERS = [
    list_notifications,
    create_notification,
    get_notification,
    change_notification,
    delete_notification,
    pause_notification,
    resume_notification,
    run_notification_test,
    copy_notification,
    get_standing,
]
