"""Rows of robots."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, select, update

from dockbell.domain.accounts import Robot
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import (
    namespaces,
    permissions,
    repositories,
    robots,
    team_members,
    teams,
    users,
)
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class RobotCredential:
    robot_id: str
    token_hash: str
    is_enabled: bool  # false while the user who owns it is disabled


_CREDENTIAL = select(
    robots.c.id.label("robot_id"),
    robots.c.token_hash,
    func.coalesce(users.c.is_enabled, True).label("is_enabled"),
).outerjoin(users, users.c.namespace_id == robots.c.namespace_id)

_CREDENTIAL_BY_ID = _CREDENTIAL.where(robots.c.id == bindparam("robot_id"))


async def find_credential(tx: Tx, name: str) -> RobotCredential | None:
    return _credential_of_row(await tx.first(_CREDENTIAL.where(robots.c.name == name)))


async def find_credential_of(tx: Tx, robot_id: str) -> RobotCredential | None:
    """The same, for a robot that is known already."""
    return _credential_of_row(await tx.first(_CREDENTIAL_BY_ID, {"robot_id": robot_id}))


def _credential_of_row(row: Any) -> RobotCredential | None:
    return None if row is None else RobotCredential(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


def _of_row(row: Any) -> Robot:
    return Robot(
        id=row.id,
        namespace_id=row.namespace_id,
        name=row.name,
        description=row.description,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        metadata=row.metadata,
    )


async def find(tx: Tx, namespace_id: str, name: str) -> tuple[Robot, str] | None:
    """The robot by its full name, with its token."""
    row = await tx.first(
        select(robots).where(robots.c.namespace_id == namespace_id, robots.c.name == name)
    )
    return None if row is None else (_of_row(row), tx.seal.open(row.token_sealed).decode())


async def list_for(tx: Tx, namespace_id: str, limit: int | None) -> Sequence[tuple[Robot, str]]:
    """All robots of the namespace by name, each with its token."""
    rows = await tx.rows(
        select(robots)
        .where(robots.c.namespace_id == namespace_id)
        .order_by(robots.c.name)
        .limit(limit)
    )
    return [(_of_row(row), tx.seal.open(row.token_sealed).decode()) for row in rows]


async def teams_by_robot(tx: Tx, namespace_id: str) -> Mapping[str, Sequence[str]]:
    """The names of the teams that each robot of the namespace sits in, by the robot's id."""
    rows = await tx.rows(
        select(team_members.c.robot_id, teams.c.name)
        .join(teams, teams.c.id == team_members.c.team_id)
        .join(robots, robots.c.id == team_members.c.robot_id)
        .where(robots.c.namespace_id == namespace_id)
        .order_by(teams.c.name)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.robot_id].append(row.name)
    return found


async def repositories_by_robot(tx: Tx, namespace_id: str) -> Mapping[str, Sequence[str]]:
    """The names of the repositories where each robot of the namespace holds a role, by the robot's id."""
    rows = await tx.rows(
        select(permissions.c.robot_id, repositories.c.name)
        .join(repositories, repositories.c.id == permissions.c.repository_id)
        .join(robots, robots.c.id == permissions.c.robot_id)
        .where(robots.c.namespace_id == namespace_id)
        .order_by(repositories.c.name)
    )
    found = defaultdict(list)
    for row in rows:
        found[row.robot_id].append(row.name)
    return found


async def add(tx: Tx, robot: Robot, token: str, token_hash: str) -> None:
    """Insert it; raise DuplicateError, with the transaction still usable, if the name is taken."""
    async with tx.nested():
        await tx.run(
            insert(robots).values(
                id=robot.id,
                namespace_id=robot.namespace_id,
                name=robot.name,
                description=robot.description,
                token_hash=token_hash,
                token_sealed=tx.seal.close(token.encode()),
                metadata=robot.metadata,
                created_at=robot.created_at,
            )
        )


async def set_token(tx: Tx, robot_id: str, token: str, token_hash: str) -> None:
    await tx.run(
        update(robots)
        .where(robots.c.id == robot_id)
        .values(token_hash=token_hash, token_sealed=tx.seal.close(token.encode()))
    )


async def remove(tx: Tx, robot_id: str) -> bool:
    """Delete it; return whether it was still there."""
    return await tx.run(delete(robots).where(robots.c.id == robot_id)) > 0


async def touch(tx: Tx, robot_id: str, before: datetime) -> None:
    """Note that the robot's token is in use, unless that was noted since `before`."""
    await tx.run(
        update(robots)
        .where(
            robots.c.id == robot_id,
            (robots.c.last_used_at.is_(None)) | (robots.c.last_used_at < before),
        )
        .values(last_used_at=tx.now)
    )


async def namespace_of(tx: Tx, name: str) -> str | None:
    """The name of the namespace that owns the robot of this full name."""
    row = await tx.first(
        select(namespaces.c.name)
        .join(robots, robots.c.namespace_id == namespaces.c.id)
        .where(robots.c.name == name)
    )
    return None if row is None else str(row.name)
