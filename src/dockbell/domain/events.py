"""Events: facts about container images, and what is known about each kind of them."""

import json
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Protocol
from urllib.parse import urlsplit

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.values import value


class Level(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    PRIMARY = "primary"
    WARNING = "warning"
    ERROR = "error"


class EventScope(StrEnum):
    """What an event is about, and so where a notification for it may be made."""

    REPOSITORY = "repository"
    NAMESPACE = "namespace"


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: a namespace, and mostly one of its repositories."""

    namespace: str
    repository: str | None = None  # without the namespace
    is_user: bool = False  # the namespace is a person's

    @property
    def path(self) -> str:
        return (
            self.namespace if self.repository is None else f"{self.namespace}/{self.repository}"
        )


@dataclass(frozen=True, slots=True)
class Performer:
    """Who caused an event (quay-compat 3.4). Shown in messages, never sent in webhook bodies."""

    name: str
    kind: str = "user"  # or "robot"


@value(slots=False)  # the cached properties need a place
class Event:
    """Something happened. `body` is Quay's event_data as JSON, byte for byte as it is sent at each attempt."""

    id: str
    kind: str
    subject: Subject
    body: bytes
    occurred_at: datetime
    performer: Performer | None = None
    facts: Mapping[str, object] = field(
        default_factory=dict
    )  # digest, media type …: not in Quay's body
    producer_key: str | None = None  # a second event with this key is a repeat
    # Bodies in other forms than Quay's, by form or method: many notifications may want the same one.
    made: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def data(self) -> Mapping[str, object]:
        """The body, decoded."""
        # An expunged event has no body.
        decoded: Mapping[str, object] = json.loads(self.body) if self.body else {}
        return decoded


def body_of(
    subject: Subject,
    details: Mapping[str, object],
    links: Links,
    *,
    build_id: str | None = None,
) -> bytes:
    """Quay's event_data: the base fields in Quay's order, then the event's own (quay-compat 3.2).

    Own fields replace base fields of the same name. ASCII-escaped JSON with `, ` and `: ` as Quay sends it.
    """
    base = base_of(subject, links, build_id=build_id)
    return json.dumps({**base, **details}).encode()


def base_of(
    subject: Subject, links: Links, *, build_id: str | None = None
) -> Mapping[str, object]:
    """The fields that every payload begins with, in Quay's order."""
    if subject.repository is None:
        page = links.user if subject.is_user else links.organization  # Quay: FIX W28
        return {"namespace": subject.namespace, "homepage": page(subject.namespace)}
    homepage = links.repository(subject.path)
    return {
        "repository": subject.path,
        "namespace": subject.namespace,
        "name": subject.repository,
        "docker_url": links.docker_url(subject.path),
        "homepage": f"{homepage}/build/{build_id}" if build_id else homepage,
    }


MOST_OF_ADDRESSES = 1024  # bytes by which payloads differ when only the server's address does


def is_same_payload(one: bytes, other: bytes) -> bool:
    """Whether two payloads tell the same, whatever public address the server had when they were made."""
    return one == other or _without_host(one) == _without_host(other)


def _without_host(body: bytes) -> str:
    data: dict[str, object] = json.loads(body)
    data.pop("docker_url", None)
    homepage = data.get("homepage")
    if isinstance(homepage, str):
        data["homepage"] = urlsplit(homepage).path
    return json.dumps(data)  # as text: in Python 1 equals true


class EventKind(Protocol):
    """Everything dockbell knows about one kind of event. One file in `events` each."""

    name: str  # as in the API's "event" field
    title: str  # as people see it
    scope: EventScope
    needs: tuple[str, ...]  # fields of its own that whoever reports one has to send

    def level(self, event: Event) -> Level: ...

    def summary(self, event: Event) -> str:
        """One line, no markup."""
        ...

    def html(self, event: Event, links: Links) -> str:
        """The message as escaped HTML (quay-compat 3.6)."""
        ...

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The event's own fields in what the test button sends (quay-compat 3.3)."""
        ...

    def check(self, event_config: Mapping[str, object]) -> None:
        """Raise ConfigError, naming the field, if a notification may not be saved with this filter."""
        ...

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        """Whether a notification with this filter wants the event. Never raises."""
        ...
