"""Mirrors: repositories that are kept as another registry has them, and what their events share (quay-compat 3.3)."""

import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Protocol, Self

from dockbell.domain import markup
from dockbell.domain.digests import Digest
from dockbell.domain.errors import DockbellError, InvalidRequestError
from dockbell.domain.events import Event
from dockbell.domain.globs import Glob, compile_glob
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.manifests import Reference
from dockbell.domain.names import is_repository
from dockbell.domain.patterns import PatternError
from dockbell.domain.payloads import one_line, text_of

MOST_TRIES = 3  # Quay: so many in a row, then it waits for the next time
LONGEST_SYNC = timedelta(hours=12)
SHORTEST_TIMEOUT = timedelta(seconds=300)  # of one tag; Quay's bounds
_LONGEST_TIMEOUT = timedelta(hours=12)
_LONGEST_INTERVAL = timedelta(days=10 * 365)
MOST_GLOBS = 100
MOST_TAGS = 100_000
# What is waited before a sync that failed is tried again.
_WAITS = (timedelta(minutes=1), timedelta(minutes=5))

_HUB, _HUB_API = "docker.io", "registry-1.docker.io"
_LONGEST_REFERENCE = 1024
_MOST_ARCHITECTURES = 32
_PROXY_KEYS = ("http_proxy", "https_proxy", "no_proxy")
_LONGEST_PROXY = 2048


class MirrorStatus(StrEnum):
    """Where a mirror stands, in Quay's words."""

    NEVER_RUN = "NEVER_RUN"
    SYNC_NOW = "SYNC_NOW"
    SYNCING = "SYNCING"
    SUCCESS = "SUCCESS"
    FAIL = "FAIL"
    CANCEL = "CANCEL"


@dataclass(frozen=True, slots=True)
class Origin:
    """The repository that a mirror is of."""

    host: str  # with its port, if it has one
    path: str


@dataclass(frozen=True, slots=True)
class Mirror:
    """How one repository is mirrored, and how that goes. No secret of it is in its `repr`."""

    repository_id: str
    is_enabled: bool
    reference: str  # as it was given: `quay.io/acme/web`
    username: str | None
    # Quay's `external_registry_config`, as it was given; a proxy in it may have a password.
    registry_config: dict[str, object] = field(repr=False)
    robot: str | None  # its full name; None when it is gone
    globs: tuple[str, ...]
    interval: timedelta
    start_at: datetime | None
    timeout: timedelta  # for one tag
    architectures: tuple[str, ...] = ()  # that are copied of images for several; none: all
    status: MirrorStatus = MirrorStatus.NEVER_RUN
    tries_left: int = MOST_TRIES
    leased_until: datetime | None = None

    @property
    def verifies_tls(self) -> bool:
        return self.registry_config.get("verify_tls", True) is not False

    @property
    def proxy(self) -> "OwnProxy | None":
        found = self.registry_config.get("proxy")
        return (
            OwnProxy.of(found) if isinstance(found, Mapping) and any(found.values()) else None
        )

    def takes(self, platform: str | None) -> bool:
        """Whether what an index lists for this platform (`linux/arm64/v8`) is copied."""
        if not self.architectures:
            return True
        # Quay: what names no architecture, such as an attestation, is left out. Pinned by integration/test_mirrors.py.
        return platform is not None and platform.split("/")[1] in self.architectures

    @property
    def said(self) -> str:
        """What every event of it says. Quay's words."""
        return f"'{self.reference}' with tag pattern '{','.join(self.globs)}'"


@dataclass(frozen=True, slots=True)
class SyncJob:
    """One sync that this process alone works on, as long as it renews the lease."""

    mirror: Mirror
    path: str
    lease: str
    password: str | None = field(repr=False)


def origin_of(reference: str) -> Origin:
    """The host and repository of a reference as docker writes it; InvalidRequestError if it is none.

    A first part without a dot or a port is no host but a repository of Docker Hub.
    """
    host, slash, path = reference.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = _HUB, reference
    if host in {_HUB, "index.docker.io"}:
        host, path = _HUB_API, path if "/" in path else f"library/{path}"
    is_host = re.fullmatch(r"[A-Za-z0-9._\-\[\]:]+", host) is not None
    if len(reference) > _LONGEST_REFERENCE or not is_host or not is_repository(path):
        raise InvalidRequestError(
            f"`{reference[:200]}` is no location of a repository. Write it as quay.io/acme/web, without a tag"
        )
    return Origin(host.lower(), path)


def globs_of(texts: Sequence[str]) -> tuple[Glob, ...]:
    """The checked globs; InvalidRequestError names the one that is none."""
    # Quay: these words. Pinned by compat/test_mirrors.py.
    if not texts:
        raise InvalidRequestError(
            "validation failed: rule_value for TAG_GLOB_CSV must be a list with at least one rule"
        )
    if len(texts) > MOST_GLOBS:
        raise InvalidRequestError(f"At most {MOST_GLOBS} tag patterns are taken")
    found = []
    for text in texts:
        try:
            found.append(compile_glob(text))
        except PatternError as error:
            raise InvalidRequestError(
                f"The tag pattern `{text[:200]}` is not right: {error}"
            ) from error
    return tuple(found)


def interval_of(seconds: int) -> timedelta:
    """The time from one sync to the next; InvalidRequestError if it is too short or too long."""
    most = _LONGEST_INTERVAL // timedelta(seconds=1)
    if not 1 <= seconds <= most:
        raise InvalidRequestError(f"`sync_interval` must be from 1 to {most} seconds")
    return timedelta(seconds=seconds)


def timeout_of(seconds: int) -> timedelta:
    """The time that one tag may take; InvalidRequestError outside of Quay's bounds."""
    least, most = (one // timedelta(seconds=1) for one in (SHORTEST_TIMEOUT, _LONGEST_TIMEOUT))
    if not least <= seconds <= most:
        raise InvalidRequestError(
            f"`skopeo_timeout_interval` must be from {least} to {most} seconds"
        )
    return timedelta(seconds=seconds)


def architectures_of(given: Sequence[object] | None) -> tuple[str, ...]:
    """The checked names of architectures, each once; none if all are wanted."""
    found = dict.fromkeys(given or ())
    for one in found:
        if not isinstance(one, str) or re.fullmatch(r"[a-z0-9_]{1,32}", one) is None:
            raise InvalidRequestError(
                "`architecture_filter` must be a list of architectures, as in ['amd64', 'arm64']"
            )
    if len(found) > _MOST_ARCHITECTURES:
        raise InvalidRequestError(f"At most {_MOST_ARCHITECTURES} architectures are taken")
    return tuple(map(str, found))


@dataclass(frozen=True, slots=True)
class OwnProxy:
    """The proxy of one mirror, named as a client's environment would name it."""

    http: str | None = field(default=None, repr=False)
    https: str | None = field(default=None, repr=False)
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Self:
        http, https, no_proxy = (str(config.get(key) or "") for key in _PROXY_KEYS)
        return cls(
            _with_scheme(http),
            _with_scheme(https),
            tuple(part for one in no_proxy.split(",") if (part := one.strip().lower())),
        )

    @property
    def urls(self) -> Mapping[str, str]:
        """What is set, by Quay's keys."""
        pairs = zip(_PROXY_KEYS, (self.http, self.https), strict=False)
        return {key: url for key, url in pairs if url is not None}

    def url_for(self, scheme: str, host: str, port: int) -> str | None:
        """Through which proxy a request goes there; None if it goes by itself."""
        if any(_is_excepted(one, host, port) for one in self.exceptions):
            return None
        return self.https if scheme == "https" else self.http


def _with_scheme(url: str) -> str | None:
    return (url if "://" in url else f"http://{url}") if url else None


def _is_excepted(exception: str, host: str, port: int) -> bool:
    """Whether one part of `no_proxy` means this place: `*`, a network, a host with all below it, or `.all-below-it`."""
    if exception == "*":
        return True
    name, colon, wanted = exception.rpartition(":")
    if colon and wanted.isdecimal() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        exception = name
    with contextlib.suppress(ValueError):
        return ip_address(host) in ip_network(exception.strip("[]"), strict=False)
    if exception.startswith("."):
        return host.endswith(exception)
    return host == exception or host.endswith(f".{exception}")


def masked_config(config: Mapping[str, object]) -> dict[str, object]:
    """The same, for records and lists, without the names and passwords in proxies' addresses."""
    proxy = config.get("proxy")
    if not isinstance(proxy, Mapping):
        return dict(config)
    shown = {
        key: re.sub(r"^([^/]*//)?.*@", r"\1********@", url) if isinstance(url, str) else url
        for key, url in proxy.items()
    }
    return {**config, "proxy": shown}


def merged_config(
    known: Mapping[str, object], given: Mapping[str, object]
) -> dict[str, object]:
    """Quay's three settings; what is given is merged into what is there."""
    merged = dict(known)
    for key in ("verify_tls", "unsigned_images"):
        if key in given:
            if not isinstance(given[key], bool):
                raise InvalidRequestError(f"`external_registry_config.{key}` must be a boolean")
            merged[key] = given[key]
    if "proxy" in given:
        before = known.get("proxy")
        merged["proxy"] = {
            **(before if isinstance(before, Mapping) else {}),
            **_checked_proxy(given["proxy"]),
        }
    return merged


def _checked_proxy(given: object) -> dict[str, object]:
    if not isinstance(given, Mapping):
        raise InvalidRequestError("`external_registry_config.proxy` must be an object")
    found = {key: given[key] for key in _PROXY_KEYS if key in given}
    for key, value in found.items():
        if not isinstance(value, str | None) or len(value or "") > _LONGEST_PROXY:
            raise InvalidRequestError(
                f"`external_registry_config.proxy.{key}` must be a string of at most {_LONGEST_PROXY} characters, or null"
            )
    return found


def next_start(start_at: datetime, interval: timedelta, now: datetime) -> datetime:
    """The first time after now at which a mirror is due that began then."""
    if start_at > now:
        return start_at
    return start_at + ((now - start_at) // interval + 1) * interval


def wait_after_failure(tries_left: int) -> timedelta:
    """How long to wait before the next try."""
    return _WAITS[min(len(_WAITS) - 1, max(0, MOST_TRIES - 1 - tries_left))]


def summary(what: str, event: Event) -> str:
    return one_line(f"Repository Mirror {what} for {text_of(event.data, 'message')}")


def html(event: Event, links: Links) -> str:
    parts = (
        markup.performer(event.performer),
        markup.escaped(text_of(event.data, "message")),
    )
    said = " ".join(part for part in parts if part)
    return said or f"Repository {markup.repository(event, links)}"


class UpstreamError(DockbellError):
    """The other registry does not give what was asked for. `may_pass` if trying again may help."""

    def __init__(self, detail: str, *, may_pass: bool = False) -> None:
        super().__init__(detail)
        self.may_pass = may_pass


class Upstream(Protocol):
    """The other registry's repository, as a sync reads it. Every function may raise UpstreamError."""

    async def tags(self) -> list[str]: ...

    async def digest_of(self, tag: str) -> str | None:
        """The digest that a tag points to there, if that can be had cheaply."""
        ...

    async def manifest(self, reference: Reference) -> tuple[bytes, str | None]:
        """A manifest's bytes, of a size that is taken here, and the type they were sent as."""
        ...

    def blob(
        self, digest: Digest, start: int
    ) -> AbstractAsyncContextManager[tuple[int, AsyncIterator[bytes]]]:
        """The blob's bytes from `start` on, or from 0, and which of the two. Their digest is not checked."""
        ...


class Upstreams(Protocol):
    """The way to other registries, behind the address guard."""

    def open(self, mirror: Mirror, password: str | None) -> Upstream: ...
