"""The first user of an empty database, made by whoever holds the set-up token."""

from datetime import timedelta

from dockbell.domain.accounts import SYSTEM, Actor, Application, Namespace, Scope
from dockbell.domain.errors import DataError, InvalidRequestError, NotFoundError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import SetUp
from dockbell.domain.secrets import CLIENT_SECRET_LENGTH, TOKEN_LENGTH, hash_of, is_same
from dockbell.domain.sessions import Session
from dockbell.services import authentication, sessions, tokens, users
from dockbell.services.encrypted_passwords import to_encrypted
from dockbell.services.passwords import random_secret
from dockbell.store import applications
from dockbell.store import users as user_rows
from dockbell.store.transactions import Tx

# Quay: the first token lives for two and a half hours. Pinned by compat/test_initialize.py.
_LIFETIME = timedelta(seconds=9000)
_SCOPE = " ".join(sorted(Scope))


@dataclass(frozen=True, slots=True)
class FirstUser:
    user: Namespace
    encrypted_password: str
    access_token: str | None  # shown this once
    session: Session


async def set_up_token(tx: Tx, actor: Actor = SYSTEM) -> str | None:
    """The token that makes the first user, the same one until it is used; None once there is a user."""
    del actor
    if await user_rows.exist(tx):
        await user_rows.remove_set_up_token(tx)
        return None
    kept = await user_rows.find_set_up_token(tx)
    if kept is not None:
        return kept
    token = random_secret(TOKEN_LENGTH)
    if await user_rows.add_set_up_token(tx, token, hash_of(token)):
        return token
    return await user_rows.find_set_up_token(tx)  # another process was faster


async def set_up(tx: Tx, token: str | None, *, is_open: bool) -> SetUp:
    """The right to make the first user: anybody's while that is open, else the token holder's.

    Without it NotFoundError with the reason, which is for the log only; DataError once there is a user.
    """
    if not is_open:
        kept = await user_rows.find_set_up_token(tx)
        if token is None:
            raise NotFoundError("no set-up token was sent")
        if kept is not None and not is_same(token, hash_of(kept)):
            raise NotFoundError("what was sent is not the set-up token")
    await user_rows.claim_first(tx)
    if await user_rows.exist(tx):
        raise DataError("Cannot initialize user in a non-empty database")
    if not is_open and await user_rows.find_set_up_token(tx) is None:
        raise NotFoundError("no set-up token was made yet, so none can be right")
    return SetUp(SYSTEM)


async def initialize(  # noqa: PLR0913 -- one argument for each thing the caller chooses
    tx: Tx,
    set_up: SetUp,
    *,
    username: str,
    password: str,
    email: str | None,
    wants_token: bool,
) -> FirstUser:
    """Make the first user, who manages the server, and on request a token that may do everything."""
    try:
        user = await users.create(
            tx,
            set_up.actor,
            username=username,
            email=email,
            password=password,
            is_superuser=True,
        )
    except InvalidRequestError as error:
        raise DataError(f"Failed to initialize user: {error.detail}") from error
    await user_rows.remove_set_up_token(tx)
    issued = await _issue(tx, set_up, user) if wants_token else None
    actor = await authentication.actor_of_user(tx, username, password, set_up.actor.ip)
    session = await sessions.begin(tx, actor)
    return FirstUser(user, to_encrypted(tx, username, password), issued, session)


async def _issue(tx: Tx, set_up: SetUp, user: Namespace) -> str:
    # Quay: the token is of an application `automation` whose client id is the user's name.
    # Pinned by compat/test_initialize.py.
    application = Application(
        id=tx.new_id("app"),
        namespace_id=user.id,
        name="automation",
        client_id=user.name,
        client_secret=random_secret(CLIENT_SECRET_LENGTH),
        redirect_uri="",
        application_uri="",
        description="",
        avatar_email=None,
        created_at=tx.now,
    )
    await applications.add(tx, application)
    issued = await tokens.issue(
        tx,
        set_up.actor,
        user=user,
        application=application,
        name="automation",
        scope=_SCOPE,
        lifetime=_LIFETIME,
    )
    return issued.secret
