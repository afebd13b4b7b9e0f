"""What a server holds that can be moved to another one: people, teams, robots, repositories, quotas, mirrors, and who is told of what.

Every document that is made here has its keys and lists in one order, so that two servers can be compared as text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import UTC, datetime

from dockbell.domain.accounts import Role, TeamRole
from dockbell.domain.forms import PayloadForm
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.repositories import Visibility

Document = dict[str, object]


def _nobody() -> Mapping[str, Role]:
    return {}


@dataclass(frozen=True, slots=True)
class HeldUser:
    name: str
    email: str | None = None
    is_enabled: bool = True

    def document(self) -> Document:
        return {"name": self.name, "email": self.email, "enabled": self.is_enabled}


@dataclass(frozen=True, slots=True)
class HeldRobot:
    name: str  # the short one, without its namespace
    description: str = ""

    def document(self) -> Document:
        return {"name": self.name, "description": self.description}


@dataclass(frozen=True, slots=True)
class HeldTeam:
    name: str
    role: TeamRole
    description: str = ""
    members: tuple[
        str, ...
    ] = ()  # users, and robots by their full name; whoever is only invited is none

    def document(self) -> Document:
        return {
            "name": self.name,
            "role": self.role.value,
            "description": self.description,
            "members": sorted(self.members),
        }


@dataclass(frozen=True, slots=True)
class HeldDefaultRole:
    """What somebody gets on each new repository of an organization."""

    holder: str  # a user, a robot by its full name, or a team
    is_team: bool
    creator: str | None  # only on what they make
    role: Role

    @property
    def key(self) -> tuple[bool, str, str]:
        return self.is_team, self.holder, self.creator or ""

    def document(self) -> Document:
        return {
            "delegate": {"kind": "team" if self.is_team else "user", "name": self.holder},
            "activating_user": self.creator,
            "role": self.role.value,
        }


@dataclass(frozen=True, slots=True)
class HeldChoices:
    """What API v2 knows of a notification, and API v1 does not. No secret is in it."""

    further_events: tuple[str, ...] = ()
    filters: Mapping[str, object] | None = None
    payload_form: PayloadForm = PayloadForm.QUAY
    rate_limit: float | None = None
    in_order: bool = False
    ca: str = ""
    has_client_certificate: bool = False

    def document(self) -> Document:
        return {
            "further_events": list(self.further_events),
            "filter": None if self.filters is None else dict(self.filters),
            "payload_form": self.payload_form.value,
            "rate_limit": self.rate_limit,
            "in_order": self.in_order,
            "ca": self.ca,
            "has_client_certificate": self.has_client_certificate,
        }


@dataclass(frozen=True, slots=True)
class HeldNotification:
    uuid: str
    event: str
    method: str
    title: str | None
    config: Mapping[str, object]
    event_config: Mapping[str, object]
    failures: int = 0  # as Quay counts them: paused from three on
    choices: HeldChoices | None = None  # None where they are not told, as by a Quay

    def document(self) -> Document:
        return {
            "uuid": self.uuid,
            "title": self.title,
            "event": self.event,
            "method": self.method,
            "config": dict(self.config),
            "event_config": dict(self.event_config),
            "number_of_failures": self.failures,
            **({} if self.choices is None else self.choices.document()),
        }


@dataclass(frozen=True, slots=True)
class HeldRule:
    """Which tags do not change."""

    pattern: str
    matches: bool  # it is about tags that match, or about all others

    @property
    def key(self) -> tuple[str, bool]:
        return self.pattern, self.matches

    def document(self) -> Document:
        return {"tag_pattern": self.pattern, "tag_pattern_matches": self.matches}


def _rules(held: Iterable[HeldRule]) -> list[Document]:
    return [one.document() for one in sorted(held, key=lambda one: one.key)]


def _documents(notifications: Iterable[HeldNotification]) -> list[Document]:
    return [one.document() for one in sorted(notifications, key=lambda one: one.uuid)]


@dataclass(frozen=True, slots=True)
class HeldQuota:
    limit_bytes: int
    limits: frozenset[tuple[str, int]] = frozenset()  # what happens, and at which percent of it

    def document(self) -> Document:
        return {
            "limit_bytes": self.limit_bytes,
            "limits": [
                {"type": kind, "limit_percent": percent}
                for kind, percent in sorted(self.limits, key=lambda one: (one[1], one[0]))
            ],
        }


@dataclass(frozen=True, slots=True)
class HeldNamespace:
    """A user or an organization, without the repositories."""

    name: str
    is_organization: bool
    email: str | None = None
    teams: tuple[HeldTeam, ...] = ()
    robots: tuple[HeldRobot, ...] = ()
    default_roles: tuple[HeldDefaultRole, ...] = ()
    quota: HeldQuota | None = None
    notifications: tuple[HeldNotification, ...] = ()  # its own, not those of its repositories
    immutable_tags: frozenset[HeldRule] = frozenset()  # of all its repositories

    def document(self) -> Document:
        return {
            "name": self.name,
            "kind": "organization" if self.is_organization else "user",
            "email": self.email,
            "teams": [one.document() for one in sorted(self.teams, key=lambda one: one.name)],
            "robots": [one.document() for one in sorted(self.robots, key=lambda one: one.name)],
            "default_permissions": [
                one.document() for one in sorted(self.default_roles, key=lambda one: one.key)
            ],
            "quota": None if self.quota is None else self.quota.document(),
            "notifications": _documents(self.notifications),
            "immutable_tags": _rules(self.immutable_tags),
        }


@dataclass(frozen=True, slots=True)
class HeldMirror:
    """How a repository is mirrored, without the password for where it comes from."""

    is_enabled: bool
    reference: str
    username: str | None
    registry_config: Mapping[str, object]
    globs: tuple[str, ...]
    interval_seconds: int
    start_at: datetime | None  # when it is synced next
    robot: str | None  # its full name
    timeout_seconds: int
    architectures: tuple[str, ...] = ()  # none: all
    refuses_pushes: bool = True  # those of others than itself

    def document(self) -> Document:
        start_at = self.start_at
        return {
            "is_enabled": self.is_enabled,
            "external_reference": self.reference,
            "external_registry_username": self.username,
            "external_registry_config": dict(sorted(self.registry_config.items())),
            "root_rule": list(self.globs),
            "sync_interval": self.interval_seconds,
            "sync_start_date": start_at and start_at.astimezone(UTC).isoformat(),
            "robot_username": self.robot,
            "skopeo_timeout_interval": self.timeout_seconds,
            "architecture_filter": list(self.architectures),
            "refuses_pushes": self.refuses_pushes,
        }


@dataclass(frozen=True, slots=True)
class HeldRepository:
    namespace: str
    name: str
    visibility: Visibility
    description: str = ""
    users: Mapping[str, Role] = field(
        default_factory=_nobody
    )  # users, and robots by their full name
    teams: Mapping[str, Role] = field(default_factory=_nobody)
    emails: frozenset[str] = frozenset()  # that have agreed to get its mail
    notifications: tuple[HeldNotification, ...] = ()
    mirror: HeldMirror | None = None
    immutable_tags: frozenset[HeldRule] = frozenset()

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.name}"

    def document(self) -> Document:
        return {
            "namespace": self.namespace,
            "name": self.name,
            "visibility": self.visibility.value,
            "description": self.description,
            "permissions": {
                "users": {name: role.value for name, role in sorted(self.users.items())},
                "teams": {name: role.value for name, role in sorted(self.teams.items())},
            },
            "authorized_emails": sorted(self.emails),
            "notifications": _documents(self.notifications),
            "mirror": None if self.mirror is None else self.mirror.document(),
            "immutable_tags": _rules(self.immutable_tags),
        }
