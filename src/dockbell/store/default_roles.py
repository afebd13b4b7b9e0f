"""Rows of the roles that new repositories of an organization begin with."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, or_, select
from sqlalchemy import update as update_of

from dockbell.domain.accounts import Holder, Role, Team
from dockbell.domain.memberships import DefaultRole
from dockbell.store.tables import default_roles, namespaces, robots, team_members, teams
from dockbell.store.transactions import Tx

_creators = namespaces.alias("creators")
_creator_robots = robots.alias("creator_robots")
_memberships = teams.alias("memberships")


def _is_member(user_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether this user sits in a team of the organization."""
    return exists().where(
        team_members.c.team_id == _memberships.c.id,
        _memberships.c.namespace_id == default_roles.c.namespace_id,
        team_members.c.user_id == user_id,
        ~team_members.c.is_invited,
    )


_SELECTION = (
    select(
        default_roles,
        _creators.c.name.label("creator_user"),
        _creators.c.email.label("creator_email"),
        _creator_robots.c.name.label("creator_robot"),
        _is_member(default_roles.c.creator_user_id).label("creator_is_member"),
        namespaces.c.name.label("user"),
        namespaces.c.email.label("user_email"),
        robots.c.name.label("robot"),
        _is_member(default_roles.c.user_id).label("user_is_member"),
        teams.c.name.label("team"),
    )
    .outerjoin(_creators, _creators.c.id == default_roles.c.creator_user_id)
    .outerjoin(_creator_robots, _creator_robots.c.id == default_roles.c.creator_robot_id)
    .outerjoin(namespaces, namespaces.c.id == default_roles.c.user_id)
    .outerjoin(robots, robots.c.id == default_roles.c.robot_id)
    .outerjoin(teams, teams.c.id == default_roles.c.team_id)
    .where(default_roles.c.namespace_id == bindparam("namespace_id"))
    .order_by(default_roles.c.id)
)
_FOR = _SELECTION.where(
    or_(
        and_(
            default_roles.c.creator_user_id.is_(None),
            default_roles.c.creator_robot_id.is_(None),
        ),
        default_roles.c.creator_user_id == bindparam("creator_id"),
        default_roles.c.creator_robot_id == bindparam("creator_id"),
    )
)


def _of_row(row: Any) -> DefaultRole:
    creator = _holder(
        (row.creator_user_id, row.creator_user, row.creator_email),
        (row.creator_robot_id, row.creator_robot),
    )
    holder = _holder((row.user_id, row.user, row.user_email), (row.robot_id, row.robot))
    return DefaultRole(
        uuid=row.uuid,
        role=Role(row.role),
        creator=creator,
        creator_is_member=bool(row.creator_is_member)
        or (creator is not None and creator.is_robot),
        holder=holder,
        holder_is_member=bool(row.user_is_member) or (holder is not None and holder.is_robot),
        team=row.team,
        team_id=row.team_id,
    )


def _holder(
    user: tuple[str | None, str, str | None], robot: tuple[str | None, str]
) -> Holder | None:
    if user[0] is not None:
        return Holder(id=user[0], name=user[1], is_robot=False, email=user[2])
    return None if robot[0] is None else Holder(id=robot[0], name=robot[1], is_robot=True)


async def list_for(tx: Tx, namespace_id: str) -> Sequence[DefaultRole]:
    """All of the organization, in the order they were made. One query."""
    return [_of_row(row) for row in await tx.rows(_SELECTION, {"namespace_id": namespace_id})]


async def list_for_creator(
    tx: Tx, namespace_id: str, creator_id: str | None
) -> Sequence[DefaultRole]:
    """Those that count for what this user or robot makes. One query."""
    rows = await tx.rows(_FOR, {"namespace_id": namespace_id, "creator_id": creator_id})
    return [_of_row(row) for row in rows]


async def count(tx: Tx, namespace_id: str) -> int:
    row = await tx.first(
        select(func.count())
        .select_from(default_roles)
        .where(default_roles.c.namespace_id == namespace_id)
    )
    return 0 if row is None else int(row[0])


async def add(  # noqa: PLR0913 -- one argument for each thing that a row says
    tx: Tx,
    namespace_id: str,
    role: Role,
    *,
    default_role_id: str,
    uuid: str,
    creator: Holder | None,
    holder: Holder | None,
    team: Team | None,
) -> None:
    def ids(one: Holder | None) -> tuple[str | None, str | None]:
        if one is None:
            return None, None
        return (None, one.id) if one.is_robot else (one.id, None)

    (creator_user_id, creator_robot_id), (user_id, robot_id) = ids(creator), ids(holder)
    await tx.run(
        insert(default_roles).values(
            id=default_role_id,
            uuid=uuid,
            namespace_id=namespace_id,
            creator_user_id=creator_user_id,
            creator_robot_id=creator_robot_id,
            user_id=user_id,
            robot_id=robot_id,
            team_id=None if team is None else team.id,
            role=role.value,
            created_at=tx.now,
        )
    )


async def set_role(tx: Tx, namespace_id: str, uuid: str, role: Role) -> None:
    await tx.run(
        update_of(default_roles).where(_is(namespace_id, uuid)).values(role=role.value)
    )


async def remove(tx: Tx, namespace_id: str, uuid: str) -> None:
    await tx.run(delete(default_roles).where(_is(namespace_id, uuid)))


def _is(namespace_id: str, uuid: str) -> ColumnElement[bool]:
    return and_(default_roles.c.namespace_id == namespace_id, default_roles.c.uuid == uuid)
