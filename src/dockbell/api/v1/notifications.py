"""Repository notifications with Quay's addresses, shapes and statuses (quay-compat 2.1)."""

import json
from collections.abc import Mapping
from typing import Any

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.domain.errors import NotFoundError
from dockbell.domain.notifications import Notification, Outline
from dockbell.domain.standings import FAILURE_LIMIT
from dockbell.services import repositories
from dockbell.services.notifications import NewNotification
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST_NAME = 255
_LONGEST_TITLE = 1024

# Quay's clients send either spelling of the event's config, and some a null title.
NEW = Schema(
    properties=(
        Property("event", "string", required=True, most=_LONGEST_NAME),
        Property("method", "string", required=True, most=_LONGEST_NAME),
        Property("config", "object", required=True),
        Property("eventConfig", "object", required=True, also=("event_config",)),
        Property("title", "string", nullable=True, most=_LONGEST_TITLE),
    )
)

# The one place where a webhook's signing secret is shown: the object's keys are closed.
_SECRET_HEADER = "dockbell-signing-secret"  # noqa: S105 -- a header's name


def asked_for(body: Mapping[str, Any]) -> NewNotification:
    """What a body that passed `NEW` asks for."""
    return NewNotification(
        kind=body["event"],
        method=body["method"],
        config=body["config"],
        event_config=body["eventConfig"],
        title=body.get("title"),
    )


def secret_header(made: Notification) -> Mapping[str, str]:
    return {_SECRET_HEADER: made.secrets[0].text} if made.secrets else {}


_ALL = "/repository/{repository:str}/notification"
_ONE = "/repository/{repository:str}/notification/{uuid:str}"


def _number_of_failures(streak: int, *, is_paused: bool) -> int:
    # Quay: clients work out "Disabled" from this number, by three or more. Pinned by compat/test_notifications.py.
    return max(streak, FAILURE_LIMIT) if is_paused else streak


def shown(notification: Notification) -> dict[str, object]:
    # Quay: exactly these keys, in this order, secrets included. Pinned by compat/test_guide.py.
    return {
        "uuid": notification.uuid,
        "title": notification.title,
        "event": notification.kind,
        "method": notification.method,
        "config": notification.config,
        "event_config": notification.event_config,
        "number_of_failures": _number_of_failures(
            notification.failure_streak, is_paused=notification.paused_at is not None
        ),
    }


_quoted = json.encoder.encode_basestring_ascii


def _listed(one: Outline) -> str:
    """What `shown` says, as text: the documents in it are JSON already."""
    return (
        f'{{"uuid": {_quoted(one.uuid)}, "title": {"null" if one.title is None else _quoted(one.title)}, '
        f'"event": {_quoted(one.kind)}, "method": {_quoted(one.method)}, "config": {one.config}, '
        f'"event_config": {one.event_config}, "number_of_failures": '
        f"{_number_of_failures(one.failure_streak, is_paused=one.is_paused)}}}"
    )


@get(_ALL)
async def list_notifications(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with all of them, in the order they were created."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        found = await call.notifications.list_all(tx, admin)
    return call.reply_text(200, f'{{"notifications": [{", ".join(map(_listed, found))}]}}')


@post(_ALL)
async def create_notification(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """201 with the object; the signing secret, if the method has one, is in a header of this answer only."""
    path = call.path(repository)
    async with call.read() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
    body = call.json(NEW)
    new = asked_for(body)
    await call.notifications.check(call.read, admin, new)
    async with call.begin() as tx:
        # Asked again, because the repository or the right may be gone since.
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        made = await call.notifications.create(tx, admin, new)
    return call.reply(201, shown(made), secret_header(made))


@get(_ONE)
async def get_notification(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 with the object, or 404."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        found = await call.notifications.find(tx, admin, uuid)
    if found is None:
        raise NotFoundError
    return call.reply(200, shown(found))


# Quay: an unknown UUID is 400 here and 404 above. Pinned by compat/test_notifications_errors.py.


async def _reset(call: Call, repository: str, uuid: str) -> None:
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await call.notifications.reset(tx, admin, uuid)


@post(_ONE)
async def reset_notification(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """204: the failures are forgotten, and a paused notification resumes. Any body is ignored."""
    await _reset(call, repository, uuid)
    return call.reply(204)


@post(f"{_ONE}/reset")
async def reset_notification_as_go_quay(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 `{}`: the same under the address that the go-quay client uses."""
    await _reset(call, repository, uuid)
    return call.reply(200, {})


@post(f"{_ONE}/test")
async def run_notification_test(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 `{}`: a sample event is queued. Any body is ignored."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await call.notifications.test(tx, admin, uuid)
    return call.reply(200, {})


# The framework lets a 204 declared here have no answer object; the answer itself says 204.
@delete(_ONE, status_code=200)
async def delete_notification(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """204: it is gone, and its waiting deliveries are cancelled."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await call.notifications.delete(tx, admin, uuid)
    return call.reply(204)


HANDLERS = [
    list_notifications,
    create_notification,
    get_notification,
    reset_notification,
    reset_notification_as_go_quay,
    run_notification_test,
    delete_notification,
]
