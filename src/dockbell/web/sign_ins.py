"""Signing in and out: the same for the API and for the pages."""

from dockbell.domain.accounts import ANONYMOUS, Actor
from dockbell.domain.sessions import Session
from dockbell.services import authentication, passwords, sessions
from dockbell.services.authentication import SignInError
from dockbell.web.calls import ApiCall


async def of_password(call: ApiCall, username: str, password: str) -> Actor:
    """The person with that password; raise SignInError and count the failure."""
    async with passwords.turn():
        try:
            async with call.read() as tx:
                actor = await authentication.actor_of_user(tx, username, password, call.ip)
        except SignInError as error:
            async with call.begin() as tx:
                await authentication.record_failure(tx, error)
            raise
    async with call.begin() as tx:
        await authentication.touch(tx, actor)
    return actor


async def sign_in(call: ApiCall, username: str, password: str) -> Session:
    """Begin a session, in place of the one the caller may have; raise SignInError and count the failure."""
    actor = await of_password(call, username, password)
    async with call.begin() as tx:
        if (
            call.session_secret is not None
        ):  # what a browser held before is of no use to anybody
            await sessions.end(tx, ANONYMOUS, call.session_secret)
        return await sessions.begin(tx, actor)


async def sign_out(call: ApiCall) -> None:
    """End the caller's session, if they have one; raise CsrfError if another page asks for it."""
    secret = call.session_secret
    if secret is None:
        return
    async with call.begin() as tx:
        await sessions.end(tx, await call.caller(tx), secret)
