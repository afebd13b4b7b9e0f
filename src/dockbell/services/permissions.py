"""Roles of users, robots and teams on one repository."""

from collections.abc import Sequence

from dockbell.domain.accounts import Role
from dockbell.domain.errors import DataError, InvalidRequestError, NotFoundError
from dockbell.domain.memberships import HeldRole, TeamHeldRole
from dockbell.domain.permissions import AdminOf, ViewerOf
from dockbell.services import audit_entries
from dockbell.store import permissions, robots, teams, users
from dockbell.store.transactions import Tx

# Quay's literal texts. Pinned by compat/test_permissions.py.
_NO_USER_ROLE = "User does not have permission for repo."
_NO_TEAM_ROLE = "Team does not have permission for repo."
_OWNER = "Namespace owner must always be admin."


async def list_held(tx: Tx, admin: ViewerOf) -> Sequence[HeldRole]:
    """Users and robots with a role of their own."""
    return await permissions.list_held(tx, admin.repository.id)


async def load_held(tx: Tx, admin: ViewerOf, name: str) -> HeldRole:
    found = await permissions.find_held(tx, admin.repository.id, name)
    if found is None:
        raise DataError(_NO_USER_ROLE)
    return found


async def list_roles(tx: Tx, admin: ViewerOf, name: str) -> Sequence[Role]:
    """Every role the user or robot has, in person or by a team; NotFoundError if none."""
    holder = await users.find_holder(tx, name)
    found = await permissions.list_roles(tx, admin.repository.id, holder.id) if holder else ()
    if not found:
        raise NotFoundError
    return found


async def put_held(tx: Tx, admin: AdminOf, name: str, role: Role) -> HeldRole:
    """Give a user, or a robot of the same namespace, this role in place of the one they had."""
    repository = admin.repository
    if name == repository.namespace:
        raise InvalidRequestError(_OWNER)
    holder = await users.find_holder(tx, name)
    if holder is None:
        raise InvalidRequestError(f"Invalid username: {name}")
    if holder.is_robot and await robots.namespace_of(tx, name) != repository.namespace:
        raise InvalidRequestError(
            f"Cannot add robot {name} under namespace {repository.namespace}"
        )
    await permissions.put(tx, repository.id, role, holder=holder)
    await audit_entries.write_about(
        tx,
        admin.actor,
        admin.repository,
        "change_repo_permission",
        username=name,
        role=role.value,
    )
    return await load_held(tx, admin, name)


async def remove_held(tx: Tx, admin: AdminOf, name: str) -> None:
    if name == admin.repository.namespace:
        raise InvalidRequestError(_OWNER)
    holder = await users.find_holder(tx, name)
    if holder is None or not await permissions.remove(tx, admin.repository.id, holder.id):
        raise InvalidRequestError(_NO_USER_ROLE)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "delete_repo_permission", username=name
    )


async def list_teams(tx: Tx, admin: ViewerOf) -> Sequence[TeamHeldRole]:
    return await permissions.list_teams(tx, admin.repository.id)


async def load_team(tx: Tx, admin: ViewerOf, name: str) -> Role:
    team = await teams.find(tx, admin.repository.namespace_id, name)
    role = await permissions.find_team(tx, admin.repository.id, team.id) if team else None
    if role is None:
        raise DataError(_NO_TEAM_ROLE)
    return role


async def put_team(tx: Tx, admin: AdminOf, name: str, role: Role) -> TeamHeldRole:
    """Give a team of the repository's organization this role in place of the one it had."""
    repository = admin.repository
    team = await teams.find(tx, repository.namespace_id, name)
    if team is None:
        raise InvalidRequestError(f"No team {name} in organization {repository.namespace}")
    await permissions.put(tx, repository.id, role, team_id=team.id)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "change_repo_permission", team=name, role=role.value
    )
    return TeamHeldRole(name, role)


async def remove_team(tx: Tx, admin: AdminOf, name: str) -> None:
    team = await teams.find(tx, admin.repository.namespace_id, name)
    if team is None or not await permissions.remove(tx, admin.repository.id, team.id):
        raise InvalidRequestError(_NO_TEAM_ROLE)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "delete_repo_permission", team=name
    )
