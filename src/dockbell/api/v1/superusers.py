"""Managing all users and organizations with Quay's addresses and shapes (quay-compat 6.6)."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1 import page_tokens
from dockbell.api.v1.quotas import report
from dockbell.api.v1.views import avatar
from dockbell.domain.accounts import Namespace, User
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.quotas import Standing
from dockbell.services import organizations, quotas, users
from dockbell.services.encrypted_passwords import to_encrypted
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
_MOST = 100
_LIMIT_HELP = "Limit to the number of results to return per page. Max 100. (int)"
_ALL = "/superuser/users"
_ONE = "/superuser/users/{name:str}"


def _shown(call: Call, user: User, standing: Standing) -> dict[str, object]:
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
        **report(standing),
    }


def _shown_organization(one: Namespace, standing: Standing) -> dict[str, object]:
    return {
        "name": one.name,
        "email": one.email,
        "avatar": avatar(one.name, one.email, "org"),
        **report(standing),
    }


async def _shown_alone(call: Call, tx: Any, user: User) -> dict[str, object]:
    actor = await call.actor(tx)
    return _shown(call, user, await call.faces.quotas.standing_of(tx, actor, user.namespace))


def _check_lesser(call: Call, user: User, verb: str) -> None:
    # Quay: superusers cannot do this to each other. Pinned by compat/test_superusers.py.
    if call.faces.powers.makes_superuser(user):
        raise InvalidRequestError(f"Cannot {verb} a superuser")


def _limit(call: Call) -> int | None:
    """How many the caller wants on a page; None for all at once."""
    if not call.text("limit"):
        return None
    limit = call.number("limit", 0, _LIMIT_HELP)
    if limit > _MOST:
        raise InvalidRequestError(f"Page limit cannot be above {_MOST}")
    if limit < 1:
        raise InvalidRequestError("Page limit cannot be below 1")
    return limit


def _page(key: str, shown: Sequence[object], last_id: str | None) -> dict[str, object]:
    answer: dict[str, object] = {key: shown}
    if last_id is not None:
        answer["next_page"] = page_tokens.to_token(last_id)
    return answer


@get(_ALL)
async def list_users(call: Call) -> Response[bytes]:
    """200 with every user, or with a page of `limit`; with `disabled=false` only those who may sign in."""
    with_disabled = call.text("disabled", "true").lower() not in {"false", "0", "no"}
    found: Sequence[User]
    last_id = None
    async with call.read() as tx:
        right = await users.superviewer(tx, await call.actor(tx))
        limit = _limit(call)
        if limit is None:
            found = [
                user
                for user in await users.list_all(tx, right)
                if with_disabled or user.is_enabled
            ]
        else:
            found, last_id = await users.list_page(
                tx,
                right,
                after=page_tokens.of_token(call.text("next_page")),
                limit=limit,
                with_disabled=with_disabled,
            )
        standings = await call.faces.quotas.standings_of(
            tx, right.actor, [user.namespace.id for user in found]
        )
    shown = [_shown(call, user, standings[user.namespace.id]) for user in found]
    return call.reply(200, _page("users", shown, last_id))


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
        view = await _shown_alone(call, tx, await users.load(tx, right.actor, name))
    return call.reply(200, view)


@put(_ONE)
async def change_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """200 with the user as they are now, and with the new `password` encrypted if there is one."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        _check_lesser(call, await users.load(tx, right.actor, name), "update")
        body = call.json(_CHANGE)
        changed = await users.change(
            tx,
            right,
            name,
            password=body.get("password"),
            email=body.get("email"),
            is_enabled=body.get("enabled"),
        )
        view = await _shown_alone(call, tx, changed)
        if body.get("password") is not None:
            view["encrypted_password"] = to_encrypted(tx, name, body["password"])
    return call.reply(200, view)


@delete(_ONE, status_code=200)
async def delete_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """204: the user is gone with all that they owned."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        _check_lesser(call, await users.load(tx, right.actor, name), "delete")
        await users.delete(tx, right, name)
    return call.reply(204)


@get("/superuser/organizations")
async def list_organizations(call: Call) -> Response[bytes]:
    """200 with every organization, or with a page of `limit`."""
    last_id = None
    async with call.read() as tx:
        right = await users.superviewer(tx, await call.actor(tx))
        limit = _limit(call)
        if limit is None:
            found = await organizations.list_all(tx, right)
        else:
            after = page_tokens.of_token(call.text("next_page"))
            found, last_id = await organizations.list_page(tx, right, after=after, limit=limit)
        standings = await call.faces.quotas.standings_of(
            tx, right.actor, [one.id for one in found]
        )
    shown = [_shown_organization(one, standings[one.id]) for one in found]
    return call.reply(200, _page("organizations", shown, last_id))


@delete("/superuser/organizations/{name:str}", status_code=200)
async def delete_organization(call: Call, name: FromPath[str]) -> Response[bytes]:
    """204: the organization is gone with all that it owned."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await organizations.delete_by_superuser(tx, right, name)
    return call.reply(204)


@post("/superuser/takeownership/{namespace:str}", status_code=200)
async def take_ownership(call: Call, namespace: FromPath[str]) -> Response[bytes]:
    """200 `{"namespace"}`: you are an owner of the organization now."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await organizations.take_over(tx, right, namespace)
    return call.reply(200, {"namespace": namespace})


@get("/superuser/registrysize")
async def get_registry_size(call: Call) -> Response[bytes]:
    """200 with what all repositories store now, each blob once."""
    async with call.read() as tx:
        viewer = await users.superviewer(tx, await call.actor(tx))
        size = await quotas.size_of_all(tx, viewer)
        now = tx.now
    # Quay counts when asked to, and shows that count until the next. Pinned by compat/test_superusers.py.
    return call.reply(
        200,
        {
            "size_bytes": size,
            "last_ran": int(now.timestamp() * 1000),
            "queued": False,
            "running": False,
        },
    )


@post("/superuser/registrysize", status_code=201)
async def count_registry_size(call: Call) -> Response[bytes]:
    """201: there is nothing to do, since each `GET` counts."""
    async with call.read() as tx:
        await users.superuser(tx, await call.actor(tx))
    return call.reply(201, "")


HANDLERS = [
    list_users,
    create_user,
    get_user,
    change_user,
    delete_user,
    list_organizations,
    delete_organization,
    take_ownership,
    get_registry_size,
    count_registry_size,
]
