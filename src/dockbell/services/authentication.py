"""Who asks: from a bearer token, a password, a robot's token, to an actor."""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from dockbell.domain.accounts import Actor, ActorKind, scopes_of
from dockbell.domain.errors import UnauthenticatedError
from dockbell.domain.names import is_namespace
from dockbell.domain.secrets import (
    APP_TOKEN_LENGTH,
    TOKEN_LENGTH,
    fingerprint_of,
    hash_of,
    is_same,
    lookup_of,
)
from dockbell.services import encrypted_passwords, passwords
from dockbell.services.app_tokens import SCOPES as APP_TOKEN_SCOPES
from dockbell.store import app_tokens, robots, sessions, tokens, users
from dockbell.store.app_tokens import AppTokenCredential
from dockbell.store.robots import RobotCredential
from dockbell.store.sessions import SessionCredential
from dockbell.store.tokens import Bearer
from dockbell.store.transactions import Tx
from dockbell.store.users import UserCredential

OAUTH_TOKEN_USER = "$oauthtoken"  # noqa: S105 -- the user name that says the password is a token
APP_TOKEN_USER = "$app"  # noqa: S105 -- the same for a token of one program
_USE_NOTED_FOR = timedelta(minutes=10)
_FREE_FAILURES = 5
_FIRST_WAIT = timedelta(seconds=1)
_LONGEST_WAIT = timedelta(minutes=5)


class SignInError(UnauthenticatedError):
    """Invalid Username or Password"""  # noqa: D400, D415 -- Quay's literal text

    def __init__(self, detail: str | None = None, *, username: str | None = None) -> None:
        super().__init__(detail)
        self.username = username  # whose wrong password this was; None if nobody's


class UnverifiedError(SignInError):
    """Please verify your e-mail address"""  # noqa: D400, D415 -- in the manner of Quay's texts


class EndedError(UnauthenticatedError):
    """What you signed in with is no longer good. Sign in again."""


class TooManySignInsError(SignInError):
    """Too many failed sign-ins. Try again later."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


async def actor_of_bearer(tx: Tx, token: str, ip: str | None) -> Actor | None:
    """The user a token speaks for, capped by its scopes; None for any token that is not good now.

    A stored scope with an unknown part gives an actor who may do nothing (FIX Q29).
    """
    if not is_token(token):
        return None
    found = await tokens.find_bearer(tx, lookup_of(token))
    if found is None or not is_same(token, found.token_hash):
        return None
    return _of_bearer(found, tx.now, ip)


async def actors_of_bearers(tx: Tx, given: Mapping[str, str | None]) -> Mapping[str, Actor]:
    """As `actor_of_bearer` for many tokens, each with the address it came from; those that are not good are left out.

    Notes that they are in use: call it in a transaction that may write.
    """
    lookups = {token: lookup_of(token) for token in given if is_token(token)}
    if not lookups:
        return {}
    bearers = await tokens.find_bearers(tx, set(lookups.values()))
    actors: dict[str, Actor] = {}
    for token, lookup in lookups.items():
        bearer = bearers.get(lookup)
        if bearer is None or not is_same(token, bearer.token_hash):
            continue
        actor = _of_bearer(bearer, tx.now, given[token])
        if actor is None:
            continue
        actors[token] = actor
        if bearer.last_used_at is None or bearer.last_used_at < tx.now - _USE_NOTED_FOR:
            await touch(tx, actor)
    return actors


async def actor_of_session(tx: Tx, secret: str, ip: str | None) -> Actor | None:
    """The user whose session that is; None if it has ended, by time, by signing out, or by a new password."""
    found = await sessions.find(tx, hash_of(secret))
    return None if found is None else _of_session(found, tx.now, ip)


def is_token(text: str) -> bool:
    """Whether this can be an access token at all. Asks nobody."""
    return len(text) == TOKEN_LENGTH and text.isascii() and text.isalnum()


async def renew(tx: Tx, actor: Actor) -> Actor:
    """The actor as they are now; raise EndedError if what they signed in with is good no more.

    Between signing in and acting, a user may be disabled, a password changed, a robot given a new token, an
    access token revoked: call it in the transaction that acts.
    """
    if actor.is_anonymous or actor.kind is ActorKind.SYSTEM:
        return actor  # nothing ends nobody, and what the server itself gives out is short and narrow
    now = await _find_again(tx, actor)
    if now is None or now.credential != actor.credential:
        raise EndedError
    return now


async def _find_again(tx: Tx, actor: Actor) -> Actor | None:
    if actor.token_id is not None:
        bearer = await tokens.find_bearer_of(tx, actor.token_id)
        return None if bearer is None else _of_bearer(bearer, tx.now, actor.ip)
    if actor.app_token_id is not None:
        kept = await app_tokens.find_credential_of(tx, actor.app_token_id)
        return None if kept is None else _of_app_token(kept, tx.now, actor.ip)
    if actor.session_id is not None:
        session = await sessions.find_by_id(tx, actor.session_id)
        return None if session is None else _of_session(session, tx.now, actor.ip)
    if actor.kind is ActorKind.ROBOT and actor.id is not None:
        robot = await robots.find_credential_of(tx, actor.id)
        return None if robot is None else _of_robot(robot, actor.name, actor.ip)
    if actor.kind is ActorKind.USER and actor.id is not None:
        user = await users.find_credential_of(tx, actor.id)
        return None if user is None else _of_user(user, actor.name, actor.ip)
    return None


def _of_bearer(found: Bearer, now: datetime, ip: str | None) -> Actor | None:
    if not found.is_enabled or (found.expires_at is not None and found.expires_at <= now):
        return None
    return Actor(
        kind=ActorKind.USER,
        id=found.user_id,
        name=found.user_name,
        scopes=scopes_of(found.scope),
        is_superuser=found.is_superuser,
        token_id=found.token_id,
        application_id=found.client_id,
        application_name=found.application_name,
        ip=ip,
        credential=fingerprint_of(found.token_hash),
    )


def _of_app_token(found: AppTokenCredential, now: datetime, ip: str | None) -> Actor | None:
    if not found.is_enabled or (found.expires_at is not None and found.expires_at <= now):
        return None
    return Actor(
        kind=ActorKind.USER,
        id=found.user_id,
        name=found.user_name,
        scopes=APP_TOKEN_SCOPES,
        app_token_id=found.app_token_id,
        ip=ip,
        credential=fingerprint_of(found.token_hash),
    )


def _of_session(found: SessionCredential, now: datetime, ip: str | None) -> Actor | None:
    if not found.is_enabled or found.password_hash is None or found.expires_at <= now:
        return None
    if found.credential != fingerprint_of(found.password_hash):
        return None  # the password is another one now
    return Actor(
        kind=ActorKind.USER,
        id=found.user_id,
        name=found.user_name,
        is_superuser=found.is_superuser,
        session_id=found.session_id,
        signed_in_at=found.created_at,
        ip=ip,
        credential=found.credential,
    )


def _of_robot(found: RobotCredential, name: str, ip: str | None) -> Actor | None:
    if not found.is_enabled:
        return None
    return Actor(
        kind=ActorKind.ROBOT,
        id=found.robot_id,
        name=name,
        ip=ip,
        credential=fingerprint_of(found.token_hash),
    )


def _of_user(found: UserCredential, name: str, ip: str | None) -> Actor | None:
    if not found.is_enabled or found.password_hash is None:
        return None
    return Actor(
        kind=ActorKind.USER,
        id=found.user_id,
        name=name,
        is_superuser=found.is_superuser,
        ip=ip,
        credential=fingerprint_of(found.password_hash),
    )


def turn_of(username: str) -> AbstractAsyncContextManager[None]:
    """What to hold while this user name signs in, from before the transaction until a failure is counted.

    Tokens and robots are checked in no time, so nobody waits for them and they wait for nobody.
    """
    is_quick = username in {OAUTH_TOKEN_USER, APP_TOKEN_USER} or "+" in username
    return contextlib.nullcontext() if is_quick else passwords.turn()


async def actor_of_password(tx: Tx, username: str, password: str, ip: str | None) -> Actor:
    """Whom user name and password name: a user, a robot, `$oauthtoken` or `$app` with a token. Raise SignInError.

    Writes nothing, and hashing takes a while: call it in a reading transaction. After a SignInError, call
    `record_failure` in a writing one, which is what slows guessing down; after a success, `touch`.
    """
    if username == OAUTH_TOKEN_USER:
        actor = await actor_of_bearer(tx, password, ip)
        if actor is None:
            raise SignInError("Invalid or expired OAuth access token.")
        return actor
    if username == APP_TOKEN_USER:
        return await _app_token(tx, password, ip)
    if "+" in username:
        return await _robot(tx, username, password, ip)
    return await _user(tx, username, password, ip)


async def actor_of_user(tx: Tx, username: str, password: str, ip: str | None) -> Actor:
    """The same for people alone, who sign in at a page: no robot and no token does.

    UnverifiedError, only with the right password, for one whose e-mail address is not verified.
    """
    actor = await _user(tx, username, password, ip)
    found = await users.find(tx, actor.name)
    if found is None or not found.email_verified:
        raise UnverifiedError
    return actor


async def record_failure(tx: Tx, error: SignInError) -> None:
    """Count a wrong password against its user. Needs a transaction that is committed."""
    if error.username is not None:
        await users.count_failed_sign_in(tx, error.username)


async def touch(tx: Tx, actor: Actor) -> None:
    """Note, at most once in ten minutes, that a credential was used. Needs a writing transaction."""
    before = tx.now - _USE_NOTED_FOR
    if actor.token_id is not None:
        await tokens.touch(tx, actor.token_id, before)
    elif actor.kind is ActorKind.ROBOT and actor.id is not None:
        await robots.touch(tx, actor.id, before)
    elif actor.app_token_id is not None:
        await app_tokens.touch(tx, actor.app_token_id, before)
    elif actor.session_id is None and actor.kind is ActorKind.USER and actor.id is not None:
        await users.forget_failed_sign_ins(tx, actor.id)


async def _robot(tx: Tx, name: str, token: str, ip: str | None) -> Actor:
    owner, _, short = name.partition("+")
    found = (
        await robots.find_credential(tx, name)
        if is_namespace(owner) and "\0" not in short
        else None
    )
    is_right = found is not None and is_same(token, found.token_hash)
    actor = _of_robot(found, name, ip) if found is not None and is_right else None
    if actor is None:
        # Quay's literal text. Pinned by compat/test_robots.py.
        raise SignInError(f"Could not find robot with username: {name} and supplied password.")
    return actor


async def _app_token(tx: Tx, token: str, ip: str | None) -> Actor:
    is_one = len(token) == APP_TOKEN_LENGTH and token.isascii() and token.isalnum()
    found = await app_tokens.find_credential(tx, lookup_of(token)) if is_one else None
    is_right = found is not None and is_same(token, found.token_hash)
    actor = _of_app_token(found, tx.now, ip) if found is not None and is_right else None
    if actor is None:
        raise SignInError("Invalid or expired app-specific token.")
    return actor


async def _user(tx: Tx, name: str, password: str, ip: str | None) -> Actor:
    found = await users.find_credential(tx, name) if is_namespace(name) else None
    if found is not None:
        wait = _wait_of(found, tx.now)
        if wait > timedelta():
            raise TooManySignInsError(wait)
    plain = encrypted_passwords.of_encrypted(tx, name, password) or password
    is_right = await passwords.is_right(plain, found.password_hash if found else None)
    actor = _of_user(found, name, ip) if found is not None and is_right else None
    if actor is None:
        raise SignInError(username=name if found is not None else None)
    return actor


def _wait_of(user: UserCredential, now: datetime) -> timedelta:
    """How long this user must still wait after the failures so far: 1, 2, 4 … seconds, at most five minutes."""
    beyond = user.failed_sign_ins - _FREE_FAILURES
    if beyond < 0 or user.failed_sign_in_at is None:
        return timedelta()
    wait = min(_FIRST_WAIT * (1 << min(beyond, 16)), _LONGEST_WAIT)
    return max(user.failed_sign_in_at + wait - now, timedelta())
