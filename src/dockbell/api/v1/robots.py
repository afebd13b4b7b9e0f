"""Robots of organizations and of users, with Quay's addresses, shapes and statuses (quay-compat 6.6)."""

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1.views import date, team_avatar
from dockbell.domain.accounts import Robot
from dockbell.services import organizations, robots, users
from dockbell.services.robots import LONGEST_DESCRIPTION, ListedRobot
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_NEW = Schema(
    properties=(
        Property("description", "string", nullable=True, most=LONGEST_DESCRIPTION),
        Property("unstructured_metadata", "object", nullable=True),
    )
)
_ALL = ["/organization/{organization:str}/robots", "/user/robots"]
_ONE = [
    "/organization/{organization:str}/robots/{short_name:str}",
    "/user/robots/{short_name:str}",
]
_REGENERATE = [f"{one}/regenerate" for one in _ONE]
_PERMISSIONS = [f"{one}/permissions" for one in _ONE]
_MOST = 1_000_000
_LIMIT_HELP = "If specified, the number of robots to return. (int)"


def _shown(robot: Robot, token: str, *, with_metadata: bool = True) -> dict[str, object]:
    view: dict[str, object] = {
        "name": robot.name,
        "created": date(robot.created_at),
        "last_accessed": date(robot.last_used_at),
        "description": robot.description,
        "token": token,
    }
    if with_metadata:
        view["unstructured_metadata"] = robot.metadata
    return view


def _shown_in_list(listed: ListedRobot) -> dict[str, object]:
    view: dict[str, object] = {
        "name": listed.robot.name,
        "created": date(listed.robot.created_at),
        "last_accessed": date(listed.robot.last_used_at),
    }
    if listed.teams is not None:
        view["teams"] = [{"name": name, "avatar": team_avatar(name)} for name in listed.teams]
    if listed.repositories is not None:
        view["repositories"] = list(listed.repositories)
    view["description"] = listed.robot.description
    if listed.token is not None:
        view["token"] = listed.token
    return view


def _organization(call: Call) -> str | None:
    """The organization in the address; None below `/user`, where the caller's own robots are meant."""
    name: str | None = call.request.path_params.get("organization")
    return name


@get(_ALL)
async def list_robots(call: Call) -> Response[bytes]:
    """200 with the robots; to an organization's admins with tokens and, if asked, teams and repositories."""
    with_token = call.text("token", "true").lower() not in {"false", "0", "no"}
    with_roles = call.flag("permissions")
    async with call.read() as tx:
        actor = await call.actor(tx)
        organization = _organization(call)
        if organization is None:
            admin = await users.admin_of_self(tx, actor)
            limit = _limit(call)
            found = await robots.list_of(
                tx, admin, with_token=with_token, with_roles=with_roles, limit=limit
            )
        else:
            member = await organizations.member_of(tx, actor, organization)
            limit = _limit(call)
            found = await robots.list_of_organization(
                tx, member, with_token=with_token, with_roles=with_roles, limit=limit
            )
    return call.reply(200, {"robots": [_shown_in_list(listed) for listed in found]})


@get(_ONE)
async def get_robot(call: Call, short_name: FromPath[str]) -> Response[bytes]:
    """200 with the robot and its token, or 400 for an unknown one."""
    async with call.read() as tx:
        admin = await robots.admin_of_owner(tx, await call.actor(tx), _organization(call))
        robot, token = await robots.load(tx, admin, short_name)
    return call.reply(200, _shown(robot, token))


@put(_ONE)
async def create_robot(call: Call, short_name: FromPath[str]) -> Response[bytes]:
    """201 with the robot and its token. The body may be left out."""
    async with call.begin() as tx:
        admin = await robots.admin_of_owner(tx, await call.actor(tx), _organization(call))
        body = call.optional_json(_NEW)
        robot, token = await robots.create(
            tx,
            admin,
            short_name,
            description=body.get("description") or "",
            metadata=body.get("unstructured_metadata") or {},
        )
    return call.reply(201, _shown(robot, token))


@delete(_ONE, status_code=200)
async def delete_robot(call: Call, short_name: FromPath[str]) -> Response[bytes]:
    """204: it is gone, and its token is void."""
    async with call.begin() as tx:
        admin = await robots.admin_of_owner(tx, await call.actor(tx), _organization(call))
        await robots.delete(tx, admin, short_name)
    return call.reply(204)


@post(_REGENERATE)
async def regenerate_robot(call: Call, short_name: FromPath[str]) -> Response[bytes]:
    """200 with the robot and its new token; the old one is void."""
    async with call.begin() as tx:
        admin = await robots.admin_of_owner(tx, await call.actor(tx), _organization(call))
        robot, token = await robots.regenerate(tx, admin, short_name)
    return call.reply(200, _shown(robot, token, with_metadata=False))


@get(_PERMISSIONS)
async def list_robot_roles(call: Call, short_name: FromPath[str]) -> Response[bytes]:
    """200 with the repositories on which the robot holds a role."""
    async with call.read() as tx:
        admin = await robots.admin_of_owner(tx, await call.actor(tx), _organization(call))
        found = await robots.list_roles(tx, admin, short_name)
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


def _limit(call: Call) -> int | None:
    limit = call.number("limit", -1, _LIMIT_HELP)
    return limit if 0 <= limit <= _MOST else None


HANDLERS = [
    list_robots,
    get_robot,
    create_robot,
    delete_robot,
    regenerate_robot,
    list_robot_roles,
]
