"""Who acts, and what a token lets them do."""

from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum

from dockbell.domain.late_dataclasses import dataclass


class Scope(StrEnum):
    """What an OAuth token may be used for (quay-compat 6.2)."""

    REPO_READ = "repo:read"
    REPO_WRITE = "repo:write"
    REPO_ADMIN = "repo:admin"
    REPO_CREATE = "repo:create"
    USER_READ = "user:read"
    USER_ADMIN = "user:admin"
    ORG_ADMIN = "org:admin"
    SUPER_USER = "super:user"


IMPLIED: dict[Scope, frozenset[Scope]] = {
    Scope.REPO_WRITE: frozenset({Scope.REPO_READ}),
    Scope.REPO_ADMIN: frozenset({Scope.REPO_READ, Scope.REPO_WRITE}),
    Scope.USER_ADMIN: frozenset({Scope.USER_READ}),
}


def scopes_of(text: str) -> frozenset[Scope]:
    """The scopes in a string separated by spaces or commas, with what they imply.

    A string with any unknown part grants nothing (quay-compat 6.2, FIX Q29).
    """
    words = text.replace(",", " ").split()
    try:
        named = {Scope(word) for word in words}
    except ValueError:
        return frozenset()
    return frozenset(named.union(*(IMPLIED.get(scope, frozenset()) for scope in named)))


class NamespaceKind(StrEnum):
    USER = "user"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Namespace:
    """A user or an organization: the owner of repositories."""

    id: str
    name: str
    kind: NamespaceKind
    email: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account."""

    namespace: Namespace
    is_superuser: bool
    is_enabled: bool
    email_verified: bool
    has_password: bool


class ActorKind(StrEnum):
    ANONYMOUS = "anonymous"
    USER = "user"
    ROBOT = "robot"
    SYSTEM = "system"  # the operator at the command line, or the server itself


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and how far their credential reaches.

    `scopes` of None means no cap: a session, a password or the command line.
    """

    kind: ActorKind
    id: str | None = None
    name: str = "(anonymous)"
    scopes: frozenset[Scope] | None = None
    is_superuser: bool = False
    # Both by setting only, see Powers.
    has_full_access: bool = False  # a superuser who manages what is other people's, too
    is_readonly_superuser: bool = False  # sees what administrators see, and changes none of it
    sees_internal_answers: bool = True  # what targets said whose address is not public
    token_id: str | None = None
    app_token_id: str | None = None
    session_id: str | None = None
    signed_in_at: datetime | None = None  # with a password, where that was for a session
    application_id: str | None = None
    application_name: str | None = None
    ip: str | None = None
    credential: str | None = (
        None  # fingerprint of what they signed in with, where that can change
    )

    @property
    def is_anonymous(self) -> bool:
        return self.kind is ActorKind.ANONYMOUS

    def may(self, scope: Scope) -> bool:
        """Whether the credential's scopes include this one."""
        return self.scopes is None or scope in self.scopes

    @property
    def manages_all(self) -> bool:
        """Whether they may do everywhere what administrators may. A token needs the scope `super:user` for it."""
        return self.has_full_access and self.may(Scope.SUPER_USER)

    @property
    def sees_all(self) -> bool:
        """Whether they may see everywhere what administrators see."""
        # Quay: regardless of scopes (quay-compat 6.5). Pinned by compat/test_superusers.py.
        return self.is_readonly_superuser or self.manages_all


@dataclass(frozen=True, slots=True)
class Powers:
    """Whom the operator lets see or do more than is theirs, by the names of users."""

    superusers: frozenset[str] = frozenset()
    readonly_superusers: frozenset[str] = frozenset()
    have_full_access: bool = False  # superusers, whether by setting or by their account
    hide_internal_answers: bool = False  # from everybody but superusers

    def of(self, actor: Actor) -> Actor:
        """The actor with the powers that they have by setting, or have not. Only users can have any."""
        if self.hide_internal_answers:
            actor = replace(actor, sees_internal_answers=False)
        if actor.kind is not ActorKind.USER:
            return actor
        # Quay: who is named as both changes nothing. Pinned by compat/test_superusers.py.
        is_readonly = actor.name in self.readonly_superusers
        is_superuser = not is_readonly and (actor.is_superuser or actor.name in self.superusers)
        if not is_superuser and not is_readonly:
            return actor
        return replace(
            actor,
            sees_internal_answers=True,
            is_superuser=is_superuser,
            has_full_access=is_superuser and self.have_full_access,
            is_readonly_superuser=is_readonly,
        )

    def makes_superuser(self, user: User) -> bool:
        """Whether the user is a superuser, by their account or by setting."""
        return user.is_superuser or user.namespace.name in self.superusers


ANONYMOUS = Actor(kind=ActorKind.ANONYMOUS, scopes=None)
SYSTEM = Actor(kind=ActorKind.SYSTEM, name="dockbell", is_superuser=True)


class TeamRole(StrEnum):
    MEMBER = "member"
    CREATOR = "creator"
    ADMIN = "admin"


class Role(StrEnum):
    """A role on one repository, from the least to the most."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    namespace_id: str
    name: str
    role: TeamRole
    description: str = ""


@dataclass(frozen=True, slots=True)
class Robot:
    id: str
    namespace_id: str
    name: str  # the full name, namespace+short
    description: str
    created_at: datetime
    last_used_at: datetime | None = None
    metadata: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holder:
    """A user or a robot: who may hold a role on a repository or sit in a team."""

    id: str
    name: str
    is_robot: bool
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Application:
    """An OAuth application of an organization: what tokens are issued for."""

    id: str
    namespace_id: str
    name: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    application_uri: str
    description: str
    avatar_email: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AppToken:
    """What may be shown of a token that stands for its user's password at the registry."""

    id: str
    uuid: str
    title: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """What may be shown of an OAuth token. The token itself is known only to who got it."""

    id: str
    uuid: str
    name: str
    scope: str
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Authorization:
    """A token by which an application acts for a user, with whose application it is."""

    token: Token
    client_id: str
    application_name: str
    application_uri: str
    application_description: str
    avatar_email: str | None
    organization: str
    organization_email: str | None
