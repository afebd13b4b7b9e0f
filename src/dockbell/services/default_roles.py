"""Default roles: what users, robots and teams get on each new repository of an organization."""

from collections.abc import Sequence

from dockbell.domain.accounts import ActorKind, Holder, Role, Team
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.ids import uuid_of
from dockbell.domain.memberships import DefaultRole
from dockbell.domain.names import is_namespace, is_team
from dockbell.domain.permissions import AdminOfNamespace, CreatorIn, ViewerOfNamespace
from dockbell.domain.repositories import Repository
from dockbell.services import audit_entries
from dockbell.store import default_roles, permissions, robots, teams, users
from dockbell.store.transactions import Tx

MOST = 200  # of one organization


async def list_all(tx: Tx, viewer: ViewerOfNamespace) -> Sequence[DefaultRole]:
    """In the order they were made."""
    return await default_roles.list_for(tx, viewer.namespace.id)


async def load(tx: Tx, viewer: ViewerOfNamespace, uuid: str) -> DefaultRole:
    for one in await list_all(tx, viewer):
        if one.uuid == uuid:
            return one
    raise NotFoundError


async def create(  # noqa: PLR0913 -- whose repositories, who gets it, and what
    tx: Tx,
    admin: AdminOfNamespace,
    role: Role,
    *,
    creator: str | None,
    holder: str | None = None,
    team: str | None = None,
) -> DefaultRole:
    """Give the user, robot or team this role on what is made from now on: by the creator, or by anybody without one."""
    made_by = None if creator is None else await _holder(tx, admin, creator)
    if creator is not None and made_by is None:
        # Quay's literal texts, here and below. Pinned by compat/test_default_roles.py.
        raise InvalidRequestError("Unknown activating user")
    given = None if holder is None else await _holder(tx, admin, holder)
    of_team = None if team is None else await _team(tx, admin, team)
    if given is None and of_team is None:
        raise InvalidRequestError("Missing delegate user or team")
    if await default_roles.count(tx, admin.namespace.id) >= MOST:
        raise InvalidRequestError(f"There are {MOST} default permissions already")
    default_role_id = tx.new_id("dfr")
    uuid = uuid_of(default_role_id)
    await default_roles.add(
        tx,
        admin.namespace.id,
        role,
        default_role_id=default_role_id,
        uuid=uuid,
        creator=made_by,
        holder=given,
        team=of_team,
    )
    made = await load(tx, admin, uuid)
    await _note(tx, admin, "create_prototype_permission", made)
    return made


async def change(tx: Tx, admin: AdminOfNamespace, uuid: str, role: Role) -> DefaultRole:
    """Make it another role. What was made before keeps what it has."""
    known = await load(tx, admin, uuid)
    await default_roles.set_role(tx, admin.namespace.id, uuid, role)
    changed = await load(tx, admin, uuid)
    await _note(
        tx, admin, "modify_prototype_permission", changed, original_role=known.role.value
    )
    return changed


async def delete(tx: Tx, admin: AdminOfNamespace, uuid: str) -> None:
    known = await load(tx, admin, uuid)
    await default_roles.remove(tx, admin.namespace.id, uuid)
    await _note(tx, admin, "delete_prototype_permission", known)


async def give(tx: Tx, creator: CreatorIn, repository: Repository) -> None:
    """Give out the roles on a repository that was made a moment ago.

    What is for this very creator goes before what is for anybody, and the creator's own role stays. The server
    gives none: what it makes is somebody else's, with roles of its own.
    """
    actor = creator.actor
    if actor.kind is ActorKind.SYSTEM:
        return
    found: dict[str, DefaultRole] = {}
    for one in await default_roles.list_for_creator(tx, creator.namespace.id, actor.id):
        key = one.holder.id if one.holder is not None else str(one.team_id)
        if key != actor.id and (one.creator is not None or key not in found):
            found[key] = one
    for one in found.values():
        await permissions.put(
            tx, repository.id, one.role, holder=one.holder, team_id=one.team_id
        )


async def _holder(tx: Tx, admin: AdminOfNamespace, name: str) -> Holder | None:
    """The user, or the organization's robot, of that name."""
    if not is_namespace(name.partition("+")[0]) or "\0" in name:
        return None
    found = await users.find_holder(tx, name)
    if found is None or not found.is_robot:
        return found
    if await robots.namespace_of(tx, name) != admin.namespace.name:
        raise InvalidRequestError(
            f"Cannot add robot {name} under namespace {admin.namespace.name}"
        )
    return found


async def _team(tx: Tx, admin: AdminOfNamespace, name: str) -> Team | None:
    return await teams.find(tx, admin.namespace.id, name) if is_team(name) else None


async def _note(
    tx: Tx, admin: AdminOfNamespace, kind: str, one: DefaultRole, **more: object
) -> None:
    delegate = (
        {"delegate_team": one.team}
        if one.holder is None
        else {"delegate_user": one.holder.name}
    )
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={
            "namespace": admin.namespace.name,
            "prototypeid": one.uuid,
            "username": admin.actor.name,
            "activating_username": None if one.creator is None else one.creator.name,
            "role": one.role.value,
            **delegate,
            **more,
        },
    )
