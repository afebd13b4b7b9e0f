"""Tokens that a user gives to single programs in place of their password at the registry."""

from collections.abc import Sequence
from dataclasses import field
from datetime import timedelta

from dockbell.domain.accounts import AppToken, Scope
from dockbell.domain.errors import ForbiddenError, InvalidRequestError, NotFoundError
from dockbell.domain.ids import uuid_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import Self, SuperViewer
from dockbell.domain.secrets import APP_TOKEN_LENGTH, hash_of, lookup_of
from dockbell.services import audit_entries, sessions
from dockbell.services.passwords import random_secret
from dockbell.store import app_tokens
from dockbell.store.transactions import Tx

MOST = 500  # of one user
SCOPES = frozenset({Scope.REPO_READ, Scope.REPO_WRITE, Scope.REPO_ADMIN, Scope.REPO_CREATE})


@dataclass(frozen=True, slots=True)
class IssuedAppToken:
    token: AppToken
    secret: str = field(repr=False)  # the token itself, shown this once


async def list_own(tx: Tx, me: Self) -> Sequence[AppToken]:
    """The newest first."""
    return await app_tokens.list_for(tx, me.namespace.id, MOST)


async def list_all(tx: Tx, viewer: SuperViewer) -> Sequence[tuple[AppToken, str]]:
    """Those of everybody, each with its user's name, the newest first."""
    del viewer
    return await app_tokens.list_all(tx)


async def load(tx: Tx, me: Self, uuid: str) -> AppToken:
    found = await app_tokens.find(tx, me.namespace.id, uuid)
    if found is None:
        raise NotFoundError
    return found


async def create(
    tx: Tx, me: Self, title: str, lifetime: timedelta | None = None
) -> IssuedAppToken:
    """Make one, which may do at the registry what its user may. Without `lifetime` it never ends by itself.

    ForbiddenError for a caller whose own token may do less than that, FreshLoginError for a session that is not fresh.
    """
    sessions.check_fresh(tx, me.actor)
    if not all(me.actor.may(scope) for scope in SCOPES):
        raise ForbiddenError
    title = title.strip()
    if not title:
        raise InvalidRequestError("'title' cannot be empty")
    if len(await list_own(tx, me)) >= MOST:
        raise InvalidRequestError(f"At most {MOST} tokens can be kept. Revoke one first.")
    token_id = tx.new_id("apt")
    secret = random_secret(APP_TOKEN_LENGTH)
    token = AppToken(
        id=token_id,
        uuid=uuid_of(token_id),
        title=title,
        created_at=tx.now,
        expires_at=None if lifetime is None else tx.now + lifetime,
        last_used_at=None,
    )
    await app_tokens.add(
        tx,
        token,
        user_id=me.namespace.id,
        lookup=lookup_of(secret),
        token_hash=hash_of(secret),
    )
    await _note(tx, me, "create_app_specific_token", token)
    return IssuedAppToken(token, secret)


async def revoke(tx: Tx, me: Self, uuid: str) -> None:
    """End a token at once."""
    token = await load(tx, me, uuid)
    await app_tokens.remove(tx, token.id)
    await _note(tx, me, "revoke_app_specific_token", token)


async def _note(tx: Tx, me: Self, kind: str, token: AppToken) -> None:
    await audit_entries.write(
        tx,
        me.actor,
        kind,
        namespace_id=me.namespace.id,
        repository_id=None,
        metadata={"app_specific_token_title": token.title, "app_specific_token": token.uuid},
    )
