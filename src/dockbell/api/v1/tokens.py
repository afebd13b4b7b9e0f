"""Tokens of OAuth applications with Quay's addresses and shapes (quay-compat 6.3)."""

from datetime import timedelta

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.api.v1 import page_tokens
from dockbell.api.v1.views import stamp
from dockbell.domain.accounts import Token
from dockbell.domain.errors import InvalidRequestError
from dockbell.services import applications, organizations, tokens
from dockbell.services.tokens import LONGEST_LIFETIME
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST_NAME = 255
_LONGEST_SCOPE = 1024
_NEW = Schema(
    properties=(
        Property("name", "string", required=True, most=_LONGEST_NAME),
        Property("scope", "string", required=True, most=_LONGEST_SCOPE),
        Property("expiration", "number"),
    )
)
_ALL = "/organization/{organization:str}/applications/{client_id:str}/tokens"


def _shown(token: Token) -> dict[str, object]:
    return {
        "uuid": token.uuid,
        "name": token.name,
        "scope": token.scope,
        "expires_at": stamp(token.expires_at),
        "created": stamp(token.created_at),
        "created_by": token.created_by,
        "last_accessed": stamp(token.last_used_at),
    }


@get(_ALL)
async def list_tokens(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """200 with one page of tokens, without their secrets."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        application = await applications.load(tx, admin, client_id)
        after = page_tokens.of_token(call.text("next_page"))
        found, last_id = await tokens.list_page(tx, admin, application, after=after)
    answer: dict[str, object] = {"tokens": [_shown(one) for one in found]}
    if last_id is not None:
        answer["next_page"] = page_tokens.to_token(last_id)
    return call.reply(200, answer)


@post(_ALL)
async def create_token(
    call: Call, organization: FromPath[str], client_id: FromPath[str]
) -> Response[bytes]:
    """200 with the token: the only answer that ever holds it."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        application = await applications.load(tx, admin, client_id)
        body = call.json(_NEW)
        issued = await tokens.create(
            tx,
            admin,
            application,
            name=body["name"],
            scope=body["scope"],
            lifetime=_lifetime(body.get("expiration")),
        )
    return call.reply(200, {**_shown(issued.token), "token": issued.secret})


@delete(f"{_ALL}/{{uuid:str}}", status_code=200)
async def revoke_token(
    call: Call, organization: FromPath[str], client_id: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """204: it is void at once; 404 for an unknown one."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        application = await applications.load(tx, admin, client_id)
        await tokens.revoke(tx, admin, application, uuid)
    return call.reply(204)


def _lifetime(seconds: float | None) -> timedelta:
    if seconds is None:
        return LONGEST_LIFETIME
    if seconds < 1:
        raise InvalidRequestError(f"{seconds!r} is less than the minimum of 1")
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds()))


HANDLERS = [list_tokens, create_token, revoke_token]
