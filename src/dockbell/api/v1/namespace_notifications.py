"""Notifications of organizations and of users themselves, with Quay's addresses and statuses (quay-compat 2.2)."""

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.api.v1.notifications import NEW, asked_for, secret_header, shown
from dockbell.domain.errors import NotFoundError
from dockbell.services import areas
from dockbell.web.calls import Call

_ALL = ["/organization/{organization:str}/notifications", "/user/namespacenotifications"]
_ONE = [f"{notifications}/{{uuid:str}}" for notifications in _ALL]
_TEST = [f"{one}/test" for one in _ONE]


def _organization(call: Call) -> str | None:
    """The organization in the address; None below `/user`, where the caller's own namespace is meant."""
    name: str | None = call.request.path_params.get("organization")
    return name


@get(_ALL)
async def list_namespace_notifications(call: Call) -> Response[bytes]:
    """200 with all of them, in the order they were created; those of its repositories are not among them."""
    async with call.read() as tx:
        admin = await areas.viewer_of_owner(tx, await call.actor(tx), _organization(call))
        found = await call.notifications.list_of_namespace(tx, admin)
    return call.reply(200, {"notifications": [shown(one) for one in found]})


@post(_ALL)
async def create_namespace_notification(call: Call) -> Response[bytes]:
    """201 with the object, for one of the two quota events; a signing secret is in a header of this answer only."""
    organization = _organization(call)
    async with call.read() as tx:
        admin = await areas.admin_of_owner(tx, await call.actor(tx), organization)
    new = asked_for(call.json(NEW))
    call.notifications.check_own_kind(admin, new.kind)
    await call.notifications.check(call.read, admin, new)
    async with call.begin() as tx:
        # Asked again, because the namespace or the right may be gone since.
        admin = await areas.admin_of_owner(tx, await call.actor(tx), organization)
        made = await call.notifications.create(tx, admin, new)
    return call.reply(201, shown(made), secret_header(made))


@get(_ONE)
async def get_namespace_notification(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with the object, or 404."""
    async with call.read() as tx:
        admin = await areas.viewer_of_owner(tx, await call.actor(tx), _organization(call))
        found = await call.notifications.find(tx, admin, uuid)
    if found is None:
        raise NotFoundError
    return call.reply(200, shown(found))


@post(_ONE)
async def reset_namespace_notification(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: the failures are forgotten, and a paused notification resumes; 404 for an unknown one. Any body is ignored."""
    async with call.begin() as tx:
        admin = await areas.admin_of_owner(tx, await call.actor(tx), _organization(call))
        await call.notifications.reset(tx, admin, uuid)
    return call.reply(204)


@post(_TEST)
async def run_namespace_notification_test(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 `{}`: a sample event is queued; 404 for an unknown notification. Any body is ignored."""
    async with call.begin() as tx:
        admin = await areas.admin_of_owner(tx, await call.actor(tx), _organization(call))
        await call.notifications.test(tx, admin, uuid)
    return call.reply(200, {})


@delete(_ONE, status_code=200)
async def delete_namespace_notification(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: it is gone, and its waiting deliveries are cancelled; 404 for an unknown one."""
    async with call.begin() as tx:
        admin = await areas.admin_of_owner(tx, await call.actor(tx), _organization(call))
        await call.notifications.delete(tx, admin, uuid)
    return call.reply(204)


HANDLERS = [
    list_namespace_notifications,
    create_namespace_notification,
    get_namespace_notification,
    reset_namespace_notification,
    run_namespace_notification_test,
    delete_namespace_notification,
]
