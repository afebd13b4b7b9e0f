"""Signing in and out with a session, as browsers and Quay's Ansible collection do (quay-compat 6.4)."""

import math

from litestar import Response, get, post, put

from dockbell.api.v1.users import shown_self
from dockbell.domain.sessions import csrf_token_of
from dockbell.services import sessions, users
from dockbell.services.authentication import SignInError, TooManySignInsError, UnverifiedError
from dockbell.web import sessions as cookies
from dockbell.web import sign_ins
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call

_SIGN_IN = Schema(
    properties=(
        Property("username", "string", required=True),
        Property("password", "string", required=True),
    )
)
_VERIFY = Schema(properties=(Property("password", "string", required=True),))
_CHANGE = Schema(properties=(Property("password", "string"),))


@get("/csrf_token", include_in_schema=False)
async def get_csrf_token(call: Call) -> Response[bytes]:
    """200 with the CSRF token of the caller's cookie, which is set if there is none."""
    secret = call.session_secret
    headers = {"cache-control": "no-store"}
    if secret is None:
        secret = sessions.fresh_secret()
        headers["set-cookie"] = cookies.cookie_of(call.faces.links, secret)
    return call.reply(200, {"csrf_token": csrf_token_of(secret)}, headers)


@post("/signin", status_code=200)
async def sign_in(call: Call) -> Response[bytes]:
    """200 with a session and its CSRF token in `X-Next-CSRF-Token`; 403 for a wrong password, 429 after too many."""
    call.check_csrf()
    body = call.json(_SIGN_IN)
    return await _begin(call, body["username"], body["password"])


async def _begin(call: ApiCall, username: str, password: str) -> Response[bytes]:
    try:
        session = await sign_ins.sign_in(call, username, password)
    except TooManySignInsError as error:
        seconds = max(1, math.ceil(error.wait.total_seconds()))
        return Response(
            content=f"Too many login attempts. Try again in {seconds} seconds.\n".encode(),
            status_code=429,
            media_type="text/plain",
            headers={"retry-after": str(seconds)},
        )
    except SignInError as error:
        # Quay: these keys in this order. Pinned by compat/test_sessions.py.
        is_unverified = isinstance(error, UnverifiedError)
        return call.reply(
            403,
            {
                "needsEmailVerification": is_unverified,
                "invalidCredentials": not is_unverified,
                "message": error.detail,
            },
        )
    return call.reply(200, {"success": True}, cookies.keep(call.faces.links, session))


@post("/signin/verify", status_code=200)
async def verify(call: Call) -> Response[bytes]:
    """200 with a fresh session in place of the caller's, who shows their password once more; 403 for a wrong one."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
    call.check_csrf()
    return await _begin(call, me.actor.name, call.json(_VERIFY)["password"])


@put("/user")
async def change_self(call: Call) -> Response[bytes]:
    """200 with the caller; with a new `password` all their sessions end, and a new one takes the place of this one."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        password = call.json(_CHANGE).get("password")
        if password is not None:
            await users.set_own_password(tx, me, password)
        view = await shown_self(call, tx, me)
    headers = {}
    if password is not None and me.actor.session_id is not None:
        session = await sign_ins.sign_in(call, me.actor.name, password)
        headers = cookies.keep(call.faces.links, session)
    return call.reply(200, view, headers)


@post("/signout", status_code=200)
async def sign_out(call: Call) -> Response[bytes]:
    """200: the session is over. Nobody in particular gets the same."""
    await sign_ins.sign_out(call)
    return call.reply(200, {"success": True}, cookies.forget(call.faces.links))


HANDLERS = [sign_in, verify, change_self, sign_out]
PUBLIC_HANDLERS = [get_csrf_token]
