"""Repositories: who may do what with one, and making, changing and removing it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from dockbell.domain.accounts import (
    Actor,
    ActorKind,
    Holder,
    Namespace,
    NamespaceKind,
    Role,
    Scope,
    TeamRole,
)
from dockbell.domain.errors import (
    DockbellError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_namespace, is_repository
from dockbell.domain.permissions import (
    AdminOf,
    AdminOfAll,
    CreatorIn,
    ReaderOf,
    ReporterOf,
    ViewerOf,
    ViewerOfAll,
    WriterOf,
)
from dockbell.domain.repositories import Repository, Visibility
from dockbell.services import audit_entries, default_roles, repository_events
from dockbell.services.intake import Intake
from dockbell.services.repository_events import News
from dockbell.store import deliveries, locks, storage
from dockbell.store import namespaces as namespace_rows
from dockbell.store import permissions as permission_rows
from dockbell.store import quotas as quota_rows
from dockbell.store import repositories as repository_rows
from dockbell.store.repositories import Access, ShownTag
from dockbell.store.transactions import DuplicateError, Tx

PAGE_SIZE = 100  # Quay: so many on a page


@dataclass(frozen=True, slots=True)
class Details:
    """A repository as a page about it shows it to one caller."""

    repository: Repository
    is_organization: bool
    roles: frozenset[Role]  # all that the caller may do
    tags: Sequence[ShownTag]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which repositories a list is about. InvalidRequestError if it is about none in particular."""

    namespace: str | None
    with_public: bool
    with_starred: bool

    def __post_init__(self) -> None:
        if not (self.namespace or self.with_public or self.with_starred):
            raise InvalidRequestError(
                "namespace, starred or public are required for this API call"
            )


_RANK = {Role.READ: 1, Role.WRITE: 2, Role.ADMIN: 3}
_SCOPE = {
    Role.READ: Scope.REPO_READ,
    Role.WRITE: Scope.REPO_WRITE,
    Role.ADMIN: Scope.REPO_ADMIN,
}


async def admin_of(tx: Tx, actor: Actor, path: str) -> AdminOf:
    """The right to administer the repository `namespace/name`, or raise.

    Public visibility never gives it, and no robot has it. A repository that does not exist looks like a
    forbidden one, except to the admins of its namespace.
    """
    return AdminOf(actor, await _check(tx, actor, path, Role.ADMIN))


async def viewer_of(tx: Tx, actor: Actor, path: str) -> ViewerOf:
    """The right to see what the repository's administrators see, or raise: theirs, and that of readonly superusers."""
    if actor.is_readonly_superuser:
        access = await _access(tx, actor, path)
        if access is None or access.repository is None:
            raise NotFoundError
        return ViewerOf(actor, access.repository)
    return await admin_of(tx, actor, path)


async def find_viewer_by_id(tx: Tx, actor: Actor, repository_id: str) -> ViewerOf | None:
    """The right to see what administrators see of the repository with this id; None if there is none."""
    if not actor.is_readonly_superuser:
        return await find_admin_by_id(tx, actor, repository_id)
    found = await repository_rows.find_by_id(tx, repository_id)
    return None if found is None else ViewerOf(actor, found)


async def find_admin_by_id(tx: Tx, actor: Actor, repository_id: str) -> AdminOf | None:
    """The right to administer the repository with this id; None if there is none.

    It is for things that are found by an id of their own: what belongs to a repository that the caller may
    not administer looks unknown to them. A token without the scope is told so first.
    """
    check_may_administer(actor)
    found = await repository_rows.find_by_id(tx, repository_id)
    if found is None:
        return None
    try:
        return await admin_of(tx, actor, found.path)
    except ForbiddenError:
        raise NotFoundError from None


async def admin_of_all_by_id(tx: Tx, actor: Actor, namespace_id: str) -> AdminOfAll:
    """The same for the namespace with this id; NotFoundError if there is none."""
    check_may_administer(actor)
    found = await namespace_rows.find_by_id(tx, namespace_id)
    if found is None:
        raise NotFoundError
    try:
        return await admin_of_all(tx, actor, found.name)
    except ForbiddenError:
        raise NotFoundError from None


async def viewer_of_all_by_id(tx: Tx, actor: Actor, namespace_id: str) -> ViewerOfAll:
    """The right to see what administrators see of the namespace with this id; NotFoundError if there is none."""
    if not actor.is_readonly_superuser:
        return await admin_of_all_by_id(tx, actor, namespace_id)
    found = await namespace_rows.find_by_id(tx, namespace_id)
    if found is None:
        raise NotFoundError
    return ViewerOfAll(actor, found)


async def viewer_of_all(tx: Tx, actor: Actor, namespace: str) -> ViewerOfAll:
    """The right to see what those see who administer all of the namespace, or raise: theirs, and that of readonly superusers."""
    if not actor.is_readonly_superuser:
        return await admin_of_all(tx, actor, namespace)
    found = await namespace_rows.find(tx, namespace) if is_namespace(namespace) else None
    if found is None:
        raise NotFoundError
    return ViewerOfAll(actor, found)


async def admin_of_all(tx: Tx, actor: Actor, namespace: str) -> AdminOfAll:
    """The right to administer every repository of the namespace, or raise.

    A namespace that does not exist looks like a forbidden one.
    """
    check_may_administer(actor)
    access = (
        await repository_rows.find_access(tx, actor.id, namespace, None)
        if is_namespace(namespace)
        else None
    )
    if access is None and actor.manages_all:
        raise NotFoundError
    if access is None or not _may(actor, access, Role.ADMIN):
        raise ForbiddenError
    return AdminOfAll(actor, access.namespace)


def check_may_administer(actor: Actor) -> None:
    """Raise for those who can administer no repository at all. Call it before anything is looked up by id."""
    if actor.is_anonymous:
        raise UnauthenticatedError
    if actor.manages_all:
        return
    if not actor.may(Scope.REPO_ADMIN) or actor.kind is ActorKind.ROBOT:
        raise ForbiddenError


def check_may_view(actor: Actor) -> None:
    """The same for those who can see what administrators see of no repository at all."""
    if not actor.is_readonly_superuser:
        check_may_administer(actor)


async def writer_of(tx: Tx, actor: Actor, path: str) -> WriterOf:
    """The right to push to the repository `namespace/name`, or raise."""
    return WriterOf(actor, await _check(tx, actor, path, Role.WRITE))


async def reader_of(tx: Tx, actor: Actor, path: str) -> ReaderOf:
    """The right to see and pull the repository `namespace/name`, or raise. Anybody has it for a public one."""
    return ReaderOf(actor, await _check(tx, actor, path, Role.READ))


async def roles_of(tx: Tx, actor: Actor, path: str) -> frozenset[Role]:
    """All that the caller may do with a repository; nothing for one that does not exist."""
    return _roles(actor, await _access(tx, actor, path))


async def is_missing(tx: Tx, actor: Actor, path: str) -> bool:
    """Whether there is no such repository and the caller, who administers its namespace, may know it."""
    access = await _access(tx, actor, path)
    return access is not None and access.repository is None and _may(actor, access, Role.READ)


async def writer_or_creator(tx: Tx, actor: Actor, path: str) -> WriterOf | CreatorIn:
    """The right to push: to the repository if it exists, else the right to create it. Or raise."""
    access = await _access(tx, actor, path)
    if access is None or access.repository is not None:
        return await writer_of(tx, actor, path)
    return await creator_in(tx, actor, access.namespace.name)


async def check_creator(tx: Tx, actor: Actor) -> None:
    """Raise unless the caller's token reaches for creating repositories at all. Where, `creator_in` decides."""
    del tx
    if actor.is_anonymous:
        raise UnauthenticatedError
    if not _reaches_for_creating(actor):
        raise ForbiddenError


async def creator_in(tx: Tx, actor: Actor, namespace: str | None) -> CreatorIn:
    """The right to create repositories in a namespace, without a name in the caller's own, or raise.

    A namespace that does not exist looks like a forbidden one.
    """
    if actor.is_anonymous:
        raise UnauthenticatedError
    if namespace is None:
        namespace = actor.name
    access = (
        await repository_rows.find_access(tx, actor.id, namespace, None)
        if is_namespace(namespace)
        else None
    )
    if access is None or not _may_create(actor, access):
        raise ForbiddenError
    return CreatorIn(actor, access.namespace)


async def reporters_of(
    tx: Tx, actor_places: Sequence[tuple[Actor, str, str | None]]
) -> Sequence[ReporterOf | DockbellError]:
    """For each (actor, namespace, repository or None): the right to report events there, or why not. One query.

    A repository's events take who may push to it, a namespace's its admin, both with the scope `repo:write`.
    What the caller may not see looks unknown.
    """
    found = await repository_rows.find_access_many(
        tx, [(actor.id, namespace, name) for actor, namespace, name in actor_places]
    )
    return [
        _reporter(actor, access, name)
        for (actor, _, name), access in zip(actor_places, found, strict=True)
    ]


async def reporter_of(tx: Tx, actor: Actor, path: str) -> ReporterOf:
    """The right to report what happens to the repository `namespace/name`, or raise."""
    if actor.is_anonymous:
        raise UnauthenticatedError
    namespace, _, name = path.partition("/")
    if not is_namespace(namespace) or not is_repository(name):
        raise NotFoundError
    (right,) = await reporters_of(tx, [(actor, namespace, name)])
    if isinstance(right, DockbellError):
        raise right
    return right


def _reporter(
    actor: Actor, access: Access | None, name: str | None
) -> ReporterOf | DockbellError:
    if not actor.may(Scope.REPO_WRITE):
        return ForbiddenError("The token needs the scope repo:write to report events.")
    if name is None:
        if access is None or not _is_namespace_admin(actor, access):
            return NotFoundError("There is no such namespace, or you do not administer it.")
        return ReporterOf(actor, access.namespace, None)
    if access is None or access.repository is None or not _may(actor, access, Role.READ):
        return NotFoundError("There is no such repository, or you may not see it.")
    if not _may(actor, access, Role.WRITE):
        return ForbiddenError(
            "You may not push to this repository, and so not report its events."
        )
    return ReporterOf(actor, access.namespace, access.repository)


async def create(  # noqa: PLR0913 -- one argument for each thing a repository has
    tx: Tx,
    creator: CreatorIn,
    name: str,
    *,
    visibility: Visibility,
    description: str = "",
    intake: Intake | None = None,
) -> Repository:
    """Make an empty repository whose creator administers it. Who listens is told, where an intake is given."""
    if not is_repository(name):
        raise InvalidRequestError("Invalid repository name")
    try:
        repository = await repository_rows.add(
            tx, creator.namespace, name, visibility, description
        )
    except DuplicateError:
        raise InvalidRequestError("Repository already exists") from None
    await _give_creator(tx, creator.actor, creator.namespace, repository)
    await default_roles.give(tx, creator, repository)
    await audit_entries.write_about(tx, creator.actor, repository, "create_repo")
    if intake is not None:
        news = News("repository_created", {"visibility": visibility.value})
        await repository_events.tell(tx, creator.actor, intake, repository, news)
    return repository


async def delete(tx: Tx, admin: AdminOf, intake: Intake | None = None) -> None:
    """Remove the repository with all that it owns; what waits to be delivered for it is cancelled."""
    namespace_id = admin.repository.namespace_id
    await storage.hold(tx, namespace_id)
    for notification_id in await locks.take_repository(tx, admin.repository.id):
        await deliveries.cancel_for(tx, notification_id)
    await repository_rows.remove(tx, admin.repository.id)
    await quota_rows.rearm(tx, namespace_id, await storage.recount(tx, namespace_id))
    await audit_entries.write_about(tx, admin.actor, admin.repository, "delete_repo")
    if intake is not None:
        # Its own notifications went with it: those of its namespace and of the server are told.
        news = News("repository_deleted", {"visibility": admin.repository.visibility.value})
        await repository_events.tell(tx, admin.actor, intake, admin.repository, news)


async def set_description(tx: Tx, writer: WriterOf, description: str) -> None:
    await repository_rows.set_description(tx, writer.repository.id, description)
    await audit_entries.write_about(
        tx, writer.actor, writer.repository, "set_repo_description", description=description
    )


async def set_visibility(tx: Tx, admin: AdminOf, visibility: Visibility) -> None:
    await repository_rows.set_visibility(tx, admin.repository.id, visibility)
    await audit_entries.write_about(
        tx,
        admin.actor,
        admin.repository,
        "change_repo_visibility",
        visibility=visibility.value,
    )


async def list_page(
    tx: Tx, actor: Actor, *, namespace: str | None, with_public: bool, after: str
) -> tuple[Sequence[Repository], str | None]:
    """Repositories that the caller may see, after that id, and the id to go on from if there are more.

    Those that are only visible because they are public come if asked for.
    """
    if namespace is not None and not is_namespace(namespace):
        return (), None
    found = await repository_rows.list_visible(
        tx,
        # A token that may not read repositories sees what a stranger sees.
        actor.id if actor.may(Scope.REPO_READ) else None,
        namespace=namespace,
        with_public=with_public,
        sees_all=actor.kind is ActorKind.SYSTEM or (actor.sees_all and namespace is not None),
        after=after,
        limit=PAGE_SIZE + 1,
    )
    page = found[:PAGE_SIZE]
    return page, page[-1].id if len(found) > PAGE_SIZE else None


async def list_filtered(
    tx: Tx, actor: Actor, wanted: Filter, *, after: str
) -> tuple[Sequence[Repository], str | None]:
    """As `list_page`, for what the API's filters ask. What the caller has starred is nothing: nobody can star here."""
    if wanted.with_starred:
        if actor.is_anonymous:
            raise UnauthenticatedError
        return (), None
    return await list_page(
        tx, actor, namespace=wanted.namespace, with_public=wanted.with_public, after=after
    )


async def search(
    tx: Tx, actor: Actor, text: str, *, page: int, size: int
) -> tuple[Sequence[tuple[Repository, Namespace]], bool]:
    """One page of what the caller may see whose path or description has the text in it, and whether there is more."""
    found = await repository_rows.search(
        tx,
        actor.id if actor.may(Scope.REPO_READ) else None,
        text,
        sees_all=actor.sees_all,
        offset=(page - 1) * size,
        limit=size + 1,
    )
    return found[:size], len(found) > size


async def last_modified(
    tx: Tx, actor: Actor, page: Sequence[Repository]
) -> Mapping[str, datetime]:
    """When a tag of each repository was last set, by the repository's id. One query."""
    del actor  # what they may see was decided when the page was made
    return await repository_rows.last_modified(tx, [repository.id for repository in page])


async def load(tx: Tx, actor: Actor, path: str, *, tags: int) -> Details:
    """The repository for who may read it, with at most so many of its tags. Or raise as `reader_of` does."""
    access = await _access(tx, actor, path)
    repository = _granted(actor, access, Role.READ)
    return Details(
        repository=repository,
        is_organization=access is not None
        and access.namespace.kind is NamespaceKind.ORGANIZATION,
        roles=_roles(actor, access),
        tags=await repository_rows.list_tags(tx, repository.id, tags) if tags else (),
    )


async def _access(tx: Tx, actor: Actor, path: str) -> Access | None:
    namespace, _, name = path.partition("/")
    if not is_namespace(namespace) or len(name) > 255 or "\0" in name:  # noqa: PLR2004 -- no name is longer
        return None
    return await repository_rows.find_access(tx, actor.id, namespace, name)


async def _check(tx: Tx, actor: Actor, path: str, wanted: Role) -> Repository:
    return _granted(actor, await _access(tx, actor, path), wanted)


def _granted(actor: Actor, access: Access | None, wanted: Role) -> Repository:
    if access is None and (actor.manages_all or (actor.sees_all and wanted is Role.READ)):
        raise NotFoundError
    if access is None or not _may(actor, access, wanted):
        raise UnauthenticatedError if actor.is_anonymous else ForbiddenError
    if access.repository is None:
        # Quay answers 200 or 500 here (FIX Q8). Pinned by compat/test_repositories.py.
        raise NotFoundError
    return access.repository


def _roles(actor: Actor, access: Access | None) -> frozenset[Role]:
    if access is None or access.repository is None:
        return frozenset()
    return frozenset(role for role in Role if _may(actor, access, role))


def _may(actor: Actor, access: Access, wanted: Role) -> bool:
    """Whether the caller has this role on the repository, or on all of its namespace."""
    if actor.kind is ActorKind.SYSTEM or actor.manages_all:
        return True
    if wanted is Role.READ and (actor.sees_all or _is_public(access.repository)):
        return True
    if actor.is_anonymous or not actor.may(_SCOPE[wanted]):
        return False
    if actor.kind is ActorKind.ROBOT and wanted is Role.ADMIN:
        return False
    if _is_namespace_admin(actor, access):
        return True
    return access.role is not None and _RANK[access.role] >= _RANK[wanted]


def _is_public(repository: Repository | None) -> bool:
    return repository is not None and repository.visibility is Visibility.PUBLIC


def _may_create(actor: Actor, access: Access) -> bool:
    if actor.kind is ActorKind.SYSTEM or actor.manages_all:
        return True
    if not _reaches_for_creating(actor):
        return False
    return _is_namespace_admin(actor, access) or access.team_role is TeamRole.CREATOR


def _reaches_for_creating(actor: Actor) -> bool:
    # Quay: whoever may administer the organization may create in it. Pinned by compat/test_repositories.py.
    return actor.may(Scope.REPO_CREATE) or actor.may(Scope.ORG_ADMIN) or actor.manages_all


def _is_namespace_admin(actor: Actor, access: Access) -> bool:
    return access.namespace.id == actor.id or access.team_role is TeamRole.ADMIN


async def _give_creator(
    tx: Tx, actor: Actor, namespace: Namespace, repository: Repository
) -> None:
    """Let the maker administer what they made. The server needs no role, an owner has all of them."""
    if actor.id is None or actor.id == namespace.id:
        return
    is_robot = actor.kind is ActorKind.ROBOT
    holder = Holder(id=actor.id, name=actor.name, is_robot=is_robot)
    await permission_rows.put(tx, repository.id, Role.ADMIN, holder=holder)
