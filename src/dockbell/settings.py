"""Every setting of dockbell: one frozen class, filled from defaults, a file, the environment and flags.

The later beats the earlier. Each value remembers where it came from, and a name that nobody knows is
an error, so that a spelling mistake cannot leave a server running with a default.
"""

import contextlib
import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.mailboxes import Sender
from dockbell.domain.names import is_namespace
from dockbell.domain.product import NAME
from dockbell.domain.quotas import LARGEST
from dockbell.domain.urls import web_address
from dockbell.net.policy import EgressPolicy
from dockbell.net.proxies import Proxy
from dockbell.net.urls import host_of
from dockbell.store import addresses

FILE_NAME = "dockbell.toml"
PREFIX = "DOCKBELL_"
CONFIG_VARIABLE = "DOCKBELL_CONFIG"
MASK = addresses.MASK

# Prefixes of variables that the tests and the build use for themselves.
_FOREIGN_PREFIXES = ("DOCKBELL_TEST_", "DOCKBELL_CI_", "DOCKBELL_IMPORT_")
# Kubernetes describes every service of a namespace to its pods. For a service called `dockbell` that
# gives DOCKBELL_SERVICE_HOST and even DOCKBELL_PORT=tcp://10.0.0.7:8080, which nobody meant for us.
_SERVICE_LINK_NAME = re.compile(
    r"DOCKBELL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)"
)
_SERVICE_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|TiB)?")
_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_HIGHEST_PORT = 65_535
_LONGEST_TITLE = 60
_HIGHEST_CONCURRENCY = 4096
_LEAST_BODY = 1 << 10
_LONGEST_QUEUE = 1_000_000
_MOST_NOTIFICATIONS = 1_000_000
_MOST_TESTS = 100_000
_LONGEST_WAIT = 30 * 24 * 3600
_LONGEST_SEND = 600
_MOST_DAYS = 36_500


class SettingsError(SetupError):
    """A setting is not right."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


# What a value may look like. Each takes what a TOML file can hold, or text; each raises ValueError.


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise ValueError  # noqa: TRY004 -- every reader raises this one, the caller words it
    return given.strip()


def _title(given: object) -> str:
    text = _text(given)
    if not text.isprintable() or not 1 <= len(text) <= _LONGEST_TITLE:
        raise ValueError
    return text


def _host(given: object) -> str:
    text = _text(given).strip("[]")
    if not text or re.search(r"[\s/\x00]", text):
        raise ValueError
    return text


def _folder(given: object) -> Path:
    text = _text(given)
    if not text or "\x00" in text:
        raise ValueError
    return Path(text).expanduser()


def _flag(given: object) -> bool:
    if isinstance(given, bool):
        return given
    word = _text(given).lower()
    if word in {"true", "yes", "on", "1"}:
        return True
    if word in {"false", "no", "off", "0"}:
        return False
    raise ValueError


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(given: object) -> int:
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise ValueError  # noqa: TRY004 -- every reader raises this one, the caller words it
        number = int(given)
        if not least <= number <= most:
            raise ValueError
        return number

    return read


_days = _whole(0, _MOST_DAYS)


def _seconds(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError  # noqa: TRY004 -- every reader raises this one, the caller words it
    return float(given)


def _percent(given: object) -> float:
    number = _seconds(given)
    if not 0 <= number <= 100:  # noqa: PLR2004 -- percent
        raise ValueError
    return number


def _send_timeout(given: object) -> timedelta:
    seconds = _seconds(given)
    if not 0 < seconds <= _LONGEST_SEND:
        raise ValueError
    return timedelta(seconds=seconds)


def _items(given: object) -> list[object]:
    if isinstance(given, list | tuple):
        return list(given)
    return [part.strip() for part in _text(given).split(",") if part.strip()]


def _waits(given: object) -> tuple[timedelta, ...]:
    waits = [
        _seconds(part) for part in (_items(given) if isinstance(given, str | list) else [given])
    ]
    if not all(0 <= seconds <= _LONGEST_WAIT for seconds in waits):
        raise ValueError
    return tuple(timedelta(seconds=seconds) for seconds in waits)


def _allowed(given: object) -> str:
    entry = _text(given).lower()
    if entry in {"private", "loopback"}:
        return entry
    try:
        return str(ipaddress.ip_network(entry))
    except ValueError:
        # Only digits, dots and slashes: meant as an address, so it is no host name either.
        if re.fullmatch(r"[\d./]+", entry):
            raise
    entry = entry.rstrip(".")
    try:
        EgressPolicy.of(entry)  # the guard itself decides which words it takes
    except SetupError as error:
        raise ValueError(error.detail) from error
    return entry


def _allow_list(given: object) -> tuple[str, ...]:
    return tuple(_allowed(entry) for entry in _items(given))


def _names(given: object) -> tuple[str, ...]:
    names = tuple(_text(entry) for entry in _items(given))
    if not all(map(is_namespace, names)):
        raise ValueError
    return names


def _choice(*words: str) -> Callable[[object], str]:
    def read(given: object) -> str:
        word = _text(given).lower()
        if word not in words:
            raise ValueError
        return word

    return read


def _bytes(given: object) -> int:
    match = _SIZE.fullmatch(str(given)) if not isinstance(given, bool) else None
    if match is None:
        raise ValueError
    return int(match[1]) * _SIZE_UNITS[match[2] or "B"]


def _size(given: object) -> int:
    size = _bytes(given)
    if size < _LEAST_BODY:
        raise ValueError
    return size


def _quota(given: object) -> int:
    size = _bytes(given)
    if size > LARGEST:
        raise ValueError
    return size


def _public_url(given: object) -> str:
    text = _text(given)
    if not text:
        return ""
    parts = urlsplit(text)
    _ = parts.port  # raises for a port that is no number
    rest = (parts.path.rstrip("/"), parts.query, parts.fragment, parts.username)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(rest):
        raise ValueError
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _base_url(given: object) -> str:
    text = _text(given).rstrip("/")
    parts = urlsplit(text)
    if text and (web_address(text) is None or parts.query or parts.fragment):
        raise ValueError
    return text


def _blob_store(given: object) -> str:
    text = _text(given)
    parts = urlsplit(text)
    if text and (
        parts.scheme not in {"s3", "gs", "az"}
        or not parts.netloc
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise ValueError
    return text.rstrip("/")


def _egress_proxy(given: object) -> str:
    text = _text(given)
    if text:
        Proxy.of(text)
    return text


def _smtp_host(given: object) -> str:
    text = _text(given).strip("[]")
    return host_of(text)[0] if text else ""


def _mail_from(given: object) -> str:
    text = _text(given)
    if text:
        Sender.of(text)
    return text


def _database_url(given: object) -> str:
    text = _text(given)
    return addresses.checked(text) if text else ""


def _shown(value: object) -> object:
    """A value as JSON and TOML can hold it, and as a file may say it again."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, tuple):
        return [_shown(part) for part in value]
    return value


@dataclass(frozen=True, slots=True)
class Rule:
    """How one setting is read and explained."""

    about: str
    read: Callable[[object], object]
    expected: str
    is_secret: bool = False


_RETRY_WAITS = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)

RULES: Mapping[str, Rule] = {
    "host": Rule("The address to listen on.", _host, "a host name or an address"),
    "port": Rule(
        "The port to listen on; 0 takes any free one.",
        _whole(0, _HIGHEST_PORT),
        "a whole number from 0 to 65535",
    ),
    "data": Rule(
        "The folder for the SQLite database, the blobs and the secret key. It is made if it is missing.",
        _folder,
        "the path of a folder",
    ),
    "database_url": Rule(
        "The database. Empty means SQLite in the data folder.",
        _database_url,
        "`postgresql://user@host/name` or `sqlite:///path`",
    ),
    "public_url": Rule(
        "Scheme and host under which clients reach this server: the start of every link and of the token "
        "realm. Empty means `http://host:port`.",
        _public_url,
        "`https://host` or `http://host:port`, without a path",
    ),
    "registry_title": Rule(
        "What people call this server: it stands in the subjects of mails to verify an address and to owners of notifications, and Quay's web "
        "interface shows it.",
        _title,
        "a line of 1 to 60 characters",
    ),
    "egress_allow": Rule(
        "Targets that are not public and may be reached all the same: addresses, networks, host names, "
        "and the words `private` and `loopback`.",
        _allow_list,
        "a list of addresses, networks like `10.1.0.0/16`, host names, `*.example.org`, `private` or `loopback`",
    ),
    "egress_proxy": Rule(
        "An HTTP proxy that all tries over HTTP go through. Proxies in the environment are never used.",
        _egress_proxy,
        "`http://host:port` or `http://user:password@host:port`",
        is_secret=True,
    ),
    "blob_store": Rule(
        "Where blobs lie: an object store, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`. Empty means "
        "the data folder. Uploads under way stay in the data folder.",
        _blob_store,
        "`s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`",
    ),
    "blob_store_endpoint": Rule(
        "The address of an object store that is not the public one of its kind.",
        _base_url,
        "`https://host` or `http://host:port`",
    ),
    "blob_store_region": Rule(
        "The region of an S3 bucket. Empty means `us-east-1`.", _text, "the name of a region"
    ),
    "blob_store_access_key": Rule(
        "As whom we come to the object store: an access key id, for Azure the name of the account.",
        _text,
        "a name",
    ),
    "blob_store_secret_key": Rule(
        "The secret that goes with it; for Google the service account's key, a JSON document.",
        _text,
        "a secret",
        is_secret=True,
    ),
    "user_initialize": Rule(
        "Whether `POST /api/v1/user/initialize` makes the first user without a set-up token, as Quay does.",
        _flag,
        "true or false",
    ),
    "user_creation": Rule(
        "Whether people may make accounts for themselves. Where mail is sent, they verify their e-mail address first.",
        _flag,
        "true or false",
    ),
    "require_team_invite": Rule(
        "Whether a user who is added to a team has to agree first.", _flag, "true or false"
    ),
    "superusers": Rule(
        "User names of superusers, besides those who are made one at the command line. They manage all users, "
        "organizations and messages, and read all logs.",
        _names,
        "a list of user names",
    ),
    "readonly_superusers": Rule(
        "User names of people who see what administrators and superusers see, anywhere, and can change none of it.",
        _names,
        "a list of user names",
    ),
    "superusers_full_access": Rule(
        "Whether superusers also administer every organization and repository, as if it were theirs.",
        _flag,
        "true or false",
    ),
    "anonymous_access": Rule(
        "Whether those who are not signed in may pull and see what is public. Without it they may sign in, and no more.",
        _flag,
        "true or false",
    ),
    "default_quota": Rule(
        "How much each organization and each user without a quota of their own may store, in bytes or with a unit (`100GiB`): pushes beyond it are "
        "refused. 0 is no end.",
        _quota,
        "a size like `1073741824`, `100GiB` or `1TiB`, or 0",
    ),
    "registry_state": Rule(
        "`readonly` while nothing is to change: pulls go on and what happened is still delivered, but pushes and every other change are refused, "
        "and no mirror, expiry or clean-up runs.",
        _choice("normal", "readonly"),
        "`normal` or `readonly`",
    ),
    "internal_answers": Rule(
        "Who sees what a target answered whose address is not public: `admins` is whoever may see the delivery, `superusers` only "
        "superusers and readonly ones. Status, code and advice are for all.",
        _choice("admins", "superusers"),
        "`admins` or `superusers`",
    ),
    "engine": Rule(
        "Whether `serve` also delivers. Turn it off when `dockbell worker` does that on PostgreSQL.",
        _flag,
        "true or false",
    ),
    "concurrency": Rule(
        "How many deliveries one process sends at the same time.",
        _whole(1, _HIGHEST_CONCURRENCY),
        "a whole number from 1 to 4096",
    ),
    "host_concurrency": Rule(
        "How many of these go to one host (name and port), whatever their notifications; tests go out beside them. 0 is as many as there are.",
        _whole(0, _HIGHEST_CONCURRENCY),
        "a whole number from 0 to 4096",
    ),
    "retry_waits": Rule(
        "Seconds to wait after the first, second … failed try of a delivery. After the last it is dead.",
        _waits,
        "a list of seconds, each from 0 to 2592000 (30 days)",
    ),
    "ca_file": Rule(
        "A file with the certificate authorities (PEM) that targets are checked against, for targets with certificates of "
        "your own. Empty means the public ones that come with dockbell.",
        _text,
        "the path of a PEM file",
    ),
    "send_timeout": Rule(
        "Seconds that one try may take, from the name look-up to the end of the answer.",
        _send_timeout,
        "seconds above 0, at most 600",
    ),
    "smtp_host": Rule(
        "The mail server that sends our mail: a name or an address. Empty means that no mail is sent.",
        _smtp_host,
        "a host name or an address, without a port",
    ),
    "smtp_port": Rule(
        "The port of the mail server; mostly 587 for `starttls`, 465 for `tls`, 25 for `none`.",
        _whole(1, _HIGHEST_PORT),
        "a whole number from 1 to 65535",
    ),
    "smtp_tls": Rule(
        "How the way to the mail server is encrypted: `starttls` after the greeting, `tls` from the first byte, "
        "or `none`.",
        _choice("starttls", "tls", "none"),
        "`starttls`, `tls` or `none`",
    ),
    "smtp_username": Rule(
        "The name to log in to the mail server with. Empty means no login.",
        _text,
        "a name",
    ),
    "smtp_password": Rule(
        "The password to log in to the mail server with.",
        _text,
        "a password",
        is_secret=True,
    ),
    "mail_from": Rule(
        "Whom our mail comes from. It must be set where `smtp_host` is.",
        _mail_from,
        "an address like `bell@example.org` or `dockbell <bell@example.org>`",
    ),
    "flowdock_url": Rule(
        "Where messages of the method `flowdock` go, since the service is gone: scheme and host of something that takes "
        "them. Empty means nowhere.",
        _base_url,
        "`https://host` or `https://host/path`",
    ),
    "hipchat_url": Rule(
        "The same for the method `hipchat`.",
        _base_url,
        "`https://host` or `https://host/path`",
    ),
    "clair_url": Rule(
        "The Clair v4 whose calls to `/secscan/notification` are taken, and that is asked about what is pushed: scheme and host. Empty means none.",
        _base_url,
        "`https://host` or `https://host/path`",
    ),
    "clair_index": Rule(
        "Whether the Clair of `clair_url` is asked to index each image that is pushed, and what it finds is taken as a report.",
        _flag,
        "true or false",
    ),
    "clair_psk": Rule(
        "The key that Clair and we share, in base64 as in Clair's `auth.psk.key`. Empty means none.",
        _text,
        "a key in base64",
        is_secret=True,
    ),
    "most_notifications": Rule(
        "How many notifications of its own a repository, a namespace or the server itself may have.",
        _whole(1, _MOST_NOTIFICATIONS),
        "a whole number from 1 to 1000000",
    ),
    "tests_per_minute": Rule(
        "How many test messages one user may ask for in a minute, in each namespace: a test tells whether something "
        "answers. 0 is no limit.",
        _whole(0, _MOST_TESTS),
        "a whole number from 0 to 100000",
    ),
    "max_api_body": Rule(
        "The largest body of an API request, in bytes or with a unit (`512KiB`, `1MiB`).",
        _size,
        "a size of at least 1KiB, like `1048576` or `1MiB`",
    ),
    "max_intake_body": Rule(
        "The largest body of a request that reports events, in bytes or with a unit.",
        _size,
        "a size of at least 1KiB, like `4194304` or `4MiB`",
    ),
    "intake_queue": Rule(
        "How many reported events may wait to be written at once. Who sends more is asked to come back later.",
        _whole(1000, _LONGEST_QUEUE),
        "a whole number from 1000 to 1000000",
    ),
    "secret_key": Rule(
        "The key that encrypts secrets at rest, from `dockbell keys new`. "
        "Empty means the file `secret.key` in the data folder, made on the first start. "
        "While one key replaces another it holds both, the new one first, with a comma between.",
        _text,
        "a key from `dockbell keys new`",
        is_secret=True,
    ),
    "pull_events": Rule(
        "Of how many of a hundred pulls a `repo_pull` is made, where a notification wants it. 0 makes none.",
        _percent,
        "a number from 0 to 100",
    ),
    "keep_attempts": Rule(
        "Days for which each try of a delivery is kept. 0 keeps them as long as their delivery.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "keep_events": Rule(
        "Days for which events and their deliveries are kept. An event with a delivery that is not final is never "
        "deleted. 0 keeps them for good.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "keep_notices": Rule(
        "Days for which lines in the in-app inboxes are kept. 0 keeps them for good.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "keep_audit_entries": Rule(
        "Days for which it is kept who changed what. 0 keeps it for good.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "keep_deleted_tags": Rule(
        "Days for which a deleted, moved or expired tag can be restored, and a manifest without tags stays. 0 keeps both for "
        "good. Quay calls it the time machine.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "keep_tokens": Rule(
        "Days for which access tokens that have ended are kept. 0 keeps them for good.",
        _days,
        "a whole number of days from 0 to 36500",
    ),
    "metrics": Rule(
        "Who may read `/metrics`: `local` is this machine, past no proxy; `open` is everybody; `off` is nobody.",
        _choice("local", "open", "off"),
        "`local`, `open` or `off`",
    ),
    "metrics_token": Rule(
        "If it is set, `/metrics` is read with this bearer token, from anywhere, and not without.",
        _text,
        "a text that is hard to guess",
        is_secret=True,
    ),
    "log_format": Rule(
        "How log lines look: `console` for people, `json` for machines.",
        _choice("console", "json"),
        "`console` or `json`",
    ),
    "log_level": Rule(
        "The least important lines that are still logged.",
        _choice("debug", "info", "warning", "error"),
        "`debug`, `info`, `warning` or `error`",
    ),
}

# A secret may stand in a file of its own: DOCKBELL_SECRET_KEY_FILE=/run/secrets/dockbell.
FILE_VARIABLES: Mapping[str, str] = {
    f"{PREFIX}{name.upper()}_FILE": name
    for name in (
        "database_url",
        "egress_proxy",
        "smtp_password",
        "clair_psk",
        "secret_key",
        "metrics_token",
        "blob_store_secret_key",
    )
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `config show`."""

    name: str
    value: object
    origin: str
    about: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked; RULES says what each means. Read only by the composition root and the command line."""

    host: str = "127.0.0.1"
    port: int = 8080
    data: Path = Path("dockbell-data")
    database_url: str = field(default="", repr=False)
    public_url: str = ""
    registry_title: str = NAME
    egress_allow: tuple[str, ...] = ()
    egress_proxy: str = field(default="", repr=False)
    blob_store: str = ""
    blob_store_endpoint: str = ""
    blob_store_region: str = ""
    blob_store_access_key: str = ""
    blob_store_secret_key: str = field(default="", repr=False)
    user_initialize: bool = False
    user_creation: bool = False
    require_team_invite: bool = True
    superusers: tuple[str, ...] = ()
    readonly_superusers: tuple[str, ...] = ()
    superusers_full_access: bool = False
    anonymous_access: bool = True
    default_quota: int = 0
    registry_state: str = "normal"
    internal_answers: str = "admins"
    engine: bool = True
    concurrency: int = 256
    host_concurrency: int = 0
    retry_waits: tuple[timedelta, ...] = tuple(timedelta(seconds=one) for one in _RETRY_WAITS)
    ca_file: str = ""
    send_timeout: timedelta = timedelta(seconds=10)
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_tls: str = "starttls"
    smtp_username: str = ""
    smtp_password: str = field(default="", repr=False)
    mail_from: str = ""
    flowdock_url: str = ""
    hipchat_url: str = ""
    clair_url: str = ""
    clair_index: bool = True
    clair_psk: str = field(default="", repr=False)
    most_notifications: int = 10_000
    tests_per_minute: int = 120
    max_api_body: int = 1 << 20
    max_intake_body: int = 4 << 20
    intake_queue: int = 10_000
    secret_key: str = field(default="", repr=False)
    pull_events: float = 0.0
    keep_attempts: int = 30
    keep_events: int = 30
    keep_notices: int = 90
    keep_audit_entries: int = 365
    keep_deleted_tags: int = 14
    keep_tokens: int = 30
    metrics: str = "local"
    metrics_token: str = field(default="", repr=False)
    log_format: str = "console"
    log_level: str = "info"
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def load(
        cls,
        *,
        environment: Mapping[str, str],
        folder: Path,
        flags: Mapping[str, object] | None = None,
        file: Path | None = None,
    ) -> Self:
        """Read every source; raise SettingsError with all that is wrong, not only the first.

        `folder` is where relative paths start and `dockbell.toml` is looked for, then the data folder.
        A flag that is None was not given. `file` is that of `--config` and must exist.
        """
        problems: list[str] = []
        spoken = _from_environment(environment, problems)
        given = {name: value for name, value in (flags or {}).items() if value is not None}
        spoken.update(
            {name: (value, f"--{name.replace('_', '-')}") for name, value in given.items()}
        )
        data, _ = spoken.get("data", (Settings().data, ""))
        path = _find_file(file, environment, folder, data)
        if path is not None:
            spoken = {**_from_file(path, folder, problems), **spoken}
        values: dict[str, Any] = {}
        for name, (value, origin) in spoken.items():
            rule = RULES[name]
            try:
                values[name] = rule.read(value)
            except (ValueError, OverflowError) as error:
                problems.append(_complaint(name, value, origin, error))
        if problems:
            raise SettingsError(problems)
        made = cls(**values, origins={name: origin for name, (_, origin) in spoken.items()})
        if made.mail_problem is not None:
            raise SettingsError([made.mail_problem])
        return made

    @property
    def database_address(self) -> str:
        """The database to open, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'dockbell.db'}"

    @property
    def is_sqlite(self) -> bool:
        return self.database_address.startswith("sqlite:")

    @property
    def sqlite_file(self) -> Path | None:
        """The file of the SQLite database; None on PostgreSQL."""
        if not self.is_sqlite:
            return None
        return Path(self.database_address.removeprefix("sqlite:///")).absolute()

    @property
    def public_address(self) -> str:
        """Scheme and host for links, with the default filled in."""
        if self.public_url:
            return self.public_url
        host = {"0.0.0.0": "localhost", "::": "localhost", "": "localhost"}.get(  # noqa: S104 -- compared
            self.host, self.host
        )
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def mail_problem(self) -> str | None:
        """Why the settings of mail do not go together, if they do not."""
        if self.smtp_host and not self.mail_from:
            return "smtp_host is set, but not mail_from: nobody would know whom our mail comes from."
        if self.smtp_password and not self.smtp_username:
            return (
                "smtp_password is set, but not smtp_username: there is no login without a name."
            )
        return None

    def rows(self) -> list[Row]:
        """Every setting with its value, as it may be shown, and where that came from."""
        return [
            Row(name, self._masked(name, rule), self.origins.get(name, "default"), rule.about)
            for name, rule in RULES.items()
        ]

    def _masked(self, name: str, rule: Rule) -> object:
        value = _shown(getattr(self, name))
        if rule.is_secret and value:
            return MASK
        return addresses.without_password(str(value)) if name == "database_url" else value


_Spoken = dict[str, tuple[object, str]]  # setting → what was said, and where


def _from_environment(environment: Mapping[str, str], problems: list[str]) -> _Spoken:
    spoken: _Spoken = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(PREFIX) or _is_foreign(variable, value) or not value:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in RULES:
            spoken[name] = (value, variable)
        elif variable in FILE_VARIABLES:
            _read_secret(variable, value, environment, spoken, problems)
        else:
            names = [PREFIX + one.upper() for one in RULES]
            problems.append(
                f"The environment variable {variable} is not known."
                + _nearest(variable, [*names, *FILE_VARIABLES, CONFIG_VARIABLE])
            )
    return spoken


def _is_foreign(variable: str, value: str) -> bool:
    return (
        variable == CONFIG_VARIABLE
        or variable.startswith(_FOREIGN_PREFIXES)
        or _SERVICE_LINK_NAME.fullmatch(variable) is not None
        or (variable.endswith("_PORT") and _SERVICE_LINK_VALUE.match(value) is not None)
    )


def _read_secret(
    variable: str,
    path: str,
    environment: Mapping[str, str],
    spoken: _Spoken,
    problems: list[str],
) -> None:
    name = FILE_VARIABLES[variable]
    plain = PREFIX + name.upper()
    if environment.get(plain):
        problems.append(f"{plain} and {variable} are both set. Keep one of them.")
        return
    try:
        spoken[name] = (Path(path).read_text(encoding="utf-8").strip(), variable)
    except (OSError, ValueError) as error:
        problems.append(
            f"{variable} names the file {path}, which cannot be read: {_why(error)}."
        )


def _find_file(
    named: Path | None, environment: Mapping[str, str], folder: Path, data: object
) -> Path | None:
    """The settings file: the one that is named, else that of the current folder, else that of the data folder."""
    variable = environment.get(CONFIG_VARIABLE)
    if named is not None or variable:
        return folder / (named or Path(str(variable))).expanduser()
    # A current folder that may not be entered is where `sudo` happened to be called; nobody meant a file there.
    with contextlib.suppress(PermissionError):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    path = folder / Path(str(data)).expanduser() / FILE_NAME
    with contextlib.suppress(
        OSError
    ):  # a folder that may not be entered, a name that is too long
        return path if path.is_file() else None
    return path  # may be there; reading it tells why that cannot be


def _from_file(path: Path, folder: Path, problems: list[str]) -> _Spoken:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path} is not valid TOML: {error}.")
        return {}
    except (OSError, ValueError) as error:
        problems.append(f"The settings file {path} cannot be read: {_why(error)}.")
        return {}
    spoken: _Spoken = {}
    for name, value in content.items():
        if name in RULES:
            spoken[name] = (value, str(path))
        else:
            problems.append(
                f"{path} holds the unknown setting `{name}`." + _nearest(name, list(RULES))
            )
    data = spoken.get("data")
    if data is not None and isinstance(data[0], str) and path.parent != folder:
        # A path in a file means the same from wherever the server is started.
        spoken["data"] = (str(path.parent / Path(data[0]).expanduser()), str(path))
    return spoken


def _complaint(name: str, value: object, origin: str, error: Exception) -> str:
    return (
        f"{name}: {spoken_of(name, value)} from {origin} is not right{expectation(name, error)}"
    )


def spoken_of(name: str, value: object) -> str:
    """A value that is not right, as a message may show it."""
    if RULES[name].is_secret:
        return "the value (not shown)"
    return f"`{addresses.without_password(str(value)) if name == 'database_url' else value}`"


def expectation(name: str, error: Exception) -> str:
    """The end of the sentence `… is not right`: why, if the reader knows more, and what would be."""
    why = f": {error}" if isinstance(error, addresses.AddressError) else ""
    return f"{why}. Expected {RULES[name].expected}."


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return (
        f" Did you mean `{close[0]}`?" if close else " `dockbell config show` lists all names."
    )


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
