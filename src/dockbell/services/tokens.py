"""OAuth tokens: issuing, listing and revoking them."""

from collections.abc import Sequence
from datetime import timedelta

from dockbell.domain.accounts import (
    Actor,
    ActorKind,
    Application,
    Namespace,
    Scope,
    Token,
    scopes_of,
)
from dockbell.domain.errors import DataError, ForbiddenError, NotFoundError
from dockbell.domain.ids import uuid_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import AdminOfNamespace
from dockbell.domain.secrets import TOKEN_LENGTH, hash_of, lookup_of
from dockbell.services import audit_entries
from dockbell.services.passwords import random_secret
from dockbell.store import namespaces
from dockbell.store import tokens as token_rows
from dockbell.store import users as user_rows
from dockbell.store.transactions import Tx

LONGEST_LIFETIME = timedelta(seconds=315_576_000)  # Quay: ten years
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Issued:
    token: Token
    secret: str  # the token itself, shown this once


async def issue(  # noqa: PLR0913 -- one argument for each thing a token holds
    tx: Tx,
    actor: Actor,
    *,
    user: Namespace,
    application: Application | None,
    name: str,
    scope: str,
    lifetime: timedelta,
) -> Issued:
    """Make a token that speaks for `user`. Whoever calls has checked that this may be done."""
    token_id = tx.new_id("tok")
    secret = random_secret(TOKEN_LENGTH)
    token = Token(
        id=token_id,
        uuid=uuid_of(token_id),
        name=name,
        scope=scope,
        created_by=actor.name if actor.kind is ActorKind.USER else user.name,
        created_at=tx.now,
        expires_at=tx.now + min(lifetime, LONGEST_LIFETIME),
        last_used_at=None,
    )
    await token_rows.add(
        tx,
        token,
        user_id=user.id,
        application_id=application.id if application is not None else None,
        lookup=lookup_of(secret),
        token_hash=hash_of(secret),
    )
    await audit_entries.write(
        tx,
        actor,
        "create_oauth_api_token",
        namespace_id=application.namespace_id if application is not None else user.id,
        repository_id=None,
        metadata={
            "oauth_token_uuid": token.uuid,
            "scope": scope,
            "token_display_name": name,
            "application_name": application.name if application is not None else None,
            "client_id": application.client_id if application is not None else None,
        },
    )
    return Issued(token, secret)


async def create(  # noqa: PLR0913 -- one argument for each thing a caller may choose
    tx: Tx,
    admin: AdminOfNamespace,
    application: Application,
    *,
    name: str,
    scope: str,
    lifetime: timedelta = LONGEST_LIFETIME,
) -> Issued:
    """Make a token for the caller. It may do no more than the caller may with what they called with."""
    name = name.strip()
    if not name:
        raise DataError("'name' cannot be empty")
    words = _check_scope(scope)
    actor = admin.actor
    if not all(actor.may(wanted) for wanted in scopes_of(words)):
        raise ForbiddenError
    if Scope.SUPER_USER in scopes_of(words) and not actor.is_superuser:
        raise ForbiddenError
    if actor.kind is not ActorKind.USER or actor.id is None:
        raise ForbiddenError
    user = await namespaces.load(tx, actor.id)
    return await issue(
        tx,
        actor,
        user=user,
        application=application,
        name=name,
        scope=words,
        lifetime=lifetime,
    )


async def create_for(  # noqa: PLR0913 -- one argument for each thing a caller may choose
    tx: Tx,
    actor: Actor,
    username: str,
    *,
    name: str,
    scope: str,
    lifetime: timedelta = LONGEST_LIFETIME,
) -> Issued:
    """Make a token for any user. Only the server itself may: this is for the command line."""
    if actor.kind is not ActorKind.SYSTEM:
        raise ForbiddenError
    user = await user_rows.find(tx, username)
    if user is None:
        raise NotFoundError(f"There is no user {username}.")
    return await issue(
        tx,
        actor,
        user=user.namespace,
        application=None,
        name=name.strip(),
        scope=_check_scope(scope),
        lifetime=lifetime,
    )


async def list_page(
    tx: Tx, admin: AdminOfNamespace, application: Application, *, after: str
) -> tuple[Sequence[Token], str | None]:
    """Tokens of the application after that one, and the id to go on from if there are more."""
    del admin
    found = await token_rows.list_for(tx, application.id, after=after, limit=PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    return page, page[-1].id if len(found) > PAGE_SIZE else None


async def revoke(tx: Tx, admin: AdminOfNamespace, application: Application, uuid: str) -> None:
    """End a token at once."""
    if not await token_rows.remove(tx, application.id, uuid):
        raise NotFoundError
    await audit_entries.write(
        tx,
        admin.actor,
        "revoke_oauth_api_token",
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={
            "oauth_token_uuid": uuid,
            "application_name": application.name,
            "client_id": application.client_id,
        },
    )


def _check_scope(scope: str) -> str:
    """The scope's words, each once, or DataError in Quay's words."""
    words = " ".join(dict.fromkeys(scope.replace(",", " ").split()))
    if not scopes_of(words):
        raise DataError(f"Invalid scope: {scope}")
    return words
