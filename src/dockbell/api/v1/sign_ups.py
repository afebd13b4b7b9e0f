"""Making an account for oneself, with Quay's address and shapes (quay-compat 6.6)."""

from litestar import Response, post

from dockbell.api.v1.users import shown_self
from dockbell.domain.errors import NotFoundError, UnauthenticatedError
from dockbell.services import authentication, users
from dockbell.web import sessions as cookies
from dockbell.web import sign_ins
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST = 255
_NEW = Schema(
    properties=(
        Property("username", "string", required=True, most=_LONGEST),
        Property("password", "string", required=True),
        Property("email", "string", nullable=True, most=_LONGEST),
    )
)


@post("/user", status_code=200)
async def sign_up(call: Call) -> Response[bytes]:
    """200 with the account and a session or, where mail is sent, with `awaiting_verification`; 404 while it is closed."""
    async with call.read() as tx:
        actor = await call.caller(tx)
    if actor.is_anonymous:
        if "authorization" in call.request.headers:
            raise UnauthenticatedError
        call.check_csrf()
    sign_ups = call.faces.sign_ups
    if not sign_ups.is_open:
        # Quay: shape B, as everything that is switched off. Pinned by compat/test_sign_up.py.
        return call.reply(404, {"error": "Not Found"})
    body = call.json(_NEW)
    password_hash = await sign_ups.hash_of(body["password"])
    async with call.begin() as tx:
        _, letter = await sign_ups.create(
            tx,
            actor,
            username=body["username"],
            password_hash=password_hash,
            email=body.get("email") or None,
        )
    if letter is not None:
        await call.faces.emails.send(letter)
        return call.reply(200, {"awaiting_verification": True})
    session = await sign_ins.sign_in(call, body["username"], body["password"])
    async with call.read() as tx:
        made = await authentication.actor_of_session(tx, session.secret, call.ip)
        if made is None:
            raise NotFoundError
        me = await users.myself(tx, made)
        view = await shown_self(call, tx, me)
    return call.reply(200, view, cookies.keep(call.faces.links, session))


HANDLERS = [sign_up]
