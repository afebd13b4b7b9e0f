"""Rights as values: who holds one has passed the check.

Only `services` makes these (the functions `admin_of`, `writer_of`, `reader_of`, `admin_of_namespace` …), so a
function that takes one cannot be called by somebody who forgot to ask.
"""

from dataclasses import dataclass

from dockbell.domain.accounts import Actor, Namespace
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
class AdminOf:
    actor: Actor
    repository: Repository


@dataclass(frozen=True, slots=True)
class AdminOfAll:
    """May administer every repository of the namespace: it is theirs, or a team of admins is."""

    actor: Actor
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class AdminOfNamespace:
    """May manage an organization, or their own user namespace."""

    actor: Actor
    namespace: Namespace


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
class SuperUser:
    """May manage all users of the server."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class MemberOfNamespace:
    """Belongs to the organization: sits in one of its teams."""

    actor: Actor
    namespace: Namespace
    is_admin: bool
