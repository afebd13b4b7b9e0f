"""Who asks, and whether their token reaches: the first thing every handler does."""

from dataclasses import replace
from typing import Any

from dockbell.domain.digests import Digest
from dockbell.domain.errors import AnonymousError, UnauthenticatedError
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Request
from dockbell.services import authentication, blobs, mirrors, registry_tokens, repositories
from dockbell.services.authentication import SignInError
from dockbell.services.registry_tokens import Claim, Grant
from dockbell.web.basic import basic_of


class InsufficientScopeError(UnauthenticatedError):
    """access to the requested resource is not authorized"""  # noqa: D400, D415 -- Quay's literal text


async def identify(parts: Parts, request: Request) -> Claim:
    """The claim that the request's credentials make; raise UnauthenticatedError if there are none or bad ones."""
    scheme, _, value = (request.header(b"authorization") or "").partition(" ")
    match scheme.lower():
        case "bearer":
            claim = parts.tokens.verify(value.strip(), parts.clock(), request.ip)
            if claim.actor.is_anonymous and not parts.allows_anonymous:
                raise AnonymousError
            return replace(claim, powers=parts.powers)
        case "basic":
            username, password = basic_of(value)
            return await sign_in(parts, username, password, request.ip)
        case _:
            raise UnauthenticatedError


async def sign_in(parts: Parts, username: str, password: str, ip: str | None) -> Claim:
    """A claim without a cap for good credentials; raise SignInError and count the failure for bad ones."""
    async with authentication.turn_of(username):
        try:
            async with parts.read() as tx:
                actor = await authentication.actor_of_password(tx, username, password, ip)
        except SignInError as error:
            async with parts.begin() as tx:
                await authentication.record_failure(tx, error)
            raise
    return Claim(parts.powers.of(actor), access=None, powers=parts.powers)


def demand(grant: Grant, path: str, action: str) -> None:
    """Raise InsufficientScopeError, so that the client asks for a better token, if this one does not reach."""
    if not grant.allows(path, action):
        raise InsufficientScopeError


async def reader(tx: Any, claim: Claim, path: str) -> ReaderOf:
    grant = await registry_tokens.honour(tx, claim)
    demand(grant, path, "pull")
    return await repositories.reader_of(tx, grant.actor, path)


async def source(tx: Any, claim: Claim, digest: Digest, path: str | None) -> ReaderOf | None:
    """The right to pull from a repository that holds the blob: from `path`, or from any; None if there is none.

    Raise InsufficientScopeError where the account may, and only its token does not reach: the client is told what
    to ask for, and mounts then. For a blob from anywhere that is a scope of its own, so that nobody is told where
    it lies.
    """
    grant = await registry_tokens.honour(tx, claim)
    found = await blobs.sources(tx, grant.actor, digest, path)
    for one in found:
        if grant.allows(one.repository.path, "pull") or (path is None and grant.allows_mount):
            return one
    if found:
        raise InsufficientScopeError
    return None


async def writer(tx: Any, claim: Claim, path: str, action: str = "push") -> WriterOf:
    grant = await registry_tokens.honour(tx, claim)
    demand(grant, path, action)
    found = await repositories.writer_of(tx, grant.actor, path)
    mirrors.check_pushable(found)
    return found
