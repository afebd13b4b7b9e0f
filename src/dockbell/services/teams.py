"""Teams of organizations."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, ActorKind, Scope, Team, TeamRole
from dockbell.domain.errors import (
    DataError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.memberships import RepositoryRole
from dockbell.domain.names import NAMESPACE_RULE, is_namespace, is_team
from dockbell.domain.permissions import AdminOfNamespace, ViewerOfNamespace
from dockbell.services import audit_entries, organizations
from dockbell.store import permissions, teams
from dockbell.store import repositories as repository_rows
from dockbell.store.transactions import Tx


async def load(tx: Tx, admin: ViewerOfNamespace, name: str) -> Team:
    found = await teams.find(tx, admin.namespace.id, name) if is_team(name) else None
    if found is None:
        raise NotFoundError
    return found


async def view(tx: Tx, actor: Actor, organization: str, name: str) -> tuple[Team, bool]:
    """The team for those who sit in it and for the organization's admins, and whether they may change it."""
    if actor.is_anonymous:
        raise UnauthenticatedError
    access = (
        await repository_rows.find_access(tx, actor.id, organization, None)
        if is_namespace(organization)
        else None
    )
    if access is None and actor.sees_all:
        raise NotFoundError
    if access is None or not (actor.may(Scope.ORG_ADMIN) or actor.sees_all):
        raise ForbiddenError
    can_edit = (
        access.team_role is TeamRole.ADMIN and actor.may(Scope.ORG_ADMIN)
    ) or actor.manages_all
    can_edit = can_edit or actor.kind is ActorKind.SYSTEM
    own = await teams.list_of_member(tx, access.namespace.id, actor.id) if actor.id else ()
    if not (can_edit or actor.sees_all or name in {team.name for team in own}):
        raise ForbiddenError
    found = await teams.find(tx, access.namespace.id, name) if is_team(name) else None
    if found is None:
        raise NotFoundError
    return found, can_edit


async def put(
    tx: Tx, admin: AdminOfNamespace, name: str, role: TeamRole, description: str | None
) -> tuple[Team, bool]:
    """Make the team, or change its role and, if given, its description; return whether it is new."""
    await organizations.hold(tx, admin)
    team = await teams.find(tx, admin.namespace.id, name) if is_team(name) else None
    if team is None:
        return await _create(tx, admin, name, role, description or ""), True
    if description is not None and description != team.description:
        await teams.set_description(tx, team.id, description)
        await _note(tx, admin, "org_set_team_description", name, description=description)
    if role is not team.role:
        await _check_still_admin(
            tx,
            admin,
            team,
            f"Cannot remove admin from team '{name}' because calling user "
            f"would no longer have admin on org '{admin.namespace.name}'",
        )
        await teams.set_role(tx, team.id, role)
        await _note(tx, admin, "org_set_team_role", name, role=role.value)
    return await load(tx, admin, name), False


async def delete(tx: Tx, admin: AdminOfNamespace, name: str) -> None:
    """Remove the team; its members lose what they had by it."""
    await organizations.hold(tx, admin)
    team = await teams.find(tx, admin.namespace.id, name) if is_team(name) else None
    if team is None:
        raise DataError(f"Team '{name}' is not a team in org '{admin.namespace.name}'")
    await _check_still_admin(
        tx,
        admin,
        team,
        f"Deleting team '{name}' would remove admin ability for user '{admin.actor.name}' "
        f"in organization '{admin.namespace.name}'",
    )
    await teams.remove(tx, team.id)
    await _note(tx, admin, "org_delete_team", name)


async def list_roles(tx: Tx, admin: ViewerOfNamespace, name: str) -> Sequence[RepositoryRole]:
    """The repositories on which the team has a role."""
    team = await load(tx, admin, name)
    return await permissions.list_of_holder(tx, team.id)


async def _create(
    tx: Tx, admin: AdminOfNamespace, name: str, role: TeamRole, description: str
) -> Team:
    if not is_team(name):
        raise DataError(
            f"Invalid team name {name}: Namespace must match expression {NAMESPACE_RULE}"
        )
    team = await teams.add(tx, admin.namespace.id, name, role, description)
    await _note(tx, admin, "org_create_team", name)
    return team


async def _check_still_admin(tx: Tx, admin: AdminOfNamespace, team: Team, refusal: str) -> None:
    """Nobody may take their own last way to administer the organization."""
    if team.role is not TeamRole.ADMIN or admin.actor.id is None:
        return
    own = await teams.list_of_member(tx, admin.namespace.id, admin.actor.id)
    if [other.name for other in own if other.role is TeamRole.ADMIN] == [team.name]:
        raise DataError(refusal)


async def _note(tx: Tx, admin: AdminOfNamespace, kind: str, team: str, **more: object) -> None:
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={"team": team, **more},
    )
