"""Rows of namespaces: users and organizations share one set of names."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from dockbell.domain.accounts import Namespace, NamespaceKind, TeamRole
from dockbell.domain.errors import UndoneError
from dockbell.domain.memberships import Belonging, OrganizationMember
from dockbell.store.tables import (
    manifest_references,
    namespaces,
    permissions,
    repositories,
    team_members,
    teams,
)
from dockbell.store.transactions import Tx

COLUMNS = (
    namespaces.c.id,
    namespaces.c.name,
    namespaces.c.kind,
    namespaces.c.email,
    namespaces.c.created_at,
)

_BY_NAME = select(*COLUMNS).where(namespaces.c.name == bindparam("name"))
_BY_ID = select(*COLUMNS).where(namespaces.c.id == bindparam("id"))


def of_row(row: Row[Any]) -> Namespace:
    return Namespace(
        id=row.id,
        name=row.name,
        kind=NamespaceKind(row.kind),
        email=row.email,
        created_at=row.created_at,
    )


async def find(tx: Tx, name: str) -> Namespace | None:
    row = await tx.first(_BY_NAME, {"name": name})
    return None if row is None else of_row(row)


async def find_by_id(tx: Tx, namespace_id: str) -> Namespace | None:
    row = await tx.first(_BY_ID, {"id": namespace_id})
    return None if row is None else of_row(row)


async def list_all(tx: Tx) -> Sequence[Namespace]:
    """Every user and organization, by name."""
    return [of_row(row) for row in await tx.rows(select(*COLUMNS).order_by(namespaces.c.name))]


async def load(tx: Tx, namespace_id: str) -> Namespace:
    """The namespace; UndoneError if it has just gone: asked again, whoever needs it hears so."""
    row = await tx.first(_BY_ID, {"id": namespace_id})
    if row is None:
        raise UndoneError
    return of_row(row)


async def add(tx: Tx, name: str, kind: NamespaceKind, email: str | None) -> Namespace:
    """Insert one; raise DuplicateError, with the transaction still usable, if the name is taken."""
    namespace = Namespace(
        id=tx.new_id("ns"), name=name, kind=kind, email=email, created_at=tx.now
    )
    async with tx.nested():
        await tx.run(
            insert(namespaces).values(
                id=namespace.id, name=name, kind=kind.value, email=email, created_at=tx.now
            )
        )
    return namespace


async def list_organizations(tx: Tx) -> Sequence[Namespace]:
    """Every organization, by name."""
    of_kind = namespaces.c.kind == NamespaceKind.ORGANIZATION.value
    rows = await tx.rows(select(*COLUMNS).where(of_kind).order_by(namespaces.c.name))
    return [of_row(row) for row in rows]


async def list_organizations_page(tx: Tx, *, after: str, limit: int) -> Sequence[Namespace]:
    """At most so many organizations after that id, in the order of their ids."""
    rows = await tx.rows(
        select(*COLUMNS)
        .where(namespaces.c.kind == NamespaceKind.ORGANIZATION.value, namespaces.c.id > after)
        .order_by(namespaces.c.id)
        .limit(limit)
    )
    return [of_row(row) for row in rows]


async def set_email(tx: Tx, namespace_id: str, email: str | None) -> None:
    await tx.run(update(namespaces).where(namespaces.c.id == namespace_id).values(email=email))


async def is_email_taken(tx: Tx, email: str) -> bool:
    return (
        await tx.first(select(namespaces.c.id).where(namespaces.c.email == email)) is not None
    )


async def remove(tx: Tx, namespace_id: str) -> None:
    """Delete it with everything it owns."""
    owned = select(repositories.c.id).where(repositories.c.namespace_id == namespace_id)
    await tx.run(
        delete(manifest_references).where(manifest_references.c.repository_id.in_(owned))
    )
    await tx.run(delete(namespaces).where(namespaces.c.id == namespace_id))


_RANKS = {TeamRole.MEMBER: 1, TeamRole.CREATOR: 2, TeamRole.ADMIN: 3}


async def list_of_member(tx: Tx, user_id: str) -> Sequence[Belonging]:
    """The organizations in which the user sits in a team, by name. One query."""
    rows = await tx.rows(
        select(*COLUMNS, teams.c.role)
        .join(teams, teams.c.namespace_id == namespaces.c.id)
        .join(team_members, team_members.c.team_id == teams.c.id)
        .where(team_members.c.user_id == user_id, ~team_members.c.is_invited)
        .order_by(namespaces.c.name)
    )
    found: dict[str, Belonging] = {}
    for row in rows:
        role = TeamRole(row.role)
        known = found.get(row.id)
        if known is None or _RANKS[role] > _RANKS[known.role]:
            found[row.id] = Belonging(of_row(row), role)
    return list(found.values())


async def list_members(tx: Tx, organization_id: str) -> Sequence[OrganizationMember]:
    """Everybody who sits in one of the organization's teams, by name, without robots. Two queries."""
    seats = await tx.rows(
        select(namespaces.c.name, namespaces.c.email, teams.c.name.label("team"))
        .join(team_members, team_members.c.user_id == namespaces.c.id)
        .join(teams, teams.c.id == team_members.c.team_id)
        .where(teams.c.namespace_id == organization_id, ~team_members.c.is_invited)
        .order_by(namespaces.c.name, teams.c.id)
    )
    held = await tx.rows(
        select(namespaces.c.name, repositories.c.name.label("repository"))
        .join(permissions, permissions.c.user_id == namespaces.c.id)
        .join(repositories, repositories.c.id == permissions.c.repository_id)
        .where(repositories.c.namespace_id == organization_id)
        .order_by(repositories.c.name)
    )
    emails = {row.name: row.email for row in seats}
    return [
        OrganizationMember(
            name=name,
            email=email,
            teams=[row.team for row in seats if row.name == name],
            repositories=[row.repository for row in held if row.name == name],
        )
        for name, email in emails.items()
    ]
