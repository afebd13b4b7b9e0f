"""Mirrors: repositories that are kept as another registry has them, and what their events share (quay-compat 3.3)."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from dockbell.domain import markup
from dockbell.domain.digests import Digest
from dockbell.domain.errors import DockbellError, InvalidRequestError
from dockbell.domain.events import Event
from dockbell.domain.globs import Glob, compile_glob
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
    """How one repository is mirrored, and how that goes. It holds no secret."""

    repository_id: str
    is_enabled: bool
    reference: str  # as it was given: `quay.io/acme/web`
    username: str | None
    registry_config: dict[str, object]  # Quay's `external_registry_config`, as it was given
    robot: str | None  # its full name; None when it is gone
    globs: tuple[str, ...]
    interval: timedelta
    start_at: datetime | None
    timeout: timedelta  # for one tag
    status: MirrorStatus = MirrorStatus.NEVER_RUN
    tries_left: int = MOST_TRIES
    leased_until: datetime | None = None

    @property
    def verifies_tls(self) -> bool:
        return self.registry_config.get("verify_tls", True) is not False

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


def merged_config(
    known: Mapping[str, object], given: Mapping[str, object]
) -> dict[str, object]:
    """Quay's three settings; what is given is merged into what is there. A way out of its own has no mirror here."""
    merged = dict(known)
    for key in ("verify_tls", "unsigned_images"):
        if key in given:
            if not isinstance(given[key], bool):
                raise InvalidRequestError(f"`external_registry_config.{key}` must be a boolean")
            merged[key] = given[key]
    if "proxy" in given:
        proxy = given["proxy"]
        if not isinstance(proxy, dict) or any(proxy.values()):
            raise InvalidRequestError(
                "A mirror has no proxy of its own here: an operator sets `egress_proxy` for all that leaves"
            )
        merged["proxy"] = {
            key: None for key in ("http_proxy", "https_proxy", "no_proxy") if key in proxy
        }
    return merged


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

    def open(
        self, origin: Origin, username: str | None, password: str | None, *, verifies_tls: bool
    ) -> Upstream: ...
