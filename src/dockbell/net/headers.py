"""Headers on their way out: vetted, shown without secrets."""

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, NoReturn

from dockbell.domain.methods import Headers, UnreachableError
from dockbell.domain.outcomes import Code, Fault, FilledPairs, Pairs
from dockbell.domain.posts import FilledForm, HeaderForm

REDACTED = "(redacted)"

# Ours to say, because they frame the message or name the host that was judged.
_RESERVED = {
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "trailer",
    "transfer-encoding", "upgrade", "te",  # codespell:ignore te
}  # fmt: skip
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_SECRET = re.compile(r"authorization|signature|token|secret|password|cookie|api-?key")
_PRINTABLE = bytes(range(0x20, 0x7F))
SHORTEST_SECRET = 8  # anything shorter could stand in an answer by chance

_ALWAYS = "Accept: */*\r\nAccept-Encoding: identity\r\n"
_CONTENT_TYPE = ("Content-Type", "application/json")
_CONTENT_TYPE_LINE = "Content-Type: application/json\r\n"


class Outgoing(NamedTuple):
    """A request's headers: as they are sent, as the log shows them, and the secrets among the values."""

    text: str
    shown: Pairs | FilledPairs
    secrets: tuple[bytes, ...]


class _Plan(NamedTuple):
    """What follows from the names of a request's headers alone."""

    text: str  # with a gap for each value
    secrets: tuple[
        tuple[int, tuple[str, str]], ...
    ]  # where values are secret, and what is shown instead
    more: Pairs  # what is sent besides, and shown


@lru_cache(maxsize=1024)
def _plan(names: tuple[str, ...], user_agent: str) -> _Plan:
    """How headers of these names are sent; or UnreachableError. Methods send the same names again and again."""
    lower = [name.lower() for name in names]
    for name, plain in zip(names, lower, strict=True):
        if not _TOKEN.fullmatch(name):
            raise _invalid("A header name holds characters that HTTP does not allow.")
        if plain in _RESERVED or plain.startswith("proxy-"):
            raise _invalid(f"The header {name} cannot be set.")
    has_content_type = "content-type" in lower
    before = "" if "user-agent" in lower else f"User-Agent: {user_agent}\r\n".replace("%", "%%")
    lines = "".join([f"{name.replace('%', '%%')}: %s\r\n" for name in names])
    return _Plan(
        text=before + _ALWAYS + lines + ("" if has_content_type else _CONTENT_TYPE_LINE),
        secrets=tuple(
            (index, (names[index], REDACTED))
            for index, name in enumerate(lower)
            if _SECRET.search(name)
        ),
        more=() if has_content_type else (_CONTENT_TYPE,),
    )


def _invalid(detail: str) -> UnreachableError:
    return UnreachableError(Code.CONFIG_INVALID, detail, fault=Fault.CONFIG)


class FormPlan(NamedTuple):
    """What follows from a form of headers."""

    text: str  # with a gap for each value
    shown: str  # likewise, as the JSON of pairs
    secrets: tuple[bytes, ...]  # among what is the same for all
    gaps: tuple[int, ...]  # whose values are secret


@lru_cache(maxsize=8192)
def form_plan(form: HeaderForm, authorization: str | None, user_agent: str) -> FormPlan:
    """How requests of this form are sent; or UnreachableError. Made for a method once, and used for each of its tries."""
    plain = compose(
        [(name, value or "") for name, value in form.headers], authorization, user_agent
    )
    headers = list(form.headers)
    if authorization is not None:
        headers.insert(0, ("Authorization", authorization))
    plan = _plan(tuple(name for name, _ in headers), user_agent)
    redacted = {index for index, _ in plan.secrets}
    shown: list[str] = []
    gaps: list[int] = []  # for each, its place among the headers
    for index, (name, value) in enumerate(plain.shown):
        if index < len(headers) and headers[index][1] is None:
            # The value of a gap that is not shown is taken, and nothing is written for it.
            word = REDACTED + "%.0s" if index in redacted else "%s"
            shown.append(f'[{json.dumps(name).replace("%", "%%")},"{word}"]')
            gaps.append(index)
        else:
            shown.append(json.dumps([name, value], separators=(",", ":")).replace("%", "%%"))
    values = tuple("\0" if value is None else value for _, value in headers)
    return FormPlan(
        text=(plan.text % values).replace("%", "%%").replace("\0", "%s"),
        shown=f"[{','.join(shown)}]",
        secrets=tuple(
            value.encode()
            for index, (_, value) in enumerate(headers)
            if index in redacted and value is not None
        ),
        gaps=tuple(place for place, index in enumerate(gaps) if index in redacted),
    )


def is_plain(values: tuple[str, ...]) -> bool:
    """Whether they can stand in a header, and in the JSON of one, as they are."""
    joined = "".join(values)
    return (
        joined.isascii() and joined.isprintable() and '"' not in joined and "\\" not in joined
    )


def _fill(filled: FilledForm, authorization: str | None, user_agent: str) -> Outgoing | None:
    """The headers of a request of a form; None if some value is not plain, and has to be looked at."""
    form, values = filled
    if not is_plain(values):
        return None
    plan = form_plan(form, authorization, user_agent)
    secrets = plan.secrets
    for place in plan.gaps:
        secrets = (values[place].encode(), *secrets)
    return Outgoing(plan.text % values, FilledPairs(plan.shown, values), secrets)


def compose(
    headers: Headers | FilledForm, authorization: str | None, user_agent: str
) -> Outgoing:
    """The headers of one request, or UnreachableError if a name or value is not fit to be sent."""
    if isinstance(headers, FilledForm):
        outgoing = _fill(headers, authorization, user_agent)
        if outgoing is not None:
            return outgoing
        headers = headers.headers
    if authorization is not None:
        headers = [("Authorization", authorization), *headers]
    names, values = zip(*headers, strict=True) if headers else ((), ())
    plan = _plan(names, user_agent)
    if "".join(values).encode("utf-8", "surrogatepass").translate(None, _PRINTABLE):
        _refuse_value(headers)
    shown, secrets = [*headers, *plan.more], []
    for index, redacted in plan.secrets:
        shown[index] = redacted
        secrets.append(values[index].encode())
    return Outgoing(plan.text % values, tuple(shown), tuple(secrets))


def _refuse_value(headers: Headers) -> NoReturn:
    name = next(
        name for name, value in headers if not (value.isascii() and value.isprintable())
    )
    raise _invalid(f"The value of the header {name} holds characters that cannot be sent.")


def mask(text: bytes, secrets: Sequence[bytes]) -> bytes:
    """The text without the secrets that a target may send back to us."""
    for secret in secrets:
        if secret in text and len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, REDACTED.encode())
    return text
