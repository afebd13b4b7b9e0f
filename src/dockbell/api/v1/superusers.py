"""Managing all users and organizations with Quay's addresses and shapes (quay-compat 6.6)."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1.views import avatar
from dockbell.domain.accounts import User
from dockbell.services import organizations, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_NEW = Schema(
    properties=(
        Property("username", "string", required=True),
        Property("email", "string", nullable=True),
    )
)
_CHANGE = Schema(
    properties=(
        Property("password", "string", nullable=True),
        Property("email", "string", nullable=True),
        Property("enabled", "boolean"),
    )
)
_ALL = "/superuser/users"
_ONE = "/superuser/users/{name:str}"


def _shown(call: Call, user: User) -> dict[str, object]:
    namespace = user.namespace
    return {
        "kind": "user",
        "name": namespace.name,
        "username": namespace.name,
        "email": namespace.email,
        "verified": user.email_verified,
        "avatar": avatar(namespace.name, namespace.email, "user"),
        "super_user": call.faces.powers.makes_superuser(user),
        "enabled": user.is_enabled,
    }


@get(_ALL)
async def list_users(call: Call) -> Response[bytes]:
    """200 with every user; with `disabled=false` only those who may sign in."""
    with_disabled = call.text("disabled", "true").lower() not in {"false", "0", "no"}
    async with call.read() as tx:
        right = await users.superviewer(tx, await call.actor(tx))
        found = await users.list_all(tx, right)
    shown = [_shown(call, user) for user in found if with_disabled or user.is_enabled]
    return call.reply(200, {"users": shown})


@post(_ALL)
async def create_user(call: Call) -> Response[bytes]:
    """200 with the user and a password made for them, which is shown this once."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = call.json(_NEW)
        made = await users.create_with_password(
            tx, right, username=body["username"], email=body.get("email") or None
        )
    return call.reply(
        200,
        {
            "username": made.user.name,
            "email": made.user.email,
            "password": made.password,
            "encrypted_password": made.encrypted_password,
        },
    )


@get(_ONE)
async def get_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """200 with the user, or 404."""
    async with call.read() as tx:
        right = await users.superviewer(tx, await call.actor(tx))
        found = await users.load(tx, right.actor, name)
    return call.reply(200, _shown(call, found))


@put(_ONE)
async def change_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """200 with the user as they are now."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await users.load(tx, right.actor, name)
        body = call.json(_CHANGE)
        changed = await users.change(
            tx,
            right,
            name,
            password=body.get("password"),
            email=body.get("email"),
            is_enabled=body.get("enabled"),
        )
    return call.reply(200, _shown(call, changed))


@delete(_ONE, status_code=200)
async def delete_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """204: the user is gone with all that they owned."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await users.delete(tx, right, name)
    return call.reply(204)


@get("/superuser/organizations")
async def list_organizations(call: Call) -> Response[bytes]:
    """200 with every organization."""
    async with call.read() as tx:
        right = await users.superviewer(tx, await call.actor(tx))
        found = await organizations.list_all(tx, right)
    return call.reply(
        200,
        {
            "organizations": [
                {
                    "name": one.name,
                    "email": one.email,
                    "avatar": avatar(one.name, one.email, "org"),
                }
                for one in found
            ]
        },
    )


@delete("/superuser/organizations/{name:str}", status_code=200)
async def delete_organization(call: Call, name: FromPath[str]) -> Response[bytes]:
    """204: the organization is gone with all that it owned."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await organizations.delete_by_superuser(tx, right, name)
    return call.reply(204)


HANDLERS = [
    list_users,
    create_user,
    get_user,
    change_user,
    delete_user,
    list_organizations,
    delete_organization,
]
