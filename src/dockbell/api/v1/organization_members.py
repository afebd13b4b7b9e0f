"""People in organizations, with Quay's addresses and shapes."""

from litestar import Response, delete, get
from litestar.params import FromPath

from dockbell.api.v1.views import avatar, team_avatar
from dockbell.domain.memberships import OrganizationMember
from dockbell.services import organizations
from dockbell.web.calls import Call

_ALL = "/organization/{organization:str}/members"
_ONE = "/organization/{organization:str}/members/{member:str}"


def _shown(member: OrganizationMember) -> dict[str, object]:
    return {
        "name": member.name,
        "kind": "user",
        "avatar": avatar(member.name, member.email, "user"),
        "teams": [{"name": team, "avatar": team_avatar(team)} for team in member.teams],
        "repositories": list(member.repositories),
    }


@get(_ALL)
async def list_members(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with everybody who sits in a team."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.viewer_of_namespace(tx, actor, organization)
        found = await organizations.list_members(tx, admin)
    return call.reply(200, {"members": [_shown(member) for member in found]})


@get(_ONE)
async def get_member(
    call: Call, organization: FromPath[str], member: FromPath[str]
) -> Response[bytes]:
    """200 with the person, or 404 if they sit in no team."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin = await organizations.viewer_of_namespace(tx, actor, organization)
        found = await organizations.load_member(tx, admin, member)
    return call.reply(200, _shown(found))


@delete(_ONE, status_code=200)
async def remove_member(
    call: Call, organization: FromPath[str], member: FromPath[str]
) -> Response[bytes]:
    """204: they sit in no team and hold no role there any more."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        await organizations.remove_member(tx, admin, member)
    return call.reply(204)


HANDLERS = [list_members, get_member, remove_member]
