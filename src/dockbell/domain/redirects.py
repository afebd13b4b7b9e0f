"""Where an OAuth answer may go, and how it is written into the address (quay-compat 6.3)."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlencode

from dockbell.domain.urls import web_address


def is_allowed(given: str, registered: str, local: str) -> bool:
    """Whether an application that registered this address may have its answer at that one.

    It may always be the page of this server (`local`). Otherwise it begins with the registered one, on the same host, and
    what follows can lead nowhere else.
    """
    if given == local:
        return True
    wanted, asked = _sendable(registered), _sendable(given)
    if wanted is None or asked is None or not given.startswith(registered):
        return False
    if (wanted.scheme, wanted.netloc) != (asked.scheme, asked.netloc) or "@" in asked.netloc:
        return False
    rest = given.removeprefix(registered)
    return not any(sign in rest for sign in ("..", "@", "%", "#"))


def is_sendable(uri: str) -> bool:
    """Whether a browser can be sent there: a web address in the letters that a header may hold."""
    return _sendable(uri) is not None


def _sendable(uri: str) -> SplitResult | None:
    return web_address(uri) if uri.isascii() else None


def with_query(uri: str, values: Mapping[str, str]) -> str:
    """The address with these values in its query, behind those that it has. A fragment is dropped."""
    plain = uri.partition("#")[0]
    joint = "&" if "?" in plain else "?"
    return f"{plain}{joint}{urlencode(values)}" if values else plain


_PLACE = re.compile(r"[A-Za-z0-9._-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?")


def place_of(uri: str) -> str:
    """Scheme and host of the address, as a content security policy names them; empty if no policy could."""
    parts = _sendable(uri)
    if parts is None or _PLACE.fullmatch(parts.netloc) is None:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def is_own_page(text: str) -> bool:
    """Whether this is an address on this server and nothing that a browser could read as another one."""
    return (
        text.startswith("/")
        and not text.startswith("//")
        and "\\" not in text
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )
