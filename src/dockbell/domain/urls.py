"""What can be known of a target's URL without asking the network."""

from urllib.parse import SplitResult, urlsplit

LONGEST_URL = 8192
_LOOPBACK = {"localhost", "127.0.0.1"}


def web_address(url: object) -> SplitResult | None:
    """The parts of an http or https URL with a host, or None for anything else.

    White space, control characters and backslashes are refused: parsers differ on what they mean.
    """
    if not isinstance(url, str) or not 0 < len(url) <= LONGEST_URL:
        return None
    if "\\" in url or not url.isprintable() or any(letter.isspace() for letter in url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return None
    return parts


def names_loopback(parts: SplitResult) -> bool:
    """Whether the host is one of the two names that Quay refuses by their letters."""
    return parts.hostname in _LOOPBACK


_PORTS = {"http": 80, "https": 443}


def host_of(url: object) -> str | None:
    """`name:port` of an http or https URL, or None for anything else."""
    parts = web_address(url)
    if parts is None or parts.hostname is None:
        return None
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def shown(parts: SplitResult) -> str:
    """Scheme, host and port. Credentials are masked; path and query, which may hold a token, are left out."""
    credentials, at, place = parts.netloc.rpartition("@")
    del credentials
    rest = "/…" if parts.path.strip("/") or parts.query or parts.fragment else "/"
    return f"{parts.scheme}://{'***@' if at else ''}{place}{rest}"
