"""Builds as build systems report them: their states, and what a report changes."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from dockbell.domain.events import Performer
from dockbell.domain.late_dataclasses import dataclass

TRIGGER_KEYS = ("default_branch", "ref", "commit", "git_url", "commit_info")


class BuildState(StrEnum):
    """How far a build is. Success, failure and cancelled are ends: nothing follows them."""

    QUEUED = "queued"
    STARTED = "started"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"


_RANKS = {BuildState.QUEUED: 0, BuildState.STARTED: 1}
_END = 2
ENDS = frozenset(BuildState) - _RANKS.keys()
EVENT_OF: Mapping[BuildState, str] = {
    BuildState.QUEUED: "build_queued",
    BuildState.STARTED: "build_start",
    BuildState.SUCCESS: "build_success",
    BuildState.FAILURE: "build_failure",
    BuildState.CANCELLED: "build_cancelled",
}


def is_news(before: BuildState | None, told: BuildState) -> bool:
    """Whether a report of this state moves the build on. A repeat and one that comes late do not.

    The first end that is told stands: a build that has ended does not end again.
    """
    return before is None or _RANKS.get(told, _END) > _RANKS.get(before, _END)


@dataclass(frozen=True, slots=True)
class Trigger:
    """What set a build off, in Quay's terms. `metadata` has some of TRIGGER_KEYS."""

    kind: str | None = None
    id: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildDetails:
    """What is known of a build beside its state; None and nothing are not known."""

    name: str | None = None
    tags: Sequence[str] = ()
    trigger: Trigger | None = None
    is_manual: bool | None = None
    manual_user: str | None = None
    image_id: str | None = None
    manifest_digests: Sequence[str] = ()
    error_message: str | None = None
    url: str | None = None

    def over(self, older: "BuildDetails") -> "BuildDetails":
        """These, and from the older ones what is not known here."""
        return BuildDetails(
            name=self.name or older.name,
            tags=self.tags or older.tags,
            trigger=self.trigger or older.trigger,
            is_manual=older.is_manual if self.is_manual is None else self.is_manual,
            manual_user=self.manual_user or older.manual_user,
            image_id=self.image_id or older.image_id,
            manifest_digests=self.manifest_digests or older.manifest_digests,
            error_message=self.error_message or older.error_message,
            url=self.url or older.url,
        )


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build system tells of one build. `key` is its own id of the build."""

    state: BuildState | None  # None changes details only
    key: str | None = None
    details: BuildDetails = BuildDetails()
    occurred_at: datetime | None = None
    performer: Performer | None = None  # None is whoever reports


@dataclass(frozen=True, slots=True)
class Build:
    """A build of a repository's images, as far as it was told."""

    id: str
    uuid: str  # Quay's build id
    repository_id: str
    key: str | None
    state: BuildState
    details: BuildDetails
    source: str  # what told of it first
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        return self.details.name or self.uuid[:7]


def event_fields(
    build: Build, state: BuildState, *, namespace: str, repository: str
) -> Mapping[str, object]:
    """The event's own fields in Quay's body (quay-compat 3.3).

    The fields that Quay documents and does not send, and those that only its samples have, are there when they
    are known: FIX Q23.
    """
    details = build.details
    trigger = details.trigger
    if state is BuildState.QUEUED:
        fields: dict[str, object] = {
            "build_id": build.uuid,
            "build_name": build.name,
            "docker_tags": list(details.tags),
            "repo": repository,
            "namespace": namespace,
            "is_manual": bool(details.is_manual),
            "manual_user": details.manual_user,
        }
        if trigger is not None:
            fields |= {
                "trigger_id": _trigger_id(trigger),
                "trigger_kind": trigger.kind,
                "trigger_metadata": dict(trigger.metadata),
                "trigger_manual": bool(details.is_manual),
            }
        return fields
    fields = {
        "build_id": build.uuid,
        "build_name": build.name,
        "docker_tags": list(details.tags),
        "trigger_id": None if trigger is None else _trigger_id(trigger),
        "trigger_kind": None if trigger is None else trigger.kind,
        "trigger_metadata": {} if trigger is None else dict(trigger.metadata),
    }
    if details.image_id is not None:
        fields["image_id"] = details.image_id
    if details.manifest_digests:
        fields["manifest_digests"] = list(details.manifest_digests)
    if state is BuildState.FAILURE and details.error_message is not None:
        fields["error_message"] = details.error_message
    return fields


def _trigger_id(trigger: Trigger) -> str | None:
    # Messages tell of a change only where there is an id.
    return trigger.id or trigger.kind
