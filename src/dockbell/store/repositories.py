"""Rows of repositories, and what one caller may do with them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from dockbell.domain.accounts import Namespace, NamespaceKind, Role, TeamRole
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.repositories import Repository, RepositoryState, Visibility
from dockbell.store.tables import (
    manifest_references,
    namespaces,
    of_micros,
    permissions,
    repositories,
    tags,
    team_members,
    teams,
)
from dockbell.store.tags import is_live
from dockbell.store.transactions import Tx

_ROLES = (None, Role.READ, Role.WRITE, Role.ADMIN)
_TEAM_ROLES = (None, TeamRole.MEMBER, TeamRole.CREATOR, TeamRole.ADMIN)


@dataclass(frozen=True, slots=True)
class Access:
    """What one caller is to a namespace and to one of its repositories, before any cap by scope."""

    namespace: Namespace
    repository: Repository | None
    team_role: TeamRole | None  # the highest of the caller's teams in the namespace
    role: Role | None  # the highest the caller holds, in person or by a team


async def find_access(
    tx: Tx, actor_id: str | None, namespace: str, name: str | None
) -> Access | None:
    """What the caller is there; None if there is no such namespace."""
    return (await find_access_many(tx, [(actor_id, namespace, name)]))[0]


async def find_access_many(
    tx: Tx, asked: Sequence[tuple[str | None, str, str | None]]
) -> Sequence[Access | None]:
    """The same for many (actor id, namespace, name), in their order.

    One query, by hand: every call of the API and every push asks it.
    """
    if not asked:
        return ()
    rows = await tx.hot(
        tx.dialect.FIND_ACCESS,
        tx.dialect.packed([(place, *one) for place, one in enumerate(asked)]),
    )
    found: list[Access | None] = [None] * len(asked)
    for (
        place, namespace_id, namespace, kind, email, made_at,
        repository_id, name, visibility, description, repository_made_at, state, team_rank, role_rank,
    ) in rows:  # fmt: skip
        owner = Namespace(
            namespace_id, namespace, NamespaceKind(kind), email, of_micros(made_at)
        )
        repository = None
        if repository_id is not None:
            repository = Repository(
                id=repository_id,
                namespace_id=namespace_id,
                namespace=namespace,
                name=name,
                visibility=Visibility(visibility),
                description=description,
                created_at=of_micros(repository_made_at),
                state=RepositoryState(state),
            )
        found[place] = Access(
            owner, repository, _TEAM_ROLES[team_rank or 0], _ROLES[role_rank or 0]
        )
    return found


def of_row(row: Row[Any]) -> Repository:
    return Repository(
        id=row.id,
        namespace_id=row.namespace_id,
        namespace=row.namespace,
        name=row.name,
        visibility=Visibility(row.visibility),
        description=row.description,
        created_at=row.created_at,
        state=RepositoryState(row.state),
    )


_SELECT = select(repositories, namespaces.c.name.label("namespace")).join(
    namespaces, namespaces.c.id == repositories.c.namespace_id
)


async def find(tx: Tx, namespace: str, name: str) -> Repository | None:
    row = await tx.first(
        _SELECT.where(namespaces.c.name == namespace, repositories.c.name == name)
    )
    return None if row is None else of_row(row)


async def find_by_id(tx: Tx, repository_id: str) -> Repository | None:
    row = await tx.first(_SELECT.where(repositories.c.id == repository_id))
    return None if row is None else of_row(row)


@dataclass(frozen=True, slots=True)
class ShownTag:
    """What the API shows of a tag."""

    name: str
    digest: str
    updated_at: datetime


async def list_visible(  # noqa: PLR0913 -- one argument for each filter
    tx: Tx,
    actor_id: str | None,
    *,
    namespace: str | None,
    with_public: bool,
    sees_all: bool,
    after: str,
    limit: int,
) -> Sequence[Repository]:
    """Repositories that the user or robot may read, in the order they were made. One query."""
    statement = _SELECT.where(
        _may_read(actor_id, with_public=with_public, sees_all=sees_all),
        repositories.c.id > after,
    )
    if namespace is not None:
        statement = statement.where(namespaces.c.name == namespace)
    rows = await tx.rows(statement.order_by(repositories.c.id).limit(limit))
    return [of_row(row) for row in rows]


async def search(  # noqa: PLR0913 -- as above
    tx: Tx, actor_id: str | None, text: str, *, sees_all: bool, offset: int, limit: int
) -> Sequence[tuple[Repository, Namespace]]:
    """Public repositories and those that the user may read whose path or description has the text in it.

    Those that are named so come first, then by path. Each with its owner. One query.
    """
    path = namespaces.c.name + "/" + repositories.c.name
    wanted = text.lower()
    described = func.lower(repositories.c.description).contains(wanted, autoescape=True)
    rows = await tx.rows(
        _SELECT.add_columns(
            namespaces.c.kind.label("owner_kind"),
            namespaces.c.email.label("owner_email"),
            namespaces.c.created_at.label("owner_created_at"),
        )
        .where(
            _may_read(actor_id, with_public=True, sees_all=sees_all),
            or_(path.contains(wanted, autoescape=True), described),
        )
        .order_by(repositories.c.name != wanted, namespaces.c.name, repositories.c.name)
        .offset(offset)
        .limit(limit)
    )
    return [
        (
            of_row(row),
            Namespace(
                id=row.namespace_id,
                name=row.namespace,
                kind=NamespaceKind(row.owner_kind),
                email=row.owner_email,
                created_at=row.owner_created_at,
            ),
        )
        for row in rows
    ]


def _may_read(
    actor_id: str | None, *, with_public: bool, sees_all: bool
) -> ColumnElement[bool]:
    administers = exists().where(
        teams.c.namespace_id == repositories.c.namespace_id,
        teams.c.role == TeamRole.ADMIN,
        team_members.c.team_id == teams.c.id,
        team_members.c.member_id == actor_id,
        ~team_members.c.is_invited,
    )
    holds = exists().where(
        permissions.c.repository_id == repositories.c.id, permissions.c.holder_id == actor_id
    )
    team_holds = exists().where(
        permissions.c.repository_id == repositories.c.id,
        team_members.c.team_id == permissions.c.team_id,
        team_members.c.member_id == actor_id,
        ~team_members.c.is_invited,
    )
    reasons: list[ColumnElement[bool]] = [literal(sees_all)]
    if actor_id is not None:
        reasons += [repositories.c.namespace_id == actor_id, administers, holds, team_holds]
    if with_public:
        reasons.append(repositories.c.visibility == Visibility.PUBLIC)
    return or_(*reasons)


async def last_modified(tx: Tx, repository_ids: Sequence[str]) -> Mapping[str, datetime]:
    """When a tag of each of them was last set, by id; those without tags are left out."""
    rows = await tx.rows(
        select(tags.c.repository_id, func.max(tags.c.updated_at).label("last"))
        .where(tags.c.repository_id.in_(repository_ids), is_live(tx))
        .group_by(tags.c.repository_id)
    )
    return {row.repository_id: row.last for row in rows}


async def list_tags(tx: Tx, repository_id: str, limit: int) -> Sequence[ShownTag]:
    rows = await tx.rows(
        select(tags.c.name, tags.c.digest, tags.c.updated_at)
        .where(tags.c.repository_id == repository_id, is_live(tx))
        .order_by(tags.c.name)
        .limit(limit)
    )
    return [ShownTag(row.name, row.digest, row.updated_at) for row in rows]


async def add(
    tx: Tx, namespace: Namespace, name: str, visibility: Visibility, description: str
) -> Repository:
    """Insert one; raise DuplicateError, with the transaction still usable, if the name is taken."""
    repository = Repository(
        id=tx.new_id("rep"),
        namespace_id=namespace.id,
        namespace=namespace.name,
        name=name,
        visibility=visibility,
        description=description,
        created_at=tx.now,
    )
    async with tx.nested():
        await tx.run(
            insert(repositories).values(
                id=repository.id,
                namespace_id=namespace.id,
                name=name,
                visibility=visibility.value,
                description=description,
                created_at=tx.now,
            )
        )
    return repository


async def set_description(tx: Tx, repository_id: str, description: str) -> None:
    await tx.run(
        update(repositories)
        .where(repositories.c.id == repository_id)
        .values(description=description)
    )


async def set_state(tx: Tx, repository_id: str, state: RepositoryState) -> None:
    await tx.run(
        update(repositories).where(repositories.c.id == repository_id).values(state=state.value)
    )


async def set_visibility(tx: Tx, repository_id: str, visibility: Visibility) -> None:
    await tx.run(
        update(repositories)
        .where(repositories.c.id == repository_id)
        .values(visibility=visibility.value)
    )


async def remove(tx: Tx, repository_id: str) -> None:
    """Delete it with everything it owns. Its events, deliveries and audit entries stay."""
    await tx.run(
        delete(manifest_references).where(manifest_references.c.repository_id == repository_id)
    )
    await tx.run(delete(repositories).where(repositories.c.id == repository_id))
