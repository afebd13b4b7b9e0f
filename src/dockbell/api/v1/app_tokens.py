"""A user's tokens for single programs, with Quay's addresses and shapes (quay-compat 7.1, `$app`)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.api.v1.views import date
from dockbell.domain.accounts import AppToken
from dockbell.services import app_tokens, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST_TITLE = 255
_EXPIRING = timedelta(days=7)
_NEW = Schema(properties=(Property("title", "string", required=True, most=_LONGEST_TITLE),))
_ALL = "/user/apptoken"


def _shown(token: AppToken) -> dict[str, object]:
    return {
        "uuid": token.uuid,
        "title": token.title,
        "last_accessed": date(token.last_used_at),
        "created": date(token.created_at),
        "expiration": date(token.expires_at),
    }


def _is_asked_for(call: Call, token: AppToken, now: datetime) -> bool:
    if not call.flag("expiring"):
        return True
    return token.expires_at is not None and token.expires_at <= now + _EXPIRING


def _list(call: Call, shown: Sequence[object]) -> Response[bytes]:
    # Quay: null where nobody asked. Pinned by compat/test_app_tokens.py.
    asked = call.flag("expiring") if call.text("expiring") else None
    return call.reply(200, {"tokens": shown, "only_expiring": asked})


@get(_ALL)
async def list_app_tokens(call: Call) -> Response[bytes]:
    """200 with your tokens, the newest first, without their secrets; with `expiring=true` those that end in a week."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
        found = await app_tokens.list_own(tx, me)
        now = tx.now
    return _list(call, [_shown(one) for one in found if _is_asked_for(call, one, now)])


@get("/superuser/apptokens")
async def list_all_app_tokens(call: Call) -> Response[bytes]:
    """200 with everybody's tokens, each with its `user`, as above."""
    async with call.read() as tx:
        viewer = await users.superviewer(tx, await call.actor(tx))
        found = await app_tokens.list_all(tx, viewer)
        now = tx.now
    return _list(
        call,
        [{**_shown(one), "user": name} for one, name in found if _is_asked_for(call, one, now)],
    )


@post(_ALL, status_code=200)
async def create_app_token(call: Call) -> Response[bytes]:
    """200 with the token in `token_code`: the only answer that ever holds it."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        body = call.json(_NEW)
        issued = await app_tokens.create(tx, me, body["title"])
    return call.reply(200, {"token": {**_shown(issued.token), "token_code": issued.secret}})


@get(f"{_ALL}/{{uuid:str}}")
async def get_app_token(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with one of your tokens, without its secret, or 404."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
        found = await app_tokens.load(tx, me, uuid)
    return call.reply(200, {"token": _shown(found)})


@delete(f"{_ALL}/{{uuid:str}}", status_code=200)
async def revoke_app_token(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: it is void at once; 404 for an unknown one."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        await app_tokens.revoke(tx, me, uuid)
    return call.reply(204)


HANDLERS = [
    list_app_tokens,
    list_all_app_tokens,
    create_app_token,
    get_app_token,
    revoke_app_token,
]
