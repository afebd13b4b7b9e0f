"""Robots: machine accounts of organizations and users, for the registry only."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, Namespace, Robot
from dockbell.domain.errors import DataError, InvalidRequestError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.memberships import RepositoryRole
from dockbell.domain.names import NAMESPACE_RULE, is_robot
from dockbell.domain.permissions import AdminOfNamespace, MemberOfNamespace
from dockbell.domain.secrets import ROBOT_TOKEN_LENGTH, hash_of
from dockbell.services import audit_entries, organizations, users
from dockbell.services.passwords import random_secret
from dockbell.store import permissions, robots
from dockbell.store.transactions import DuplicateError, Tx

LONGEST_DESCRIPTION = 255


@dataclass(frozen=True, slots=True)
class ListedRobot:
    robot: Robot
    token: str | None  # only for admins
    teams: Sequence[str] | None  # only for admins who ask
    repositories: Sequence[str] | None


class UnknownRobotError(DataError):
    """Could not find robot with specified username"""  # noqa: D400, D415 -- Quay's literal text


async def admin_of_owner(tx: Tx, actor: Actor, organization: str | None) -> AdminOfNamespace:
    """The right to the robots of an organization; without one, to the caller's own. Or raise."""
    if organization is None:
        return await users.admin_of_self(tx, actor)
    return await organizations.admin_of_namespace(tx, actor, organization)


async def create(
    tx: Tx,
    admin: AdminOfNamespace,
    short_name: str,
    *,
    description: str = "",
    metadata: dict[str, object] | None = None,
) -> tuple[Robot, str]:
    """Make a robot; return it with its token."""
    if not is_robot(short_name):
        raise InvalidRequestError(
            f"The name for the robot '{short_name}' is invalid: "
            f"Namespace must match expression {NAMESPACE_RULE}"
        )
    robot = Robot(
        id=tx.new_id("rob"),
        namespace_id=admin.namespace.id,
        name=f"{admin.namespace.name}+{short_name}",
        description=description,
        created_at=tx.now,
        metadata=metadata or {},
    )
    token = random_secret(ROBOT_TOKEN_LENGTH)
    try:
        await robots.add(tx, robot, token, hash_of(token))
    except DuplicateError:
        raise InvalidRequestError(f"Existing robot with name: {robot.name}") from None
    await _note(tx, admin, "create_robot", short_name, description=description)
    return robot, token


async def load(tx: Tx, admin: AdminOfNamespace, short_name: str) -> tuple[Robot, str]:
    """The robot with its token."""
    found = (
        await robots.find(tx, admin.namespace.id, f"{admin.namespace.name}+{short_name}")
        if is_robot(short_name)
        else None
    )
    if found is None:
        raise UnknownRobotError
    return found


async def list_of(
    tx: Tx,
    admin: AdminOfNamespace,
    *,
    with_token: bool,
    with_roles: bool,
    limit: int | None,
) -> Sequence[ListedRobot]:
    """All robots of the namespace. The number of queries does not grow with their number."""
    return await _list(
        tx, admin.namespace, with_token=with_token, with_roles=with_roles, limit=limit
    )


async def list_of_organization(
    tx: Tx,
    member: MemberOfNamespace,
    *,
    with_token: bool,
    with_roles: bool,
    limit: int | None,
) -> Sequence[ListedRobot]:
    """All robots of an organization for its members; tokens and roles only for its admins."""
    return await _list(
        tx,
        member.namespace,
        with_token=with_token and member.is_admin,
        with_roles=with_roles and member.is_admin,
        limit=limit,
    )


async def _list(
    tx: Tx, namespace: Namespace, *, with_token: bool, with_roles: bool, limit: int | None
) -> Sequence[ListedRobot]:
    found = await robots.list_for(tx, namespace.id, limit)
    if not with_roles:
        return [
            ListedRobot(robot, token if with_token else None, None, None)
            for robot, token in found
        ]
    teams = await robots.teams_by_robot(tx, namespace.id)
    repositories = await robots.repositories_by_robot(tx, namespace.id)
    return [
        ListedRobot(
            robot,
            token if with_token else None,
            teams.get(robot.id, ()),
            repositories.get(robot.id, ()),
        )
        for robot, token in found
    ]


async def list_roles(
    tx: Tx, admin: AdminOfNamespace, short_name: str
) -> Sequence[RepositoryRole]:
    robot, _ = await load(tx, admin, short_name)
    return await permissions.list_of_holder(tx, robot.id)


async def regenerate(tx: Tx, admin: AdminOfNamespace, short_name: str) -> tuple[Robot, str]:
    """Give the robot a new token; the old one is void at once."""
    robot, _ = await load(tx, admin, short_name)
    token = random_secret(ROBOT_TOKEN_LENGTH)
    await robots.set_token(tx, robot.id, token, hash_of(token))
    await _note(tx, admin, "regenerate_robot_token", short_name)
    return robot, token


async def delete(tx: Tx, admin: AdminOfNamespace, short_name: str) -> None:
    robot, _ = await load(tx, admin, short_name)
    if not await robots.remove(tx, robot.id):
        raise UnknownRobotError  # somebody else was faster
    await _note(tx, admin, "delete_robot", short_name)


async def _note(
    tx: Tx, admin: AdminOfNamespace, kind: str, short_name: str, **more: object
) -> None:
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={"robot": short_name, **more},
    )
