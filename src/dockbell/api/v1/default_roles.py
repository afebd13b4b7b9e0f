"""Default roles with Quay's addresses, shapes and statuses, where they are called prototypes."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1.views import holder_avatar, team_avatar
from dockbell.domain.accounts import Holder, Role
from dockbell.domain.memberships import DefaultRole
from dockbell.services import default_roles, organizations
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_ROLES = tuple(role.value for role in Role)
_NEW = Schema(
    properties=(
        Property("role", "string", required=True, enum=_ROLES),
        Property("delegate", "object", required=True),
        Property("activating_user", "object", nullable=True),
    )
)
_DELEGATE = Schema(
    properties=(
        Property("name", "string", required=True),
        Property("kind", "string", required=True, enum=("user", "team")),
    )
)
_CREATOR = Schema(properties=(Property("name", "string", required=True),))
_CHANGE = Schema(properties=(Property("role", "string", required=True, enum=_ROLES),))
_ALL = "/organization/{organization:str}/prototypes"
_ONE = f"{_ALL}/{{uuid:str}}"


def _shown_holder(holder: Holder, *, is_member: bool) -> dict[str, object]:
    return {
        "name": holder.name,
        "is_robot": holder.is_robot,
        "kind": "user",
        "is_org_member": is_member,
        "avatar": holder_avatar(holder),
    }


def _shown(one: DefaultRole) -> dict[str, object]:
    creator = one.creator
    if one.holder is not None:
        delegate = _shown_holder(one.holder, is_member=one.holder_is_member)
    else:
        team = str(one.team)
        delegate = {"name": team, "kind": "team", "avatar": team_avatar(team)}
    return {
        "activating_user": None
        if creator is None
        else _shown_holder(creator, is_member=one.creator_is_member),
        "delegate": delegate,
        "role": one.role.value,
        "id": one.uuid,
    }


@get(_ALL)
async def list_default_roles(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with the roles that new repositories of the organization begin with."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer = await organizations.viewer_of_namespace(tx, actor, organization)
        found = await default_roles.list_all(tx, viewer)
    return call.reply(200, {"prototypes": [_shown(one) for one in found]})


@post(_ALL, status_code=200)
async def create_default_role(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with the role, for what `activating_user` makes or, without one, for what anybody makes."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        body = call.json(_NEW)
        delegate = _DELEGATE.check(body["delegate"])
        creator = body.get("activating_user") or None
        is_team = delegate["kind"] == "team"
        made = await default_roles.create(
            tx,
            admin,
            Role(body["role"]),
            creator=None if creator is None else _CREATOR.check(creator)["name"],
            holder=None if is_team else delegate["name"],
            team=delegate["name"] if is_team else None,
        )
    return call.reply(200, _shown(made))


@put(_ONE)
async def change_default_role(
    call: Call, organization: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 with the role as it is now. Repositories that are there keep what they have."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        body = call.json(_CHANGE)
        changed = await default_roles.change(tx, admin, uuid, Role(body["role"]))
    return call.reply(200, _shown(changed))


@delete(_ONE, status_code=200)
async def delete_default_role(
    call: Call, organization: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """204: new repositories begin without it."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        await default_roles.delete(tx, admin, uuid)
    return call.reply(204)


HANDLERS = [
    list_default_roles,
    create_default_role,
    change_default_role,
    delete_default_role,
]
