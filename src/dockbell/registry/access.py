"""Who asks, and whether their token reaches: the first thing every handler does."""

import base64
import binascii
from typing import Any

from dockbell.domain.errors import UnauthenticatedError
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Request
from dockbell.services import authentication, registry_tokens, repositories
from dockbell.services.authentication import SignInError
from dockbell.services.registry_tokens import Claim, Grant


class InsufficientScopeError(UnauthenticatedError):
    """access to the requested resource is not authorized"""  # noqa: D400, D415 -- Quay's literal text


async def identify(parts: Parts, request: Request) -> Claim:
    """The claim that the request's credentials make; raise UnauthenticatedError if there are none or bad ones."""
    scheme, _, value = (request.header(b"authorization") or "").partition(" ")
    match scheme.lower():
        case "bearer":
            return parts.tokens.verify(value.strip(), parts.clock(), request.ip)
        case "basic":
            username, password = basic_of(value)
            return await sign_in(parts, username, password, request.ip)
        case _:
            raise UnauthenticatedError


async def sign_in(parts: Parts, username: str, password: str, ip: str | None) -> Claim:
    """A claim without a cap for good credentials; raise SignInError and count the failure for bad ones."""
    try:
        async with parts.read() as tx:
            actor = await authentication.actor_of_password(tx, username, password, ip)
    except SignInError as error:
        async with parts.begin() as tx:
            await authentication.record_failure(tx, error)
        raise
    return Claim(actor, access=None)


def basic_of(value: str) -> tuple[str, str]:
    """User name and password of a Basic header; raise UnauthenticatedError if it cannot be read."""
    try:
        text = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise UnauthenticatedError from None
    username, colon, password = text.partition(":")
    if not colon:
        raise UnauthenticatedError
    return username, password


def demand(grant: Grant, path: str, action: str) -> None:
    """Raise InsufficientScopeError, so that the client asks for a better token, if this one does not reach."""
    if not grant.allows(path, action):
        raise InsufficientScopeError


async def reader(tx: Any, claim: Claim, path: str) -> ReaderOf:
    grant = await registry_tokens.honour(tx, claim)
    demand(grant, path, "pull")
    return await repositories.reader_of(tx, grant.actor, path)


async def writer(tx: Any, claim: Claim, path: str, action: str = "push") -> WriterOf:
    grant = await registry_tokens.honour(tx, claim)
    demand(grant, path, action)
    return await repositories.writer_of(tx, grant.actor, path)
