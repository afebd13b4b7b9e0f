"""Rights as values: who holds one has passed the check.

Only `services` makes these (the functions `admin_of`, `viewer_of`, `writer_of`, `admin_of_namespace` …), so a
function that takes one cannot be called by somebody who forgot to ask.
"""

from dockbell.domain.accounts import Actor, Application, Namespace
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import INSTANCE, NotificationScope
from dockbell.domain.repositories import Repository


@dataclass(frozen=True, slots=True)
class ReaderOf:
    actor: Actor
    repository: Repository


@dataclass(frozen=True, slots=True)
class WriterOf:
    actor: Actor
    repository: Repository


@dataclass(frozen=True, slots=True)
class ViewerOf:
    """May see of the repository what its administrators see."""

    actor: Actor
    repository: Repository

    @property
    def scope(self) -> NotificationScope:
        return NotificationScope.REPOSITORY

    @property
    def place_id(self) -> str:
        return self.repository.id

    @property
    def path(self) -> str:
        return self.repository.path

    @property
    def namespace_name(self) -> str:
        return self.repository.namespace

    @property
    def namespace_id(self) -> str | None:
        return self.repository.namespace_id

    @property
    def repository_id(self) -> str | None:
        return self.repository.id


@dataclass(frozen=True, slots=True)
class AdminOf(ViewerOf):
    """May administer the repository."""


@dataclass(frozen=True, slots=True)
class ViewerOfAll:
    """May see of the namespace's own notifications what its administrators see."""

    actor: Actor
    namespace: Namespace

    @property
    def scope(self) -> NotificationScope:
        return NotificationScope.NAMESPACE

    @property
    def place_id(self) -> str:
        return self.namespace.id

    @property
    def path(self) -> str:
        return self.namespace.name

    @property
    def namespace_name(self) -> str:
        return self.namespace.name

    @property
    def namespace_id(self) -> str | None:
        return self.namespace.id

    @property
    def repository_id(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class AdminOfAll(ViewerOfAll):
    """May administer every repository of the namespace: it is theirs, or a team of admins is."""


@dataclass(frozen=True, slots=True)
class ViewerOfInstance:
    """May see the notifications of the whole server, as superusers see them."""

    actor: Actor

    @property
    def scope(self) -> NotificationScope:
        return NotificationScope.INSTANCE

    @property
    def place_id(self) -> str:
        return INSTANCE

    @property
    def path(self) -> str:
        return ""

    @property
    def namespace_name(self) -> str:
        return ""

    @property
    def namespace_id(self) -> str | None:
        return None

    @property
    def repository_id(self) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class AdminOfInstance(ViewerOfInstance):
    """May order news of everything that happens on the server, as superusers may."""


# Where notifications and their deliveries belong, with the right to them.
AdminOfPlace = AdminOf | AdminOfAll | AdminOfInstance
ViewerOfPlace = ViewerOf | ViewerOfAll | ViewerOfInstance


@dataclass(frozen=True, slots=True)
class ViewerOfNamespace:
    """May see of an organization, or of their own user namespace, what those see who manage it."""

    actor: Actor
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class AdminOfNamespace(ViewerOfNamespace):
    """May manage an organization, or their own user namespace."""


@dataclass(frozen=True, slots=True)
class CreatorIn:
    """May create repositories in the namespace."""

    actor: Actor
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class Self:
    """Acts for their own account, with the scope that needs."""

    actor: Actor
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class SetUp:
    """May make the first user of a database that has none."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class ReporterOf:
    """May report events of the repository or, where there is none, of the namespace itself."""

    actor: Actor
    namespace: Namespace
    repository: Repository | None


@dataclass(frozen=True, slots=True)
class SuperViewer:
    """May see what superusers see."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class SuperUser(SuperViewer):
    """May manage all users of the server."""


@dataclass(frozen=True, slots=True)
class MemberOfNamespace:
    """Belongs to the organization: sits in one of its teams."""

    actor: Actor
    namespace: Namespace
    is_admin: bool


@dataclass(frozen=True, slots=True)
class GrantorTo:
    """May let the application act for themselves."""

    actor: Actor
    application: Application
