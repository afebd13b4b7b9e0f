"""Headers on their way out: vetted, shown without secrets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn

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

_ALWAYS = "Accept: */*\r\nAccept-Encoding: identity\r\n"
_CONTENT_TYPE = ("Content-Type", "application/json")
_CONTENT_TYPE_LINE = "Content-Type: application/json\r\n"


@dataclass(slots=True)
class Outgoing:
    """A request's headers: as they are sent, as the log shows them, and the secrets among the values."""

    text: str
    shown: Pairs
    secrets: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What follows from the names of a request's headers alone."""

    text: str  # with a gap for each value
    secrets: tuple[int, ...]  # where the values are secret
    has_content_type: bool
    has_user_agent: bool


@lru_cache(maxsize=1024)
def _plan(names: tuple[str, ...]) -> _Plan:
    """How headers of these names are sent; or UnreachableError. Methods send the same names again and again."""
    lower = [name.lower() for name in names]
    for name, plain in zip(names, lower, strict=True):
        if not _TOKEN.fullmatch(name):
            raise _invalid("A header name holds characters that HTTP does not allow.")
        if plain in _RESERVED or plain.startswith("proxy-"):
            raise _invalid(f"The header {name} cannot be set.")
    return _Plan(
        text=_ALWAYS + "".join([f"{name.replace('%', '%%')}: %s\r\n" for name in names]),
        secrets=tuple(index for index, name in enumerate(lower) if _SECRET.search(name)),
        has_content_type="content-type" in lower,
        has_user_agent="user-agent" in lower,
    )


def _invalid(detail: str) -> UnreachableError:
    return UnreachableError(Code.CONFIG_INVALID, detail, fault=Fault.CONFIG)


def compose(headers: Headers, authorization: str | None, user_agent: str) -> Outgoing:
    """The headers of one request, or UnreachableError if a name or value is not fit to be sent."""
    if authorization is not None:
        headers = [("Authorization", authorization), *headers]
    plan = _plan(tuple([name for name, _ in headers]))
    values = tuple([value for _, value in headers])
    joined = "".join(values)
    if not (joined.isascii() and joined.isprintable()):
        _refuse_value(headers)
    text = plan.text % values
    if not plan.has_user_agent:
        text = f"User-Agent: {user_agent}\r\n{text}"
    shown = list(headers)
    secrets: tuple[bytes, ...] = ()
    if plan.secrets:
        secrets = tuple([values[index].encode() for index in plan.secrets])
        for index in plan.secrets:
            shown[index] = shown[index][0], REDACTED
    if not plan.has_content_type:
        text += _CONTENT_TYPE_LINE
        shown.append(_CONTENT_TYPE)
    return Outgoing(text, tuple(shown), secrets)


def _refuse_value(headers: Headers) -> NoReturn:
    name = next(
        name for name, value in headers if not (value.isascii() and value.isprintable())
    )
    raise _invalid(f"The value of the header {name} holds characters that cannot be sent.")


def mask(text: bytes, secrets: Sequence[bytes]) -> bytes:
    """The text without the secrets that a target may send back to us."""
    for secret in secrets:
        if secret in text and len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, REDACTED.encode())
    return text
