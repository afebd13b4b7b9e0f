"""OAuth applications with Quay's addresses and shapes (quay-compat 6.3)."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1 import organizations as organization_views
from dockbell.api.v1.views import avatar
from dockbell.domain.accounts import Application
from dockbell.services import applications, organizations
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST = 2048
_LONGEST_NAME = 255


def _schema(*, is_change: bool) -> Schema:
    return Schema(
        properties=(
            Property("name", "string", required=True, most=_LONGEST_NAME),
            Property("redirect_uri", "string", required=is_change, most=_LONGEST),
            Property("application_uri", "string", required=is_change, most=_LONGEST),
            Property("description", "string", most=_LONGEST),
            Property("avatar_email", "string", nullable=True, most=_LONGEST_NAME),
        )
    )


_NEW = _schema(is_change=False)
_CHANGE = _schema(is_change=True)
_ALL = "/organization/{organization:str}/applications"
_ONE = "/organization/{organization:str}/applications/{client_id:str}"


def _shown(application: Application) -> dict[str, object]:
    return {
        "name": application.name,
        "description": application.description,
        "application_uri": application.application_uri,
        "client_id": application.client_id,
        "client_secret": application.client_secret,
        "redirect_uri": application.redirect_uri,
        "avatar_email": application.avatar_email,
    }


@get(_ALL)
async def list_applications(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with all of them, secrets included: only admins get here."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await applications.list_for(tx, admin)
    return call.reply(200, {"applications": [_shown(one) for one in found]})


@post(_ALL)
async def create_application(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with the application."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        body = call.json(_NEW)
        made = await applications.create(
            tx,
            admin,
            name=body["name"],
            redirect_uri=body.get("redirect_uri", ""),
            application_uri=body.get("application_uri", ""),
            description=body.get("description", ""),
            avatar_email=body.get("avatar_email"),
        )
    return call.reply(200, _shown(made))


@get(_ONE)
async def get_application(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """200 with the application, or 404."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await applications.load(tx, admin, client_id)
    return call.reply(200, _shown(found))


@put(_ONE)
async def change_application(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """200 with the application as it is now. What is left out of the optional keys stays."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await applications.load(tx, admin, client_id)
        body = call.json(_CHANGE)
        changed = await applications.change(
            tx,
            admin,
            found,
            name=body["name"],
            redirect_uri=body["redirect_uri"],
            application_uri=body["application_uri"],
            description=body.get("description", found.description),
            avatar_email=body.get("avatar_email", found.avatar_email),
        )
    return call.reply(200, _shown(changed))


@delete(_ONE, status_code=200)
async def delete_application(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """204: it is gone, and its tokens are void."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await applications.load(tx, admin, client_id)
        await applications.delete(tx, admin, found)
    return call.reply(204)


@post(f"{_ONE}/resetclientsecret")
async def reset_client_secret(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """200 with the application and its new secret."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await applications.load(tx, admin, client_id)
        changed = await applications.reset_secret(tx, admin, found)
    return call.reply(200, _shown(changed))


@get("/app/{client_id:str}")
async def get_public_application(call: Call, client_id: FromPath[str]) -> Response[bytes]:
    """200 with what anybody may know of an application, or 404."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, organization = await applications.load_public(tx, actor, client_id)
        owner = await organizations.load(tx, actor, organization)
    return call.reply(
        200,
        {
            "name": found.name,
            "description": found.description,
            "uri": found.application_uri,
            "avatar": avatar(found.name, found.avatar_email or owner.namespace.email, "app"),
            "organization": organization_views.shown(owner),
        },
    )


HANDLERS = [
    list_applications,
    create_application,
    get_application,
    change_application,
    delete_application,
    reset_client_secret,
    get_public_application,
]
