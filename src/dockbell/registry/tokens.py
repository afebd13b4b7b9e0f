"""`/v2/` and `/v2/auth`: how a client learns that it needs a token, and gets one (quay-compat 7.1)."""

from datetime import UTC
from urllib.parse import parse_qs

from dockbell.domain.accounts import ANONYMOUS, Actor
from dockbell.domain.errors import AnonymousError, UnauthenticatedError
from dockbell.registry import access
from dockbell.registry.errors import Refusal
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Reply, Request, json_reply
from dockbell.registry.routes import Route
from dockbell.services import authentication, registry_tokens
from dockbell.web.basic import basic_of

_FORM_LIMIT = 16 << 10


async def show_base(parts: Parts, request: Request, route: Route) -> Reply:
    del route
    claim = await access.identify(parts, request)
    async with parts.read() as tx:
        await registry_tokens.honour(tx, claim)
    return json_reply(200, True)  # noqa: FBT003 -- Quay's body


def challenge_base(challenge: str) -> Reply:
    # Quay: the body of the first 401 is `true`, no error. Pinned by compat/test_oci_tokens.py.
    return json_reply(401, True, {"www-authenticate": challenge})  # noqa: FBT003 -- Quay's body


async def get_token(parts: Parts, request: Request, route: Route) -> Reply:
    """A token for what the query asks, for whom the Basic header names, or for nobody in particular."""
    del route
    _check_service(parts, request.query("service"))
    scopes = request.queries("scope")
    username, password = _credentials_of(request)
    if username or password:
        actor = (await access.sign_in(parts, username, password, request.ip)).actor
    elif not parts.allows_anonymous:
        raise AnonymousError
    elif any(scopes):
        actor = ANONYMOUS
    else:
        raise UnauthenticatedError
    # Quay: only this key. Pinned by compat/test_oci_tokens.py.
    return json_reply(200, {"token": (await _issue(parts, actor, scopes))[0]})


async def post_token(parts: Parts, request: Request, route: Route) -> Reply:
    """The same as an OAuth 2 form, which some clients try first."""
    del route
    form = await request.body(_FORM_LIMIT)
    try:
        fields = parse_qs(form.decode(), max_num_fields=50)
    except ValueError:
        raise Refusal(400, "INVALID_REQUEST", "The form cannot be read.") from None
    first = {key: values[0] for key, values in fields.items()}
    _check_service(parts, first.get("service"))
    if first.get("grant_type") != "password":
        raise Refusal(400, "UNSUPPORTED", "Only the grant type `password` is supported.")
    claim = await access.sign_in(
        parts, first.get("username", ""), first.get("password", ""), request.ip
    )
    token, scope = await _issue(parts, claim.actor, fields.get("scope", []))
    return json_reply(
        200,
        {
            "access_token": token,
            "token": token,
            "scope": scope,
            "expires_in": int(registry_tokens.LIFETIME.total_seconds()),
            "issued_at": parts.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )


def _credentials_of(request: Request) -> tuple[str, str]:
    """User name and password; both empty for nobody, whom some clients announce by just that."""
    credentials = request.header(b"authorization")
    if credentials is None:
        return "", ""
    scheme, _, value = credentials.partition(" ")
    if scheme.lower() != "basic":
        raise UnauthenticatedError
    return basic_of(value)


def _check_service(parts: Parts, service: str | None) -> None:
    if service is not None and service != parts.links.host:
        raise Refusal(400, "INVALID_REQUEST", f"This server's `service` is {parts.links.host}.")


async def _issue(parts: Parts, actor: Actor, scopes: list[str]) -> tuple[str, str]:
    """A token and, in the words of scopes, what it is good for."""
    asked = registry_tokens.scopes_of(scopes, parts.links.host)
    if actor.is_anonymous:
        async with parts.read() as tx:
            granted = await registry_tokens.grant(tx, actor, asked, parts.intake)
    else:
        async with parts.begin() as tx:
            await authentication.touch(tx, actor)
            granted = await registry_tokens.grant(
                tx, actor, asked, parts.intake, may_create=not parts.is_readonly
            )
    scope = " ".join(
        f"{entry.type}:{entry.name}:{','.join(entry.actions)}"
        for entry in granted
        if entry.actions
    )
    return parts.tokens.issue(actor, granted, parts.clock()), scope
