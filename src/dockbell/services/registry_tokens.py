"""Registry tokens: signed, short-lived words of ours on what a client may do (quay-compat 7.1)."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from dockbell.domain.accounts import ANONYMOUS, Actor, ActorKind, Powers, Role, Scope
from dockbell.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    SetupError,
    UnauthenticatedError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_namespace, is_repository
from dockbell.domain.permissions import CreatorIn
from dockbell.domain.repositories import Visibility
from dockbell.services import authentication, repositories
from dockbell.services.intake import Intake
from dockbell.store import keys
from dockbell.store.transactions import Tx

LIFETIME = timedelta(seconds=3600)
_PURPOSE = "registry_token"
_ISSUER = "quay"  # Quay: clients may look at it. Pinned by compat/test_oci_tokens.py.
_ALGORITHM = "RS256"
_KEY_BITS = 2048
_LEEWAY = timedelta(seconds=30)  # clocks of two hosts differ a little
_LONGEST = 16 << 10
_NEEDED = {
    "pull": frozenset({"pull", "*"}),
    "push": frozenset({"push", "*"}),
    # Quay: who may push may delete. Pinned by compat/test_oci_management.py.
    "delete": frozenset({"delete", "push", "*"}),
}
_OF_THE_REGISTRY = frozenset({"catalog", "mount"})  # all of it, as far as the caller may
_TOKEN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_SCOPE = re.compile(
    r"(?P<type>[a-z]+(?:\([a-z]+\))?):(?P<name>[.a-zA-Z0-9_/:-]+):(?P<actions>(?:[a-z]+|\*)(?:,(?:[a-z]+|\*))*)"
)


class TokenError(UnauthenticatedError):
    """The registry token is not valid, or no longer."""


_MOST_SCOPES = 20


class ScopeError(InvalidRequestError):
    """Unable to decode repository and actions."""


@dataclass(frozen=True, slots=True)
class Access:
    """One entry of a token: what may be done with one resource."""

    type: str
    name: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says to ask, and for what at most. Worth nothing before `honour` has looked at it."""

    actor: Actor
    access: tuple[Access, ...] | None
    powers: Powers = field(
        default_factory=Powers
    )  # which the operator gives to some, by their names


@dataclass(frozen=True, slots=True)
class Grant:
    """Who asks, and the most they may do now. Made only by `honour`.

    `access` of None means no cap: a password came with the request.
    """

    actor: Actor
    access: tuple[Access, ...] | None

    def allows(self, path: str, action: str) -> bool:
        """Whether the token reaches so far. The rights in the database are asked besides."""
        return self.access is None or any(
            entry.type == "repository"
            and entry.name == path
            and not _NEEDED[action].isdisjoint(entry.actions)
            for entry in self.access
        )

    @property
    def allows_catalog(self) -> bool:
        return self._allows_registry("catalog")

    @property
    def allows_mount(self) -> bool:
        """Whether a blob may be mounted from any repository that the caller may read, named in the token or not."""
        return self._allows_registry("mount")

    def _allows_registry(self, name: str) -> bool:
        return self.access is None or any(
            entry.type == "registry" and entry.name == name and "*" in entry.actions
            for entry in self.access
        )


class RegistryTokens:
    """Makes and checks tokens with the keys of this server."""

    def __init__(self, private_keys: Mapping[str, rsa.RSAPrivateKey], *, audience: str) -> None:
        self._private_keys = private_keys
        self._newest = next(iter(private_keys))
        self._audience = audience

    def issue(self, actor: Actor, access: Sequence[Access], now: datetime) -> str:
        seconds = int(now.timestamp())
        head = {"alg": _ALGORITHM, "kid": self._newest, "typ": "JWT"}
        claims = {
            "iss": _ISSUER,
            "aud": self._audience,
            "nbf": seconds,
            "iat": seconds,
            "exp": seconds + int(LIFETIME.total_seconds()),
            "sub": actor.name,
            "access": [
                {"type": entry.type, "name": entry.name, "actions": list(entry.actions)}
                for entry in access
            ],
            "context": _context_of(actor),
        }
        signed = f"{_encode(head)}.{_encode(claims)}"
        signature = self._private_keys[self._newest].sign(
            signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return f"{signed}.{_to_text(signature)}"

    def verify(self, token: str, now: datetime, ip: str | None) -> Claim:
        """What the token says; raise TokenError unless it is ours, for us, and valid now."""
        claims = self._claims(token)
        seconds = now.timestamp()
        leeway = _LEEWAY.total_seconds()
        try:
            is_current = (
                claims["iss"] == _ISSUER
                and claims["aud"] == self._audience
                and claims["nbf"] - leeway <= seconds < claims["exp"]
            )
            access = tuple(
                Access(entry["type"], entry["name"], tuple(entry["actions"]))
                for entry in claims["access"]
            )
            actor = replace(_actor_of(claims["sub"], claims["context"]), ip=ip)
        except (KeyError, TypeError, ValueError):
            raise TokenError from None
        if not is_current:
            raise TokenError
        return Claim(actor, access)

    def _claims(self, token: str) -> Any:
        match = _TOKEN.fullmatch(token) if len(token) <= _LONGEST else None
        if match is None:
            raise TokenError
        try:
            head, claims, signature = (_of_text(part) for part in match.groups())
            named = json.loads(head)
            # The algorithm is ours, never the token's: only then does the key decide.
            key = self._private_keys[named["kid"]] if named["alg"] == _ALGORITHM else None
            if key is None:
                raise TokenError
            key.public_key().verify(
                signature,
                f"{match[1]}.{match[2]}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
            return json.loads(claims)
        except (ValueError, KeyError, TypeError, RecursionError, InvalidSignature):
            raise TokenError from None


async def open_tokens(tx: Tx, *, audience: str) -> RegistryTokens:
    """The tokens of this server. The first start makes the key, so this needs a writing transaction."""
    found = await keys.find_all(tx, _PURPOSE)
    if not found:
        private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
        await keys.add_first(
            tx,
            _PURPOSE,
            public=private.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            private=private.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        found = await keys.find_all(tx, _PURPOSE)
    return RegistryTokens({key.id: _load_key(key.private) for key in found}, audience=audience)


async def honour(tx: Tx, claim: Claim) -> Grant:
    """The grant of a claim whose credential is still good; raise EndedError. The powers are those of now."""
    return Grant(claim.powers.of(await authentication.renew(tx, claim.actor)), claim.access)


def scopes_of(texts: Iterable[str], host: str) -> tuple[Access, ...]:
    """The scopes a client asks for; raise ScopeError for one that cannot be read.

    Each text may hold several, with spaces between. A name may begin with this server's host.
    """
    asked = []
    words = " ".join(texts).split()
    if len(words) > _MOST_SCOPES:  # each may cost a query, and a push may make a repository
        raise ScopeError(
            f"At most {_MOST_SCOPES} scopes can be asked for at once, not {len(words)}."
        )
    for text in words:
        match = _SCOPE.fullmatch(text)
        if match is None:
            # Quay's literal text. Pinned by compat/test_oci_tokens.py.
            raise ScopeError(f"Unable to decode repository and actions: {text[:255]}")
        name = match["name"].removeprefix(f"{host}/")
        asked.append(Access(match["type"], name, tuple(match["actions"].split(","))))
    return tuple(asked)


async def grant(
    tx: Tx,
    actor: Actor,
    asked: Sequence[Access],
    intake: Intake | None = None,
    *,
    may_create: bool = True,
) -> tuple[Access, ...]:
    """Of what is asked, that which the caller may do. What they may not do is left out, never an error.

    Asking to push to a repository that does not exist creates it, private, if the caller may and nothing speaks
    against it: the transaction must be a writing one if any entry asks to push.
    """
    if may_create and not actor.is_anonymous:
        for one in asked:
            if "push" in one.actions and _is_repository(one):
                await _create_if_missing(tx, actor, one.name, intake)
    return tuple([await _grant_one(tx, actor, access) for access in asked])


def _is_repository(asked: Access) -> bool:
    namespace, _, name = asked.name.partition("/")
    return asked.type == "repository" and is_namespace(namespace) and is_repository(name)


async def _grant_one(tx: Tx, actor: Actor, asked: Access) -> Access:
    if asked.type == "registry" and asked.name in _OF_THE_REGISTRY:
        return replace(asked, actions=("*",) if "*" in asked.actions else ())
    if not _is_repository(asked):
        return replace(asked, actions=())
    roles = await repositories.roles_of(tx, actor, asked.name)
    may: dict[str, bool] = {
        # Quay: who would be told that there is no such repository may ask. Pinned by compat/test_oci_pull.py.
        "pull": Role.READ in roles or await repositories.is_missing(tx, actor, asked.name),
        "push": Role.WRITE in roles,
        "delete": Role.WRITE in roles,
        "*": Role.ADMIN in roles,
    }
    granted = [action for action in dict.fromkeys(asked.actions) if may.get(action, False)]
    if "*" in asked.actions and not may["*"]:
        # Deleting clients ask for everything: who is no admin gets what they do have.
        granted += [
            action for action in ("pull", "push") if may[action] and action not in granted
        ]
    return replace(asked, actions=tuple(granted))


async def _create_if_missing(tx: Tx, actor: Actor, path: str, intake: Intake | None) -> None:
    try:
        right = await repositories.writer_or_creator(tx, actor, path)
        if isinstance(right, CreatorIn):
            # Quay: made here, before any byte of the push. Pinned by compat/test_oci_tokens.py.
            name = path.partition("/")[2]
            await repositories.create(
                tx, right, name, visibility=Visibility.PRIVATE, intake=intake
            )
    except (UnauthenticatedError, ForbiddenError, NotFoundError, InvalidRequestError):
        return  # not allowed, or another push made it a moment ago: the roles will tell


def _context_of(actor: Actor) -> dict[str, object]:
    return {
        "kind": actor.kind.value,
        "id": actor.id,
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
        "is_superuser": actor.is_superuser,
        "token_id": actor.token_id,
        "app_token_id": actor.app_token_id,
        "application_id": actor.application_id,
        "application_name": actor.application_name,
        "credential": actor.credential,
    }


def _actor_of(name: str, context: Mapping[str, Any]) -> Actor:
    if context["kind"] == ActorKind.ANONYMOUS:
        return ANONYMOUS
    scopes = context["scopes"]
    return Actor(
        kind=ActorKind(context["kind"]),
        id=context["id"],
        name=name,
        scopes=None if scopes is None else frozenset(Scope(scope) for scope in scopes),
        is_superuser=context["is_superuser"],
        token_id=context["token_id"],
        app_token_id=context.get("app_token_id"),  # tokens of the version before have none
        application_id=context["application_id"],
        application_name=context["application_name"],
        credential=context["credential"],
    )


def _load_key(private: bytes) -> rsa.RSAPrivateKey:
    # The seal has vouched for every byte; checking the primes again would cost each start 50 ms.
    key = serialization.load_der_private_key(
        private, password=None, unsafe_skip_rsa_key_validation=True
    )
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SetupError("The registry's token key is not an RSA key.")
    return key


def _encode(document: Mapping[str, object]) -> str:
    return _to_text(json.dumps(document, separators=(",", ":")).encode())


def _to_text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _of_text(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
