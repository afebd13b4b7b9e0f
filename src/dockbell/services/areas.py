"""The right to the place that a request is about, however the caller names it: a repository, a namespace, the server."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dockbell.domain.accounts import Actor
from dockbell.domain.errors import ConfigError, ForbiddenError, NotFoundError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import INSTANCE, Notification
from dockbell.domain.permissions import (
    AdminOfAll,
    AdminOfInstance,
    AdminOfPlace,
    ViewerOfAll,
    ViewerOfInstance,
    ViewerOfPlace,
)
from dockbell.domain.records import EventRecord
from dockbell.services import organizations, repositories, users
from dockbell.store import event_lists, notification_lists
from dockbell.store.transactions import Tx

_Right = TypeVar("_Right")

_NAME_ONE = "Name a repository, a namespace, the instance, a notification or an event"


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place as a body names it: one of the three."""

    repository: str | None
    namespace: str | None
    is_instance: bool = False


async def viewer_of(  # noqa: PLR0913 -- one argument for each way to name a place
    tx: Tx,
    actor: Actor,
    *,
    repository: str | None = None,
    namespace: str | None = None,
    is_instance: bool = False,
    notification_id: str | None = None,
    event_id: str | None = None,
) -> ViewerOfPlace:
    """The right to see what administrators see of the place that is named: itself, or by a notification or event of it.

    Administrators have it for theirs, readonly superusers for every one. Raise ConfigError if none is named. Things
    of other people's places look unknown.
    """
    repositories.check_may_view(actor)
    if repository is not None:
        return await repositories.viewer_of(tx, actor, repository)
    if namespace is not None:
        return await repositories.viewer_of_all(tx, actor, namespace)
    if is_instance:
        return await _viewer_of_instance(tx, actor)
    if notification_id is not None:
        return (await viewer_of_notification(tx, actor, notification_id))[0]
    if event_id is not None:
        event = await event_lists.find(tx, event_id)
        if event is None:
            raise NotFoundError
        return (await viewers_of_event(tx, actor, event))[0]
    raise ConfigError(_NAME_ONE, field="repository")


async def admin_of_named(tx: Tx, actor: Actor, named: NamedPlace) -> AdminOfPlace:
    """The right to the one place that something is to be made for. Raise ConfigError unless exactly one is named."""
    repositories.check_may_administer(actor)
    count = (named.repository is not None) + (named.namespace is not None) + named.is_instance
    if count != 1:
        raise ConfigError(
            "Name one place: a repository, a namespace, or the instance", field="repository"
        )
    if named.repository is not None:
        return await repositories.admin_of(tx, actor, named.repository)
    if named.namespace is not None:
        return await repositories.admin_of_all(tx, actor, named.namespace)
    return await admin_of_instance(tx, actor)


async def admin_of_instance(tx: Tx, actor: Actor) -> AdminOfInstance:
    """The right to order news of the whole server, or raise. A token needs the scope `super:user` besides."""
    repositories.check_may_administer(actor)
    right = await users.superuser(tx, actor)
    return AdminOfInstance(right.actor)


async def _viewer_of_instance(tx: Tx, actor: Actor) -> ViewerOfInstance:
    return (
        ViewerOfInstance(actor)
        if actor.is_readonly_superuser
        else await admin_of_instance(tx, actor)
    )


async def admin_of_owner(tx: Tx, actor: Actor, organization: str | None) -> AdminOfAll:
    """The right to an organization's own notifications, or without one to the caller's, as API v1 asks for it.

    That is by the scopes `org:admin` and `user:admin`, and not by `repo:admin` as everywhere else.
    """
    right = (
        await users.admin_of_self(tx, actor)
        if organization is None
        else await organizations.admin_of_namespace(tx, actor, organization)
    )
    return AdminOfAll(right.actor, right.namespace)


async def viewer_of_owner(tx: Tx, actor: Actor, organization: str | None) -> ViewerOfAll:
    """The right to see those notifications, which readonly superusers have for every organization."""
    if organization is None:
        return await admin_of_owner(tx, actor, None)
    right = await organizations.viewer_of_namespace(tx, actor, organization)
    return ViewerOfAll(right.actor, right.namespace)


async def admin_by_id(tx: Tx, actor: Actor, place_id: str | None) -> AdminOfPlace:
    """The right to the place with this id, or raise. What the caller may not administer looks unknown to them."""
    repositories.check_may_administer(actor)
    if place_id is None:
        raise NotFoundError
    if place_id == INSTANCE:
        try:
            return await admin_of_instance(tx, actor)
        except ForbiddenError:
            raise NotFoundError from None
    found = await repositories.find_admin_by_id(tx, actor, place_id)
    if found is not None:
        return found
    return await repositories.admin_of_all_by_id(tx, actor, place_id)


async def viewer_by_id(tx: Tx, actor: Actor, place_id: str | None) -> ViewerOfPlace:
    """The right to see what administrators see of the place with this id, which readonly superusers have for every one."""
    if not actor.is_readonly_superuser:
        return await admin_by_id(tx, actor, place_id)
    if place_id is None:
        raise NotFoundError
    if place_id == INSTANCE:
        return ViewerOfInstance(actor)
    found = await repositories.find_viewer_by_id(tx, actor, place_id)
    if found is not None:
        return found
    return await repositories.viewer_of_all_by_id(tx, actor, place_id)


async def viewers_of_event(tx: Tx, actor: Actor, record: EventRecord) -> list[ViewerOfPlace]:
    """The rights to see all places of the event that the caller has, the narrowest first; NotFoundError if it is none."""
    return await _rights_by(lambda place_id: viewer_by_id(tx, actor, place_id), record)


async def admins_of_event(tx: Tx, actor: Actor, record: EventRecord) -> list[AdminOfPlace]:
    """The rights to administer them, likewise."""
    return await _rights_by(lambda place_id: admin_by_id(tx, actor, place_id), record)


async def _rights_by(
    right_by_id: Callable[[str | None], Awaitable[_Right]], record: EventRecord
) -> list[_Right]:
    found: list[_Right] = []
    for place_id in (record.repository_id, record.namespace_id, INSTANCE):
        with contextlib.suppress(NotFoundError):  # it is gone, or not theirs
            found.append(await right_by_id(place_id))
    if not found:
        raise NotFoundError
    return found


async def viewer_of_notification(
    tx: Tx, actor: Actor, notification_id: str
) -> tuple[ViewerOfPlace, Notification]:
    """The notification with this `ntf_` id and the right to see it; one that the caller may not see is unknown."""
    repositories.check_may_view(actor)
    found = await _load_notification(tx, notification_id)
    return await viewer_by_id(tx, actor, found.place_id), found


async def admin_of_notification(
    tx: Tx, actor: Actor, notification_id: str
) -> tuple[AdminOfPlace, Notification]:
    """The notification with this `ntf_` id and the right to it; one that the caller may not see is unknown."""
    repositories.check_may_administer(actor)
    found = await _load_notification(tx, notification_id)
    return await admin_by_id(tx, actor, found.place_id), found


async def _load_notification(tx: Tx, notification_id: str) -> Notification:
    found = await notification_lists.find(tx, notification_id)
    if found is None:
        raise NotFoundError
    return found
