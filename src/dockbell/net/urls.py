"""URLs of targets, parsed once by us: what is judged is what is connected to."""

import base64
import re
from dataclasses import field
from functools import lru_cache
from html import escape
from urllib.parse import quote, unquote_to_bytes

import idna

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.net.addresses import Address, parse
from dockbell.net.headers import SHORTEST_SECRET

LONGEST = 4096
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_LONGEST_HOST = 253

_SPLIT = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# A host whose last part looks like a number is an IPv4 address to some parser or other (WHATWG URL, "ends in a number").
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class InvalidHostError(ValueError):
    """The text is neither a host name nor an IP address."""


Place = tuple[str, str, int]  # scheme, host and port


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, in canonical form and without credentials."""

    url: str = field(repr=False)
    head: str = field(repr=False)  # the lines that every request to it begins with
    scheme: str
    host: str  # lower case, ASCII; an IPv6 address without brackets
    port: int
    address: Address | None  # if the host is an IP address
    authorization: str | None = field(repr=False)  # from user:password@
    place: Place
    secrets: tuple[bytes, ...] = field(repr=False)  # what of the URL is not for everybody


def _invalid(detail: str) -> UnreachableError:
    return UnreachableError(Code.CONFIG_INVALID, detail, fault=Fault.CONFIG)


@lru_cache(maxsize=4096)
def target_of(url: str) -> Target:
    """The parts of an http or https URL, or UnreachableError with the code config_invalid.

    Stricter than browsers on purpose: whatever two parsers could read in two ways is refused.
    """
    if len(url) > LONGEST:
        raise _invalid(f"The URL has more than {LONGEST} characters.")
    if not url.isprintable() or " " in url or "\\" in url:
        raise _invalid("The URL holds a space, a backslash or a control character.")
    match = _SPLIT.match(url)
    if match is None:
        raise _invalid("The URL must begin with http:// or https:// and name a host.")
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise _invalid("Only http and https URLs can be reached.")
    userinfo, _, location = match["authority"].rpartition("@")
    host, address, port = _location(location)
    if port is None:
        port = _DEFAULT_PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    if port != _DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    rest = quote(match["rest"], safe="!$%&'()*+,/:;=?@[]~^|{}\"<>`")
    path = rest if rest.startswith("/") else "/" + rest
    return Target(
        url=f"{scheme}://{shown}{path}",
        head=f"POST {path} HTTP/1.1\r\nHost: {shown}\r\n",
        scheme=scheme,
        host=host,
        port=port,
        address=address,
        authorization=_authorization(userinfo) if userinfo else None,
        place=(scheme, host, port),
        secrets=_secrets_of(path, userinfo),
    )


def _secrets_of(path: str, userinfo: str) -> tuple[bytes, ...]:
    """Path and query together and each alone, and the credentials: as they are sent, read, and written on a page.

    The longest first, and without the slash at the beginning, so that one can still read where a redirect leads. What
    is shorter than a secret could stand in an answer by chance.
    """
    whole = path[1:]
    place, _, query = whole.partition("?")
    found = {whole, place, query, userinfo, userinfo.partition(":")[2]}
    written = {unquote_to_bytes(one) for one in found}
    written |= {text.encode() for one in found for text in (one, escape(one))}
    return tuple(
        sorted((one for one in written if len(one) >= SHORTEST_SECRET), key=len, reverse=True)
    )


def _location(text: str) -> tuple[str, Address | None, int | None]:
    host, port = text, ""
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or ":" not in host or (after and not after.startswith(":")):
            raise _invalid("The IPv6 address in the URL is not valid.")
        port = after[1:]
    elif ":" in text:
        host, _, port = text.partition(":")
    if not host:
        raise _invalid("The URL names no host.")
    try:
        name, address = host_of(host)
    except InvalidHostError as error:
        raise _invalid(f"The host of the URL is not valid: {error}.") from error
    if not port:
        return name, address, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _LAST_PORT):
        raise _invalid("The port of the URL must be a number from 1 to 65535.")
    return name, address, int(port)


def _authorization(userinfo: str) -> str:
    if "@" in userinfo:
        raise _invalid("The URL has more than one @ before its path.")
    user, _, password = userinfo.partition(":")
    credentials = b"%b:%b" % (unquote_to_bytes(user), unquote_to_bytes(password))
    return f"Basic {base64.b64encode(credentials).decode()}"


def host_of(text: str) -> tuple[str, Address | None]:
    """The canonical form of a host name or IP address, and the address if it is one; or InvalidHostError."""
    address = parse(text)
    if address is not None:
        return str(address), address
    if ":" in text:
        raise InvalidHostError("an IPv6 address must be in its plain form, without a zone")
    name = text.lower() if text.isascii() else _to_ascii(text)
    name = name.removesuffix(".")
    address = parse(name)
    if address is not None:
        return str(address), address
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        raise InvalidHostError("an IPv4 address must have four plain decimal numbers")
    if len(name) > _LONGEST_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise InvalidHostError("a name has parts of letters, digits and hyphens")
    return name, None


def _to_ascii(text: str) -> str:
    try:
        return idna.encode(text, uts46=True).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidHostError("it is not a valid international name") from error
