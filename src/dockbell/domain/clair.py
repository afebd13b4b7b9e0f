"""What we and a Clair v4 say to each other: its calls to us, and the tokens that prove either."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import Manifest

# Quay: the issuer that a Clair which was set up for it expects.
_ISSUER = "quay"
_LIFE_SECONDS = 300
MOST_TRIES = 30  # of fetching news, and of having an image indexed: a day or so
_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_LEEWAY_SECONDS = 60
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True, slots=True)
class Callback:
    """Clair has news under this id, a UUID; `tries` to fetch it have failed."""

    id: str
    tries: int


@dataclass(frozen=True, slots=True)
class Indexing:
    """An image of a repository that a Clair is to index; `tries` have begun, this one among them."""

    repository_id: str
    digest: str
    tries: int


def wait_of(tries: int) -> timedelta:
    """How long to wait for a Clair after so many tries before this one."""
    return min(_FIRST_WAIT * (1 << min(tries, 16)), _LONGEST_WAIT)


def index_request(
    digest: str, manifest: Manifest, address: str, token: str
) -> Mapping[str, object]:
    """What asks a Clair to index the image: where each of its layers is, and what opens it there."""
    headers = {"Authorization": [f"Bearer {token}"]}
    return {
        "hash": digest,
        "layers": [
            {"hash": str(one.digest), "uri": f"{address}/{one.digest}", "headers": headers}
            for one in manifest.layers
            if one.must_exist
        ],
    }


class Clair(Protocol):
    """A Clair that can be asked."""

    async def index(self, request: Mapping[str, object]) -> None:
        """Have it index an image; return when it has. Raise UnreachableError, also if it could not."""
        ...

    async def digests(self, callback_id: str) -> Sequence[str]:
        """The images that the news is about. Raise UnreachableError, or NotFoundError for news that is gone."""
        ...

    async def report(self, digest: str) -> bytes:
        """What it knows of an image. Raise likewise, NotFoundError for one that it has not indexed."""
        ...

    async def forget(self, callback_id: str) -> None:
        """Tell it that the news has been read. Raise UnreachableError."""
        ...


def key_of(text: str) -> bytes | None:
    """The shared key of the setting, as Quay and Clair write it: base64. None for an empty one. Raise SetupError."""
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SetupError(
            "clair_psk must be base64, as in Clair's own `auth.psk.key`."
        ) from None


def token_of(key: bytes, now: datetime) -> str:
    """A token that proves to Clair that we know the key, for some minutes."""
    issued = int(now.timestamp())
    claims = {"iss": _ISSUER, "iat": issued, "nbf": issued, "exp": issued + _LIFE_SECONDS}
    signed = f"{_packed(_HEADER)}.{_packed(claims)}"
    return f"{signed}.{_signature(key, signed)}"


def is_token(token: str, key: bytes, now: datetime) -> bool:
    """Whether whoever made this token, which has not run out, knows the key."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(key, signed).encode(), signature.encode()):
        return False
    try:
        header, claims = (json.loads(_unpacked(part)) for part in signed.split("."))
        is_ours = header["alg"] == "HS256"
        ends = float(claims["exp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return bool(is_ours and now.timestamp() < ends + _LEEWAY_SECONDS)


def _packed(value: object) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _signature(key: bytes, signed: str) -> str:
    made = hmac.new(key, signed.encode("utf-8", "replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
