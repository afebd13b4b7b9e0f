"""Rows of teams, and of who sits in them or is invited to."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, insert, or_, select, update

from dockbell.domain.accounts import Holder, Team, TeamRole
from dockbell.domain.memberships import Invite, Member, TeamCounts
from dockbell.store.tables import namespaces, permissions, robots, team_members, teams
from dockbell.store.transactions import Tx


def _of_row(row: Any) -> Team:
    return Team(
        id=row.id,
        namespace_id=row.namespace_id,
        name=row.name,
        role=TeamRole(row.role),
        description=row.description,
    )


async def find(tx: Tx, namespace_id: str, name: str) -> Team | None:
    row = await tx.first(
        select(teams).where(teams.c.namespace_id == namespace_id, teams.c.name == name)
    )
    return None if row is None else _of_row(row)


_repository_count = (
    select(func.count())
    .where(permissions.c.team_id == teams.c.id)
    .correlate(teams)
    .scalar_subquery()
)
_member_count = (
    select(func.count())
    .where(team_members.c.team_id == teams.c.id, ~team_members.c.is_invited)
    .correlate(teams)
    .scalar_subquery()
)
_COUNTED = (
    select(
        teams,
        _repository_count.label("repository_count"),
        _member_count.label("member_count"),
    )
    .where(teams.c.namespace_id == bindparam("namespace_id"))
    .order_by(teams.c.id)
)


async def list_for(tx: Tx, namespace_id: str) -> Sequence[TeamCounts]:
    """All teams in the order they were made, each with its counts. One query."""
    rows = await tx.rows(_COUNTED, {"namespace_id": namespace_id})
    return [TeamCounts(_of_row(row), row.repository_count, row.member_count) for row in rows]


async def search(tx: Tx, namespace_id: str, prefix: str, limit: int) -> Sequence[Team]:
    rows = await tx.rows(
        select(teams)
        .where(
            teams.c.namespace_id == namespace_id,
            teams.c.name.startswith(prefix, autoescape=True),
        )
        .order_by(teams.c.name)
        .limit(limit)
    )
    return [_of_row(row) for row in rows]


async def list_of_member(tx: Tx, namespace_id: str, member_id: str) -> Sequence[Team]:
    """The teams of the namespace that the user or robot sits in."""
    rows = await tx.rows(
        select(teams)
        .join(team_members, team_members.c.team_id == teams.c.id)
        .where(
            teams.c.namespace_id == namespace_id,
            team_members.c.member_id == member_id,
            ~team_members.c.is_invited,
        )
        .order_by(teams.c.id)
    )
    return [_of_row(row) for row in rows]


async def add(tx: Tx, namespace_id: str, name: str, role: TeamRole, description: str) -> Team:
    """Insert one; raise DuplicateError, with the transaction still usable, if the name is taken."""
    team = Team(
        id=tx.new_id("team"),
        namespace_id=namespace_id,
        name=name,
        role=role,
        description=description,
    )
    async with tx.nested():
        await tx.run(
            insert(teams).values(
                id=team.id,
                namespace_id=namespace_id,
                name=name,
                role=role.value,
                description=description,
                created_at=tx.now,
            )
        )
    return team


async def set_role(tx: Tx, team_id: str, role: TeamRole) -> None:
    await tx.run(update(teams).where(teams.c.id == team_id).values(role=role.value))


async def set_description(tx: Tx, team_id: str, description: str) -> None:
    await tx.run(update(teams).where(teams.c.id == team_id).values(description=description))


async def remove(tx: Tx, team_id: str) -> None:
    await tx.run(delete(teams).where(teams.c.id == team_id))


async def list_members(tx: Tx, team_id: str, *, with_invited: bool) -> Sequence[Member]:
    """Users and robots by name, those only invited at the end. One query."""
    name = func.coalesce(namespaces.c.name, robots.c.name)
    rows = await tx.rows(
        select(
            team_members.c.member_id.label("id"),
            name.label("name"),
            case((robots.c.id.is_not(None), 1), else_=0).label("is_robot"),
            namespaces.c.email,
            team_members.c.is_invited,
        )
        .outerjoin(namespaces, namespaces.c.id == team_members.c.user_id)
        .outerjoin(robots, robots.c.id == team_members.c.robot_id)
        .where(
            team_members.c.team_id == team_id,
            or_(~team_members.c.is_invited, team_members.c.is_invited == with_invited),
        )
        .order_by(team_members.c.is_invited, name)
    )
    return [
        Member(
            Holder(id=row.id, name=row.name, is_robot=bool(row.is_robot), email=row.email),
            is_invited=row.is_invited,
        )
        for row in rows
    ]


async def find_membership(tx: Tx, team_id: str, member_id: str) -> Member | None:
    """Whether the user or robot sits in the team, or is invited to; the holder has no e-mail address here."""
    row = await tx.first(
        select(team_members).where(
            team_members.c.team_id == team_id, team_members.c.member_id == member_id
        )
    )
    if row is None:
        return None
    holder = Holder(id=member_id, name="", is_robot=row.robot_id is not None)
    return Member(holder, is_invited=row.is_invited)


async def add_member(
    tx: Tx, team_id: str, holder: Holder, *, invite_code: str | None = None
) -> None:
    """Let them sit in the team; with a code, only invite them."""
    await tx.run(
        insert(team_members).values(
            team_id=team_id,
            user_id=None if holder.is_robot else holder.id,
            robot_id=holder.id if holder.is_robot else None,
            member_id=holder.id,
            is_invited=invite_code is not None,
            invite_code=invite_code,
            created_at=tx.now,
        )
    )


async def remove_member(tx: Tx, team_id: str, member_id: str) -> None:
    await tx.run(
        delete(team_members).where(
            team_members.c.team_id == team_id, team_members.c.member_id == member_id
        )
    )


async def remove_from_all(tx: Tx, namespace_id: str, member_id: str) -> None:
    """Take the member out of every team of the namespace, invitations too."""
    owned = select(teams.c.id).where(teams.c.namespace_id == namespace_id)
    await tx.run(
        delete(team_members).where(
            team_members.c.team_id.in_(owned), team_members.c.member_id == member_id
        )
    )


_INVITE = (
    select(
        team_members.c.invite_code.label("code"),
        team_members.c.user_id,
        namespaces.c.name.label("user"),
        teams.c.id.label("team_id"),
        teams.c.name.label("team"),
        teams.c.namespace_id.label("organization_id"),
    )
    .join(teams, teams.c.id == team_members.c.team_id)
    .join(namespaces, namespaces.c.id == team_members.c.user_id)
    .where(team_members.c.is_invited)
)


async def list_invites(tx: Tx, organization: tuple[str, str], user_id: str) -> Sequence[Invite]:
    """The open invitations of a user to teams of one organization (its id and its name)."""
    rows = await tx.rows(
        _INVITE.where(
            and_(teams.c.namespace_id == organization[0], team_members.c.user_id == user_id)
        ).order_by(teams.c.id)
    )
    return [Invite(**row._mapping, organization=organization[1]) for row in rows]  # noqa: SLF001 -- the documented way to a row as a mapping


async def find_invite(tx: Tx, code: str) -> Invite | None:
    owner = namespaces.alias("owner")
    row = await tx.first(
        _INVITE.add_columns(owner.c.name.label("organization"))
        .join(owner, owner.c.id == teams.c.namespace_id)
        .where(team_members.c.invite_code == code)
    )
    return None if row is None else Invite(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


async def accept_invite(tx: Tx, code: str) -> None:
    await tx.run(
        update(team_members)
        .where(team_members.c.invite_code == code)
        .values(is_invited=False, invite_code=None)
    )
