"""Roles on a repository with Quay's addresses, shapes and statuses (quay-compat 6.6)."""

from litestar import Response, delete, get, put
from litestar.params import FromPath

from dockbell.api.v1.views import holder_avatar, team_avatar
from dockbell.domain.accounts import Role
from dockbell.domain.memberships import HeldRole, TeamHeldRole
from dockbell.services import permissions, repositories
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_ROLE = Schema(
    properties=(
        Property("role", "string", required=True, enum=tuple(role.value for role in Role)),
    )
)
_USERS = "/repository/{repository:str}/permissions/user"
_USER = "/repository/{repository:str}/permissions/user/{name:str}"
_TEAMS = "/repository/{repository:str}/permissions/team"
_TEAM = "/repository/{repository:str}/permissions/team/{name:str}"


def _shown(held: HeldRole) -> dict[str, object]:
    view: dict[str, object] = {
        "role": held.role.value,
        "name": held.holder.name,
        "is_robot": held.holder.is_robot,
        "avatar": holder_avatar(held.holder),
    }
    if held.is_member is not None:
        view["is_org_member"] = held.is_member
    return view


def _shown_team(held: TeamHeldRole) -> dict[str, object]:
    return {"role": held.role.value, "name": held.team, "avatar": team_avatar(held.team)}


@get(_USERS)
async def list_user_roles(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with users and robots by name."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        found = await permissions.list_held(tx, admin)
    shown = {held.holder.name: _shown(held) for held in found}
    return call.reply(200, {"permissions": shown})


@get(_USER)
async def get_user_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """200 with the user's or robot's own role, or 400 for none."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        held = await permissions.load_held(tx, admin, name)
    return call.reply(200, _shown(held))


@get(f"{_USER}/transitive")
async def list_transitive_roles(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """200 with every role, also those by a team; 404 for none."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        roles = await permissions.list_roles(tx, admin, name)
    return call.reply(200, {"permissions": [{"role": role.value} for role in roles]})


@put(_USER)
async def put_user_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """200 with the role, given in place of the one before."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        body = call.json(_ROLE)
        held = await permissions.put_held(tx, admin, name, Role(body["role"]))
    return call.reply(200, _shown(held))


@delete(_USER, status_code=200)
async def remove_user_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """204: the role is taken away."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await permissions.remove_held(tx, admin, name)
    return call.reply(204)


@get(_TEAMS)
async def list_team_roles(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with teams by name."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        found = await permissions.list_teams(tx, admin)
    return call.reply(200, {"permissions": {held.team: _shown_team(held) for held in found}})


@get(_TEAM)
async def get_team_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """200 with the team's role, or 400 for none."""
    async with call.read() as tx:
        admin = await repositories.viewer_of(tx, await call.actor(tx), call.path(repository))
        role = await permissions.load_team(tx, admin, name)
    # Quay: only the role, unlike in the list. Pinned by compat/test_permissions.py.
    return call.reply(200, {"role": role.value})


@put(_TEAM)
async def put_team_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """200 with the role, given in place of the one before."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        body = call.json(_ROLE)
        held = await permissions.put_team(tx, admin, name, Role(body["role"]))
    return call.reply(200, _shown_team(held))


@delete(_TEAM, status_code=200)
async def remove_team_role(
    call: Call, repository: FromPath[str], name: FromPath[str]
) -> Response[bytes]:
    """204: the role is taken away."""
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), call.path(repository))
        await permissions.remove_team(tx, admin, name)
    return call.reply(204)


HANDLERS = [
    list_user_roles,
    get_user_role,
    list_transitive_roles,
    put_user_role,
    remove_user_role,
    list_team_roles,
    get_team_role,
    put_team_role,
    remove_team_role,
]
