"""Teams, their members and invitations, with Quay's addresses, shapes and statuses (quay-compat 6.6)."""

from litestar import Response, delete, get, put
from litestar.params import FromPath

from dockbell.api.v1.views import holder_avatar, team_avatar
from dockbell.domain.accounts import Holder, Team, TeamRole
from dockbell.services import organizations, team_members, teams, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_LONGEST_DESCRIPTION = 10_000
_TEAM = Schema(
    properties=(
        Property("role", "string", required=True, enum=tuple(role.value for role in TeamRole)),
        Property("description", "string", most=_LONGEST_DESCRIPTION),
    )
)
_ONE = "/organization/{organization:str}/team/{team:str}"


def _shown(team: Team, *, is_new: bool) -> dict[str, object]:
    return {
        "name": team.name,
        "description": team.description,
        "can_view": True,
        "role": team.role.value,
        "avatar": team_avatar(team.name),
        "new_team": is_new,
    }


def _shown_member(holder: Holder, *, is_invited: bool) -> dict[str, object]:
    # Quay: a robot has the kind `user` here too. Pinned by compat/test_teams.py.
    return {
        "name": holder.name,
        "kind": "user",
        "is_robot": holder.is_robot,
        "avatar": holder_avatar(holder),
        "invited": is_invited,
    }


@put(_ONE)
async def put_team(
    call: Call, organization: FromPath[str], team: FromPath[str]
) -> Response[bytes]:
    """200 with the team, made or changed."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        body = call.json(_TEAM)
        made, is_new = await teams.put(
            tx, admin, team, TeamRole(body["role"]), body.get("description")
        )
    return call.reply(200, _shown(made, is_new=is_new))


@delete(_ONE, status_code=200)
async def delete_team(
    call: Call, organization: FromPath[str], team: FromPath[str]
) -> Response[bytes]:
    """204: it is gone, and what its members had by it."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        await teams.delete(tx, admin, team)
    return call.reply(204)


@get(f"{_ONE}/members")
async def list_team_members(
    call: Call, organization: FromPath[str], team: FromPath[str]
) -> Response[bytes]:
    """200 with the members; with `includePending` its admins see those invited too."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found, can_edit = await teams.view(tx, actor, organization, team)
        with_invited = can_edit and call.flag("includePending")
        members = await team_members.list_of(tx, actor, found, with_invited=with_invited)
    return call.reply(
        200,
        {
            "name": found.name,
            "members": [
                _shown_member(member.holder, is_invited=member.is_invited) for member in members
            ],
            "can_edit": can_edit,
        },
    )


@put(f"{_ONE}/members/{{member:str}}")
async def put_team_member(
    call: Call, organization: FromPath[str], team: FromPath[str], member: FromPath[str]
) -> Response[bytes]:
    """200 with the member, who is now in the team or invited to it."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await teams.load(tx, admin, team)
        made = await team_members.put(
            tx, admin, found, member, requires_invite=call.faces.requires_team_invite
        )
    return call.reply(200, _shown_member(made.holder, is_invited=made.is_invited))


@delete(f"{_ONE}/members/{{member:str}}", status_code=200)
async def remove_team_member(
    call: Call, organization: FromPath[str], team: FromPath[str], member: FromPath[str]
) -> Response[bytes]:
    """204: they left the team, or the invitation is taken back."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        found = await teams.load(tx, admin, team)
        await team_members.remove(tx, admin, found, member)
    return call.reply(204)


@get(f"{_ONE}/permissions")
async def list_team_roles(
    call: Call, organization: FromPath[str], team: FromPath[str]
) -> Response[bytes]:
    """200 with the repositories on which the team holds a role."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.viewer_of_namespace(tx, actor, organization)
        found = await teams.list_roles(tx, admin, team)
    return call.reply(
        200,
        {
            "permissions": [
                {
                    "repository": {"name": held.repository, "is_public": held.is_public},
                    "role": held.role.value,
                }
                for held in found
            ]
        },
    )


@put("/teaminvite/{code:str}")
async def accept_invite(call: Call, code: FromPath[str]) -> Response[bytes]:
    """200 with organization and team: the caller now sits in it."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        accepted = await team_members.accept(tx, me, code)
    return call.reply(200, {"org": accepted.organization, "team": accepted.team})


@delete("/teaminvite/{code:str}", status_code=200)
async def decline_invite(call: Call, code: FromPath[str]) -> Response[bytes]:
    """204: the invitation is gone."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        await team_members.decline(tx, me, code)
    return call.reply(204)


HANDLERS = [
    put_team,
    delete_team,
    list_team_members,
    put_team_member,
    remove_team_member,
    list_team_roles,
    accept_invite,
    decline_invite,
]
