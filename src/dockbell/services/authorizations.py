"""Letting an application act for a user: consent, the token that follows, and taking it back (quay-compat 6.3)."""

from collections.abc import Sequence
from dataclasses import field
from datetime import timedelta

from dockbell.domain.accounts import (
    ANONYMOUS,
    Actor,
    ActorKind,
    Application,
    Authorization,
    Scope,
    scopes_of,
)
from dockbell.domain.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import GrantorTo, Self
from dockbell.domain.secrets import TOKEN_LENGTH, hash_of, is_same
from dockbell.services import applications, audit_entries, organizations, tokens
from dockbell.services.passwords import random_secret
from dockbell.services.tokens import LONGEST_LIFETIME, Issued
from dockbell.store import authorization_codes, namespaces
from dockbell.store import tokens as token_rows
from dockbell.store.authorization_codes import Code
from dockbell.store.transactions import Tx

CODE_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class IssuedCode:
    secret: str = field(repr=False)


class ClientError(UnauthenticatedError):
    """The application's id or secret is not right."""


class CodeError(ForbiddenError):
    """The code is not good, or was used already."""


async def grantor_to(tx: Tx, actor: Actor, application: Application, owner: str) -> GrantorTo:
    """The right to let the application act for oneself, or raise.

    Only with a password or a session: a token must not make itself a wider one. Quay: only admins of the application's
    organization have it. Pinned by compat/test_oauth.py.
    """
    if actor.is_anonymous or actor.scopes is not None:
        raise UnauthenticatedError
    if actor.kind is not ActorKind.USER or actor.id is None:
        raise ForbiddenError
    if application.namespace_id != actor.id:
        await organizations.admin_of_namespace(tx, actor, owner)
    return GrantorTo(actor, application)


def is_grantable(scope: str, actor: Actor) -> bool:
    """Whether an application may be given this scope by that user: every word is known, and theirs to give."""
    named = scopes_of(scope)
    return bool(named) and (Scope.SUPER_USER not in named or actor.is_superuser)


async def has_agreed(tx: Tx, grantor: GrantorTo, scope: str) -> bool:
    """Whether the user holds a live token of the application that reaches as far as this scope."""
    wanted = scopes_of(scope)
    held = await token_rows.live_scopes(tx, grantor.application.id, grantor.actor.id or "")
    return any(wanted <= scopes_of(text) for text in held)


async def grant(tx: Tx, grantor: GrantorTo, scope: str) -> Issued:
    """Give the application a token that acts for the user."""
    if not is_grantable(scope, grantor.actor) or grantor.actor.id is None:
        raise ForbiddenError
    return await tokens.issue(
        tx,
        grantor.actor,
        user=await namespaces.load(tx, grantor.actor.id),
        application=grantor.application,
        name=grantor.application.name,
        scope=_words(scope),
        lifetime=LONGEST_LIFETIME,
    )


async def grant_code(tx: Tx, grantor: GrantorTo, scope: str, redirect_uri: str) -> IssuedCode:
    """Give the application a code, which its server changes for a token within ten minutes, once."""
    if not is_grantable(scope, grantor.actor) or grantor.actor.id is None:
        raise ForbiddenError
    secret = random_secret(TOKEN_LENGTH)
    code = Code(
        application_id=grantor.application.id,
        user_id=grantor.actor.id,
        redirect_uri=redirect_uri,
        scope=_words(scope),
        expires_at=tx.now + CODE_LIFETIME,
    )
    await authorization_codes.add(tx, code, code_hash=hash_of(secret))
    return IssuedCode(secret)


async def exchange(
    tx: Tx, *, client_id: str, client_secret: str, code: str, redirect_uri: str
) -> Issued:
    """The token for a code. Raise ClientError before the code is touched, CodeError for one that is not good."""
    try:
        application, _ = await applications.load_public(tx, ANONYMOUS, client_id)
    except NotFoundError:
        raise ClientError from None
    if not is_same(client_secret, hash_of(application.client_secret)):
        raise ClientError
    found = await authorization_codes.take(tx, hash_of(code))
    if (
        found is None
        or found.expires_at <= tx.now
        or (found.application_id, found.redirect_uri) != (application.id, redirect_uri)
    ):
        raise CodeError
    user = await namespaces.load(tx, found.user_id)
    return await tokens.issue(
        tx,
        Actor(kind=ActorKind.USER, id=user.id, name=user.name),
        user=user,
        application=application,
        name=application.name,
        scope=found.scope,
        lifetime=LONGEST_LIFETIME,
    )


async def list_own(tx: Tx, me: Self) -> Sequence[Authorization]:
    """The tokens by which applications act for the user, the newest first."""
    return await token_rows.list_authorizations(tx, me.namespace.id)


async def load_own(tx: Tx, me: Self, uuid: str) -> Authorization:
    found = await token_rows.find_authorization(tx, me.namespace.id, uuid)
    if found is None:
        raise NotFoundError
    return found


async def revoke_own(tx: Tx, me: Self, uuid: str) -> None:
    """Take back at once what an application was given."""
    found = await load_own(tx, me, uuid)
    await token_rows.remove_by_id(tx, found.token.id)
    await audit_entries.write(
        tx,
        me.actor,
        "revoke_oauth_api_token",
        namespace_id=me.namespace.id,
        repository_id=None,
        metadata={
            "oauth_token_uuid": uuid,
            "application_name": found.application_name,
            "client_id": found.client_id,
        },
    )


def _words(scope: str) -> str:
    return " ".join(dict.fromkeys(scope.replace(",", " ").split()))
