"""Who belongs to what, and who holds which role: what lists of people, teams and roles are made of."""

from collections.abc import Sequence

from dockbell.domain.accounts import Holder, Namespace, Role, Team, TeamRole
from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldRole:
    """The role of a user or robot on a repository."""

    holder: Holder
    role: Role
    is_member: bool | None  # of the repository's organization; None if a user owns it


@dataclass(frozen=True, slots=True)
class TeamHeldRole:
    team: str
    role: Role


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role that a user, a robot or a team gets on each new repository of an organization."""

    uuid: str
    role: Role
    creator: Holder | None  # only on what they make; None: on what anybody makes
    creator_is_member: bool  # of the organization
    holder: Holder | None  # who gets it; None: the team
    holder_is_member: bool
    team: str | None
    team_id: str | None


@dataclass(frozen=True, slots=True)
class RepositoryRole:
    """A role seen from its holder."""

    repository: str  # without the namespace
    is_public: bool
    role: Role


@dataclass(frozen=True, slots=True)
class Belonging:
    """An organization that somebody belongs to, and the highest role of their teams in it."""

    organization: Namespace
    role: TeamRole


@dataclass(frozen=True, slots=True)
class OrganizationMember:
    """A person in an organization: their teams, and the repositories where they hold a role of their own."""

    name: str
    email: str | None
    teams: Sequence[str]
    repositories: Sequence[str]


@dataclass(frozen=True, slots=True)
class TeamCounts:
    team: Team
    repositories: int
    members: int


@dataclass(frozen=True, slots=True)
class Member:
    holder: Holder
    is_invited: bool


@dataclass(frozen=True, slots=True)
class Invite:
    """A user asked to join a team."""

    code: str
    user_id: str
    user: str
    team_id: str
    team: str
    organization_id: str
    organization: str


@dataclass(frozen=True, slots=True)
class Match:
    holder: Holder
    is_member: bool  # of the organization searched in
