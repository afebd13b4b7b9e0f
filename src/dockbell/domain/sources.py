"""Peers that tell us in their own words: what they send, and what every reader of it shares."""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Protocol

from dockbell.domain.build_reports import BuildReport
from dockbell.domain.errors import ConfigError, UnauthenticatedError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.payloads import is_deeper

_DEEPEST = 64
_LONGEST = 255


class ForgedError(UnauthenticatedError):
    """The request does not carry this feed's secret, or a signature made with it."""


class SourceError(ConfigError):
    """The request cannot be read."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request as it came in."""

    headers: Mapping[str, str]  # names in small letters
    body: bytes
    secret: str = field(
        default="", repr=False
    )  # of the query, from peers that can set no header


class BuildSource(Protocol):
    """A build system that tells of its builds. One file in `sources` each."""

    name: str  # as a feed's `source` names it
    title: str

    def example(self, secret: str) -> Inbound:
        """A request that the peer really makes; the tests replay it."""
        ...

    def verify(self, inbound: Inbound, secret: str) -> None:
        """Raise ForgedError unless the request shows that its sender knows the secret."""
        ...

    def translate(self, inbound: Inbound) -> Sequence[BuildReport]:
        """What it tells of builds, the same each time; nothing if it is about something else. Raise SourceError."""
        ...


def check_bearer(inbound: Inbound, secret: str) -> None:
    """Raise ForgedError unless the secret is a bearer token of the request, or stands in its query."""
    scheme, _, token = inbound.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else inbound.secret
    check_same(given, secret)


def check_same(given: str, expected: str) -> None:
    """Raise ForgedError unless the two are equal, in a time that tells nothing about them."""
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForgedError


def object_in(body: bytes) -> Mapping[str, object]:
    """The JSON object that the body is, or SourceError."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise SourceError("The body must be JSON in UTF-8", field="body") from None
    if not isinstance(value, dict):
        raise SourceError("The body must be a JSON object", field="body")
    if is_deeper(value, _DEEPEST):
        raise SourceError(
            f"The body must not be nested deeper than {_DEEPEST} levels", field="body"
        )
    return value


def line(value: object, most: int = _LONGEST) -> str | None:
    """A text or number as one line of at most so many characters; None for anything else, and for nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # Numbers beyond these are nobody's id.
    text = str(value) if isinstance(value, str) or abs(value) < 1 << 64 else ""
    return " ".join(text.replace("\0", "").split())[:most] or None


def url(value: object) -> str | None:
    """An http or https address; None for anything else."""
    text = line(value, 2048)
    return text if text is not None and text.startswith(("http://", "https://")) else None


def moment(value: object) -> datetime | None:
    """A time with its zone; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def known(**values: object) -> dict[str, object]:
    """Those of the values that are something."""
    return {key: value for key, value in values.items() if value}
