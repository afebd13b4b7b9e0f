"""Rows of permissions: which role a user, a robot or a team holds on one repository."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, insert, or_, select, update

from dockbell.domain.accounts import Holder, NamespaceKind, Role
from dockbell.domain.memberships import HeldRole, RepositoryRole, TeamHeldRole
from dockbell.store.tables import (
    namespaces,
    permissions,
    repositories,
    robots,
    team_members,
    teams,
)
from dockbell.store.transactions import DuplicateError, Tx

_SET = (
    update(permissions)
    .where(
        permissions.c.repository_id == bindparam("a_repository"),
        permissions.c.holder_id == bindparam("a_holder"),
    )
    .values(role=bindparam("a_role"))
)


async def put(
    tx: Tx,
    repository_id: str,
    role: Role,
    *,
    holder: Holder | None = None,
    team_id: str | None = None,
) -> None:
    """Give the holder, or the team, this role in place of the one they had."""
    is_robot = holder is not None and holder.is_robot
    holder_id = holder.id if holder is not None else team_id
    if await tx.run(
        _SET, {"a_repository": repository_id, "a_holder": holder_id, "a_role": role.value}
    ):
        return
    try:
        async with tx.nested():
            await tx.run(
                insert(permissions),
                {
                    "repository_id": repository_id,
                    "holder_id": holder_id,
                    "user_id": holder.id if holder is not None and not is_robot else None,
                    "robot_id": holder.id if holder is not None and is_robot else None,
                    "team_id": team_id,
                    "role": role.value,
                },
            )
    except DuplicateError:  # somebody else gave them one meanwhile
        await tx.run(
            _SET, {"a_repository": repository_id, "a_holder": holder_id, "a_role": role.value}
        )


async def remove(tx: Tx, repository_id: str, holder_id: str) -> bool:
    """Take the holder's role away; return whether there was one."""
    count = await tx.run(
        delete(permissions).where(
            permissions.c.repository_id == repository_id,
            permissions.c.holder_id == holder_id,
        )
    )
    return count > 0


async def remove_from_all(tx: Tx, namespace_id: str, holder_id: str) -> None:
    """Take away every role the holder has in the namespace."""
    owned = select(repositories.c.id).where(repositories.c.namespace_id == namespace_id)
    await tx.run(
        delete(permissions).where(
            permissions.c.repository_id.in_(owned), permissions.c.holder_id == holder_id
        )
    )


_owners = namespaces.alias("owners")
_is_member = or_(
    robots.c.id.is_not(None),
    exists().where(
        team_members.c.team_id == teams.c.id,
        teams.c.namespace_id == repositories.c.namespace_id,
        team_members.c.user_id == permissions.c.user_id,
        ~team_members.c.is_invited,
    ),
)
_HELD = (
    select(
        permissions.c.holder_id.label("id"),
        func.coalesce(namespaces.c.name, robots.c.name).label("name"),
        case((robots.c.id.is_not(None), 1), else_=0).label("is_robot"),
        namespaces.c.email,
        permissions.c.role,
        case(
            (_owners.c.kind == NamespaceKind.USER.value, None), (_is_member, 1), else_=0
        ).label("is_member"),
    )
    .select_from(permissions)
    .join(repositories, repositories.c.id == permissions.c.repository_id)
    .join(_owners, _owners.c.id == repositories.c.namespace_id)
    .outerjoin(namespaces, namespaces.c.id == permissions.c.user_id)
    .outerjoin(robots, robots.c.id == permissions.c.robot_id)
    .where(
        permissions.c.repository_id == bindparam("repository_id"),
        permissions.c.team_id.is_(None),
    )
    .order_by("name")
)
_HELD_BY = _HELD.where(
    or_(namespaces.c.name == bindparam("name"), robots.c.name == bindparam("name"))
)


def _held_of_row(row: Any) -> HeldRole:
    holder = Holder(id=row.id, name=row.name, is_robot=bool(row.is_robot), email=row.email)
    is_member = None if row.is_member is None else bool(row.is_member)
    return HeldRole(holder, Role(row.role), is_member)


async def list_held(tx: Tx, repository_id: str) -> Sequence[HeldRole]:
    """Every user and robot with a role of their own, by name. One query."""
    rows = await tx.rows(_HELD, {"repository_id": repository_id})
    return [_held_of_row(row) for row in rows]


async def find_held(tx: Tx, repository_id: str, name: str) -> HeldRole | None:
    row = await tx.first(_HELD_BY, {"repository_id": repository_id, "name": name})
    return None if row is None else _held_of_row(row)


async def list_teams(tx: Tx, repository_id: str) -> Sequence[TeamHeldRole]:
    rows = await tx.rows(
        select(teams.c.name, permissions.c.role)
        .join(teams, teams.c.id == permissions.c.team_id)
        .where(permissions.c.repository_id == repository_id)
        .order_by(teams.c.name)
    )
    return [TeamHeldRole(row.name, Role(row.role)) for row in rows]


async def find_team(tx: Tx, repository_id: str, team_id: str) -> Role | None:
    row = await tx.first(
        select(permissions.c.role).where(
            permissions.c.repository_id == repository_id, permissions.c.team_id == team_id
        )
    )
    return None if row is None else Role(row.role)


async def list_roles(tx: Tx, repository_id: str, member_id: str) -> Sequence[Role]:
    """Every role a user or robot has on the repository: their own, and those of their teams."""
    is_in_team = exists().where(
        and_(
            team_members.c.team_id == permissions.c.team_id,
            team_members.c.member_id == member_id,
            ~team_members.c.is_invited,
        )
    )
    rows = await tx.rows(
        select(permissions.c.role)
        .where(
            permissions.c.repository_id == repository_id,
            or_(permissions.c.holder_id == member_id, is_in_team),
        )
        .order_by(permissions.c.holder_id)
    )
    return [Role(row.role) for row in rows]


async def list_of_holder(tx: Tx, holder_id: str) -> Sequence[RepositoryRole]:
    """All repositories on which a user, robot or team has a role of its own."""
    rows = await tx.rows(
        select(repositories.c.name, repositories.c.visibility, permissions.c.role)
        .join(repositories, repositories.c.id == permissions.c.repository_id)
        .where(permissions.c.holder_id == holder_id)
        .order_by(repositories.c.name)
    )
    return [
        RepositoryRole(row.name, row.visibility == "public", Role(row.role)) for row in rows
    ]
