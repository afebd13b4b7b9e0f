"""Sessions of browsers: beginning and ending them."""

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.errors import ForbiddenError, FreshLoginError
from dockbell.domain.secrets import hash_of
from dockbell.domain.sessions import FRESH, LIFETIME, SECRET_LENGTH, Session
from dockbell.services import audit_entries
from dockbell.services.passwords import random_secret
from dockbell.store import sessions
from dockbell.store.transactions import Tx


def fresh_secret() -> str:
    """A cookie for somebody who has not signed in: no row knows it, and so it is nobody's."""
    return random_secret(SECRET_LENGTH)


def check_fresh(tx: Tx, actor: Actor) -> None:
    """Raise FreshLoginError for a session whose user has not shown their password lately.

    It is for what would outlive a session that somebody else got hold of. A token passes: it has its scopes for that.
    """
    if actor.session_id is None:
        return
    if actor.signed_in_at is None or actor.signed_in_at + FRESH < tx.now:
        raise FreshLoginError


async def begin(tx: Tx, actor: Actor) -> Session:
    """Begin a session of a user who signed in with their password in this moment. Only those have one."""
    if actor.kind is not ActorKind.USER or actor.id is None or actor.credential is None:
        raise ForbiddenError
    if actor.scopes is not None:
        raise ForbiddenError  # a token is no password: it must not grow into one
    session = Session(fresh_secret(), tx.now + LIFETIME)
    await sessions.add(
        tx,
        actor.id,
        secret_hash=hash_of(session.secret),
        credential=actor.credential,
        expires_at=session.expires_at,
    )
    await audit_entries.write(
        tx,
        actor,
        "login_success",
        namespace_id=actor.id,
        repository_id=None,
        metadata={"type": "session"},
    )
    return session


async def end(tx: Tx, actor: Actor, secret: str) -> None:
    """End the session with that secret, which nobody but its owner knows, at once."""
    await sessions.remove(tx, hash_of(secret))
    if not actor.is_anonymous:
        await audit_entries.write(
            tx,
            actor,
            "logout_success",
            namespace_id=actor.id,
            repository_id=None,
            metadata={"type": "session"},
        )
