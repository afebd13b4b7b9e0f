"""The address of a database: what may be written, what of it may be shown, and where it leads."""

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

MASK = "********"
# What a PostgreSQL address may say after `?`, as every other client of PostgreSQL spells it.
OPTIONS = (
    "application_name",
    "host",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_DEFAULT_PORT = 5432
_HIGHEST_PORT = 65_535


class AddressError(ValueError):
    """A database address cannot be right; the text says why and shows no password."""


def checked(text: str) -> str:
    """The address as it is used from here on. Raise AddressError."""
    if text.startswith(
        "postgres://"
    ):  # the older spelling that hosting services still hand out
        text = text.replace("postgres", "postgresql", 1)
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "sqlite":
        _check_sqlite(rest)
    elif separator and scheme == "postgresql" and rest:
        _check_postgresql(text)
    else:
        raise AddressError("it begins with neither `postgresql://` nor `sqlite:///`")
    return text


def _check_sqlite(rest: str) -> None:
    path, mark, _ = rest.partition("?")
    if not path.startswith("/") or path == "/":
        raise AddressError("after `sqlite:///` comes the path of a file")
    if path == "/:memory:":
        raise AddressError("a database in memory would forget what it has acknowledged")
    if mark:
        raise AddressError("an SQLite address takes no options after `?`")


def _check_postgresql(text: str) -> None:
    escape = (
        "in a name or password write `@` as %40, `/` as %2F, `:` as %3A, `#` as %23, `?` as %3F"
    )
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise AddressError("it holds a blank or a control character; in a password write %20")
    try:
        parts = urlsplit(text)
        _check_port(parts.port)
    except ValueError as error:
        raise AddressError(
            "its host is not a host, or its port not a number from 1 to 65535; " + escape
        ) from error
    if "@" in parts.netloc.rpartition("@")[0] or "@" in parts.path or "/" in parts.path[1:]:
        raise AddressError(escape)
    if parts.fragment or text.endswith("#"):
        raise AddressError(escape)
    if parts.netloc.endswith(":"):
        raise AddressError("its port is missing after the `:`")
    try:
        options = parse_qsl(
            parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)
        )
    except ValueError as error:
        raise AddressError("after `?` come options like `sslmode=require`") from error
    for name, value in options:
        _check_option(name, value)


def _check_option(name: str, value: str) -> None:
    if name not in OPTIONS:
        raise AddressError(f"the option `{name}` is not known; known are {', '.join(OPTIONS)}")
    if name == "sslmode" and value not in _SSL_MODES:
        raise AddressError(f"sslmode is one of {', '.join(_SSL_MODES)}")
    if name == "port":
        try:
            _check_port(int(value))
        except ValueError as error:
            raise AddressError("the option port is a number from 1 to 65535") from error


def _check_port(port: int | None) -> None:
    if port is not None and not 1 <= port <= _HIGHEST_PORT:
        raise ValueError(port)


def without_password(text: str) -> str:
    """The address as logs and people may see it, also when it is none and wherever the password ended up in it."""
    scheme, separator, rest = text.partition("://") if "://" in text else ("", "", text)
    if scheme == "sqlite":
        return text
    before, at, after = rest.rpartition("@")
    if at:
        user, colon, _ = before.partition(":")
        rest = f"{user}:{MASK}@{after}" if colon else rest
    elif not rest.startswith("["):  # without a host, the password stands where a port would
        rest = re.sub(r"^([^:/?]*):(?!\d*(?:[/?]|$))[^/?]*", rf"\1:{MASK}", rest)
    rest = re.sub(r"([?&][^=&]*pass[^=&]*=)[^&]*", rf"\1{MASK}", rest, flags=re.IGNORECASE)
    return scheme + separator + rest


def servers_of(address: str) -> list[tuple[str, int]]:
    """Hosts and ports where the database listens; none for a file or a socket of the file system."""
    parts: SplitResult = urlsplit(address)
    if parts.scheme != "postgresql":
        return []
    options = dict(parse_qsl(parts.query))
    host = parts.hostname or options.get("host", "localhost")
    port = parts.port or int(options.get("port", _DEFAULT_PORT))
    return [(one, port) for one in host.split(",") if not one.startswith("/")]
