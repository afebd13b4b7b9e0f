"""The first user, oneself, and other people, with Quay's addresses and shapes (quay-compat 6.1, 6.6)."""

from typing import Any

import msgspec
import structlog
from litestar import Response, get, post
from litestar.params import FromPath

from dockbell.api.v1.organizations import TAG_EXPIRATION_SECONDS
from dockbell.api.v1.quotas import report
from dockbell.api.v1.views import avatar, holder_avatar, team_avatar
from dockbell.domain.accounts import Scope, User
from dockbell.domain.errors import (
    DataError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.permissions import Self
from dockbell.services import first_users, organizations, users
from dockbell.services.organizations import OwnOrganization
from dockbell.web import sessions
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call
from dockbell.web.errors import problem

SET_UP_HEADER = "dockbell-setup-token"

_log = structlog.get_logger("dockbell.users")

_FIRST = Schema(
    properties=(
        Property("username", "string", required=True),
        Property("password", "string", required=True),
        Property("email", "string", nullable=True),
        Property("access_token", "boolean"),
        Property("setup_token", "string", nullable=True),
    )
)


@post("/user/initialize")
async def initialize(call: Call) -> Response[bytes]:
    """200 with the first user and, on request, a token that may do everything.

    404 as long as neither the setting opens this nor the set-up token is sent, as a header or in the body.
    """
    given = call.request.headers.get(SET_UP_HEADER) or _token_in(call.raw_body)
    try:
        async with call.begin() as tx:
            right = await first_users.set_up(tx, given, is_open=call.faces.is_initialize_open)
            body = call.json(_FIRST)
            made = await first_users.initialize(
                tx,
                right,
                username=body["username"],
                password=body["password"],
                email=body.get("email") or None,
                wants_token=body.get("access_token", False),
            )
    except NotFoundError as error:
        reason = error.detail
        if given is None and call.raw_body and _decoded(call.raw_body) is None:
            reason = "the body is not JSON, so no set-up token can be read from it"
        _log.warning("first user not made", reason=reason)
        # Quay: shape B, as everything that is switched off. Pinned by compat/test_initialize.py.
        return call.reply(404, {"error": "Not Found"})
    except InvalidRequestError as error:
        # Quay: all refusals here have the key `message` alone. Pinned by compat/test_initialize.py.
        raise DataError(error.detail) from error
    answer: dict[str, object] = {
        "email": made.user.email,
        "encrypted_password": made.encrypted_password,
        "username": made.user.name,
    }
    if made.access_token is not None:
        answer = {"access_token": made.access_token, **answer}
    # Quay: the first user is signed in as well. Pinned by compat/test_sessions.py.
    return call.reply(200, answer, sessions.keep(call.faces.links, made.session))


def _decoded(raw_body: bytes) -> Any:
    """What the JSON says; None if it is none."""
    try:
        return msgspec.json.decode(raw_body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _token_in(raw_body: bytes) -> str | None:
    """The set-up token of a body, if it is JSON that holds one; what else is wrong with it shows later."""
    body = _decoded(raw_body)
    token = body.get("setup_token") if isinstance(body, dict) else None
    return token if isinstance(token, str) else None


def _shown_organization(own: OwnOrganization, *, with_details: bool) -> dict[str, object]:
    view: dict[str, object] = {
        "name": own.namespace.name,
        "avatar": avatar(own.namespace.name, own.namespace.email, "org"),
        "can_create_repo": own.may_create,
        "public": False,
    }
    if with_details:
        view["is_org_admin"] = own.is_admin
        view["preferred_namespace"] = False
    return view


def _shown_stranger(user: User) -> dict[str, object]:
    name = user.namespace.name
    return {
        "anonymous": False,
        "username": name,
        "avatar": avatar(name, user.namespace.email, "user"),
    }


async def shown_self(call: ApiCall, tx: Any, me: Self) -> dict[str, object]:
    """The caller's own account as they see it."""
    myself = await users.load_own(tx, me)
    own = await organizations.list_own(tx, me)
    user = myself.user
    view = _shown_stranger(user)
    if myself.sees_details:
        view |= {
            "can_create_repo": True,
            "is_me": True,
            "verified": user.email_verified,
            "email": user.namespace.email,
            "logins": [],
            "invoice_email": False,
            "invoice_email_address": None,
            "preferred_namespace": False,
            "tag_expiration_s": TAG_EXPIRATION_SECONDS,
            "prompts": [],
            "company": None,
            "family_name": None,
            "given_name": None,
            "location": None,
            "is_free_account": True,
            "has_password_set": user.has_password,
            **report(await call.faces.quotas.standing_of(tx, me.actor, me.namespace)),
        }
    view["organizations"] = [
        _shown_organization(one, with_details=myself.sees_details) for one in own
    ]
    if myself.is_superuser:
        view["super_user"] = True
    return view


@get("/user")
async def get_self(call: Call) -> Response[bytes]:
    """200 with the caller; 401 for nobody, and for a token that may not read its user."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        try:
            me = await users.myself(tx, actor, Scope.USER_READ)
        except (UnauthenticatedError, ForbiddenError):
            # Quay: 401 with one more key. Pinned by compat/test_users.py.
            return problem(
                call.faces.links,
                "invalid_token",
                "Requires authentication",
                401,
                session_required=False,
            )
        view = await shown_self(call, tx, me)
    return call.reply(200, view)


@get("/users/{name:str}")
async def get_user(call: Call, name: FromPath[str]) -> Response[bytes]:
    """200 with the little that anybody may know of a user, or 404."""
    async with call.read() as tx:
        user = await users.load(tx, await call.actor(tx), name)
    return call.reply(200, _shown_stranger(user))


@get("/entities/{prefix:str}")
async def search_entities(call: Call, prefix: FromPath[str]) -> Response[bytes]:
    """200 with who could be meant: users and, for its members, a namespace's robots and teams."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found = await users.search(
            tx,
            actor,
            prefix,
            call.text("namespace"),
            with_teams=call.flag("includeTeams"),
            with_organization=call.flag("includeOrgs"),
        )
    results: list[dict[str, object]] = [
        {
            "name": team.name,
            "kind": "team",
            "is_org_member": True,
            "avatar": team_avatar(team.name),
        }
        for team in found.teams
    ]
    for match in found.holders:
        view: dict[str, object] = {
            "name": match.holder.name,
            "kind": "user",
            "is_robot": match.holder.is_robot,
            "avatar": holder_avatar(match.holder),
        }
        if found.is_organization:
            view["is_org_member"] = match.is_member
        results.append(view)
    organization = found.organization
    if organization is not None:
        results.append(
            {
                "name": organization.name,
                "kind": "org",
                "is_org_member": True,
                "avatar": avatar(organization.name, organization.email, "org"),
            }
        )
    return call.reply(200, {"results": results})


HANDLERS = [initialize, get_self, get_user, search_entities]
