"""Headers on their way out and back: vetted, shown without secrets, read without trust."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dockbell.domain.methods import Headers, UnreachableError
from dockbell.domain.outcomes import Code, Fault

Pairs = tuple[tuple[str, str], ...]

REDACTED = "(redacted)"

# Ours to say, because they frame the message or name the host that was judged.
_RESERVED = {
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "trailer",
    "transfer-encoding", "upgrade", "te",  # codespell:ignore te
}  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_SECRET = re.compile(r"authorization|signature|token|secret|password|cookie|api-?key")
_SHORTEST_SECRET = 8  # anything shorter could stand in an answer by chance

_NO_EXPECT = "Expect:"  # libcurl leaves a header without a value away
_END = b"\r\n"
_CONTENT_TYPE = ("Content-Type", "application/json")


@dataclass(slots=True)
class Outgoing:
    """A request's headers: as libcurl takes them, as the log shows them, and the secrets among the values."""

    lines: list[str]
    shown: Pairs
    secrets: tuple[bytes, ...]


@lru_cache(maxsize=1024)
def _traits(name: str) -> tuple[bool, bool]:
    """Whether a header of this name holds a secret, and whether it is the content type; or UnreachableError."""
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        raise _invalid("A header name holds characters that HTTP does not allow.")
    if lower in _RESERVED or lower.startswith("proxy-"):
        raise _invalid(f"The header {name} cannot be set.")
    return _SECRET.search(lower) is not None, lower == "content-type"


def _invalid(detail: str) -> UnreachableError:
    return UnreachableError(Code.CONFIG_INVALID, detail, fault=Fault.CONFIG)


def compose(headers: Headers, authorization: str | None) -> Outgoing:
    """The headers of one request, or UnreachableError if a name or value is not fit to be sent."""
    lines = [_NO_EXPECT]
    shown: list[tuple[str, str]] = []
    secrets: list[bytes] = []
    has_content_type = False
    if authorization is not None:
        headers = [("Authorization", authorization), *headers]
    for name, value in headers:
        is_secret, is_content_type = _traits(name)
        if not (value.isascii() and value.isprintable()):
            raise _invalid(
                f"The value of the header {name} holds characters that cannot be sent."
            )
        has_content_type |= is_content_type
        lines.append(f"{name}: {value}" if value else f"{name};")
        if is_secret:
            secrets.append(value.encode())
            shown.append((name, REDACTED))
        else:
            shown.append((name, value))
    if not has_content_type:
        lines.append(": ".join(_CONTENT_TYPE))
        shown.append(_CONTENT_TYPE)
    return Outgoing(lines, tuple(shown), tuple(secrets))


def read(lines: Sequence[bytes], secrets: Sequence[bytes] = ()) -> tuple[Pairs, bool]:
    """The headers of an answer's head without secrets, and whether the head is complete.

    `lines` are libcurl's, from the status line on. What follows the end of the head (trailers) is dropped.
    """
    if secrets:
        text = b"".join(lines)
        if mask(text, secrets) is not text:
            lines = [mask(line, secrets) for line in lines]
    if lines and lines[-1] == _END:
        return tuple(map(_pair, lines[1:-1])), True
    end = next((index for index, line in enumerate(lines) if line in {_END, b"\n"}), None)
    return tuple(map(_pair, lines[1:end])), end is not None


@lru_cache(maxsize=1024)
def _pair(line: bytes) -> tuple[str, str]:
    """Targets answer with the same lines again and again."""
    name, _, value = line.decode("latin-1").partition(":")
    return name.strip(), value.strip()


def mask(text: bytes, secrets: Sequence[bytes]) -> bytes:
    """The text without the secrets that a target may send back to us."""
    for secret in secrets:
        if secret in text and len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED.encode())
    return text
