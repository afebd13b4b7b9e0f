"""What a server holds that can be moved to another one: people, teams, robots, repositories, and who is told of what.

Every document that is made here has its keys and lists in one order, so that two servers can be compared as text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dockbell.domain.accounts import Role, TeamRole
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
class HeldNamespace:
    """A user or an organization, without the repositories."""

    name: str
    is_organization: bool
    email: str | None = None
    teams: tuple[HeldTeam, ...] = ()
    robots: tuple[HeldRobot, ...] = ()

    def document(self) -> Document:
        return {
            "name": self.name,
            "kind": "organization" if self.is_organization else "user",
            "email": self.email,
            "teams": [one.document() for one in sorted(self.teams, key=lambda one: one.name)],
            "robots": [one.document() for one in sorted(self.robots, key=lambda one: one.name)],
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

    def document(self) -> Document:
        return {
            "uuid": self.uuid,
            "title": self.title,
            "event": self.event,
            "method": self.method,
            "config": dict(self.config),
            "event_config": dict(self.event_config),
            "number_of_failures": self.failures,
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
            "notifications": [
                one.document() for one in sorted(self.notifications, key=lambda one: one.uuid)
            ],
        }
