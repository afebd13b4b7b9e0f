"""Signatures of webhooks: Standard Webhooks 1.0 (v1 and v1a) and GitHub's header, over the exact bytes of the body."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from dockbell.domain.errors import ConfigError
from dockbell.domain.late_dataclasses import dataclass

PREFIX = "whsec_"
SECRET_BYTES = 32
MOST_LIVE = 10  # secrets of one kind of one notification
LONGEST_KEPT = timedelta(days=7)  # how long a replaced secret may go on signing
KEPT = timedelta(days=1)  # how long it does unless somebody asks for another span
_FEWEST_BYTES = 24
_MOST_BYTES = 64
_FEWEST_CHARACTERS = 8
_MOST_CHARACTERS = 200
_BLOCK_BYTES = 64  # of SHA-256
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def span_of(seconds: int | None) -> timedelta:
    """So long as somebody asks, or `KEPT`. What is beyond both ends stays beyond them, and is refused where it is used."""
    if seconds is None:
        return KEPT
    least, most = -1, int(LONGEST_KEPT.total_seconds()) + 1
    return timedelta(seconds=min(max(seconds, least), most))


class Signature(StrEnum):
    """A way to sign. `v1` is on every request; the others are a notification's choice."""

    V1 = "v1"  # Standard Webhooks, HMAC-SHA256
    V1A = "v1a"  # Standard Webhooks, Ed25519
    GITHUB = "github"  # X-Hub-Signature-256


class SecretKind(StrEnum):
    HMAC = "hmac"
    ED25519 = "ed25519"
    GITHUB = "github"  # a text that a receiver of X-Hub-Signature-256 has already


_PREFIXES = {SecretKind.HMAC: PREFIX, SecretKind.ED25519: "whsk_"}
PUBLIC_PREFIX = "whpk_"


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """One key that signs for a notification. `value` is the HMAC key, Ed25519's private key, or a text's bytes."""

    id: str
    kind: SecretKind
    value: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None  # set once another one replaces it
    public: bytes = b""  # Ed25519's public key

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    @property
    def text(self) -> str:
        """The secret as receivers' libraries take it."""
        if self.kind is SecretKind.GITHUB:
            return self.value.decode()
        return to_text(self.value, self.kind)


@dataclass(frozen=True, slots=True)
class ListedSecret:
    """What may be shown of a secret at any time. `public` is Ed25519's public key."""

    id: str
    notification_id: str
    kind: SecretKind
    public: bytes
    created_at: datetime
    expires_at: datetime | None


def chosen(names: Iterable[str]) -> tuple[Signature, ...]:
    """These ways to sign in their fixed order, with v1 always among them; or ConfigError."""
    wanted = {Signature.V1.value, *names}
    unknown = sorted(wanted - {one.value for one in Signature})
    if unknown:
        known = ", ".join(one.value for one in Signature)
        raise ConfigError(
            f"Unknown signature '{unknown[0][:64]}'. Must be one of: {known}",
            field="signatures",
        )
    return tuple(one for one in Signature if one.value in wanted)


def new_secret(chance: bytes) -> bytes:
    """A signing secret from unpredictable bytes, of which it takes 32."""
    if len(chance) < SECRET_BYTES:
        raise ValueError(f"a signing secret needs {SECRET_BYTES} bytes of chance")
    return chance[:SECRET_BYTES]


def to_text(secret: bytes, kind: SecretKind = SecretKind.HMAC) -> str:
    """The secret as receivers' libraries take it."""
    return _PREFIXES[kind] + base64.b64encode(secret).decode()


def public_text(key: bytes) -> str:
    """A public key as receivers' libraries take it."""
    return PUBLIC_PREFIX + base64.b64encode(key).decode()


def of_text(text: str) -> bytes:
    """The secret in a text like `whsec_…`, or ConfigError in plain words."""
    encoded = text.strip().removeprefix(PREFIX)
    try:
        secret = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(
            f"A signing secret is {PREFIX} and base64 text", field="secret"
        ) from None
    if not _FEWEST_BYTES <= len(secret) <= _MOST_BYTES:
        raise ConfigError(
            f"A signing secret has {_FEWEST_BYTES} to {_MOST_BYTES} bytes", field="secret"
        )
    return secret


def of_github_text(text: str) -> bytes:
    """A secret that somebody chose for GitHub's header, of any strength; or ConfigError."""
    if not _FEWEST_CHARACTERS <= len(text) <= _MOST_CHARACTERS or not text.isprintable():
        raise ConfigError(
            f"A secret for X-Hub-Signature-256 has {_FEWEST_CHARACTERS} to {_MOST_CHARACTERS} "
            "characters that can be printed",
            field="secret",
        )
    return text.encode()


def is_weak(secret: SigningSecret) -> bool:
    """Whether it is shorter than Standard Webhooks would allow. Only one for GitHub's header can be."""
    return len(secret.value) < _FEWEST_BYTES


def signed_bytes(message_id: str, timestamp: int, body: bytes) -> bytes:
    """What Standard Webhooks signs. The id must not contain a dot, since dots part what is signed."""
    return b"%b.%d.%b" % (message_id.encode(), timestamp, body)


def sign(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The v1 part of `webhook-signature`: one signature per secret, with spaces between."""
    signed = signed_bytes(message_id, timestamp, body)
    return " ".join([v1(secret, signed) for secret in secrets])


def v1(secret: bytes, signed: bytes) -> str:
    """One signature over `signed_bytes`."""
    # base64.b64encode takes twice as long
    return "v1," + binascii.b2a_base64(_hmac(secret, signed), newline=False).decode()


def signer(secret: bytes) -> Callable[[str, str, bytes], str]:
    """Signs as `v1` does: given the message's id, the timestamp in digits and the body. For whom signs thousands."""
    inner, outer = _begun(secret)

    def sign_one(message_id: str, timestamp: str, body: bytes) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(f"{message_id}.{timestamp}.".encode() + body)
        second.update(first.digest())
        return "v1," + binascii.b2a_base64(second.digest(), newline=False).decode()

    return sign_one


def github(secret: SigningSecret, body: bytes) -> str:
    """The value of `X-Hub-Signature-256`.

    Receivers of this header take the text they are given as the key, so `whsec_…` is the key as it was shown.
    """
    return "sha256=" + _hmac(secret.text.encode(), body).hex()


def _hmac(secret: bytes, signed: bytes) -> bytes:
    inner, outer = _begun(secret)
    first, second = inner.copy(), outer.copy()
    first.update(signed)
    second.update(first.digest())
    return second.digest()


@lru_cache(maxsize=4096)
def _begun(secret: bytes) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """HMAC-SHA256 (RFC 2104) as far as it depends on the secret alone.

    Every delivery needs it, and from here on it takes half the time of `hmac.digest`.
    """
    key = secret if len(secret) <= _BLOCK_BYTES else hashlib.sha256(secret).digest()
    block = key.ljust(_BLOCK_BYTES, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))
