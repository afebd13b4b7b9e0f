"""Organizations with Quay's addresses, shapes and statuses (quay-compat 6.6)."""

from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1.quotas import report
from dockbell.api.v1.views import avatar, team_avatar
from dockbell.domain.accounts import Actor
from dockbell.domain.errors import InvalidRequestError
from dockbell.services import organizations, users
from dockbell.services.organizations import Organization
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call

_LONGEST_EMAIL = 255
# Quay: how long removed tags are kept. We keep none, and say what Quay says by default.
TAG_EXPIRATION_SECONDS = 1_209_600

_NEW = Schema(
    properties=(
        Property("name", "string", required=True),
        Property("email", "string", nullable=True, most=_LONGEST_EMAIL),
        Property("recaptcha_response", "string"),
    )
)
_CHANGE = Schema(
    properties=(
        Property("email", "string", most=_LONGEST_EMAIL),
        Property("invoice_email", "boolean"),
        Property("invoice_email_address", "string", nullable=True),
        Property("tag_expiration_s", "integer"),
    )
)
_ALL = "/organization"
_ONE = "/organization/{organization:str}"


def shown(organization: Organization) -> dict[str, object]:
    """Quay's organization object as its caller may see it. Pinned by compat/test_organizations.py."""
    namespace = organization.namespace
    view: dict[str, object] = {
        "name": namespace.name,
        "email": (namespace.email or "") if organization.is_admin else "",
        "avatar": avatar(namespace.name, namespace.email, "org"),
        "is_admin": organization.is_admin,
        "is_member": organization.is_member,
    }
    if organization.teams is not None:
        view["teams"] = {
            counted.team.name: {
                "name": counted.team.name,
                "description": counted.team.description,
                "role": counted.team.role.value,
                "avatar": team_avatar(counted.team.name),
                "can_view": organization.is_admin
                or counted.team.name in organization.own_teams,
                "repo_count": counted.repositories,
                "member_count": counted.members,
                "is_synced": False,
            }
            for counted in organization.teams
        }
        view["ordered_teams"] = [counted.team.name for counted in organization.teams]
    if organization.is_admin:
        view["invoice_email"] = False
        view["invoice_email_address"] = None
        view["tag_expiration_s"] = TAG_EXPIRATION_SECONDS
        view["is_free_account"] = True
    return view


async def _shown_with_quota(
    call: ApiCall, tx: Any, actor: Actor, found: Organization
) -> dict[str, object]:
    view = shown(found)
    if found.is_member or found.is_admin:
        view |= report(await call.faces.quotas.standing_of(tx, actor, found.namespace))
    return view


@post(_ALL)
async def create_organization(call: Call) -> Response[bytes]:
    """201 `"Created"`."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        body = call.json(_NEW)
        await organizations.create(tx, me, body["name"], body.get("email") or None)
    return call.reply(201, "Created")


@get(_ONE)
async def get_organization(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with what the caller may see: everybody the name, members the teams and the quota, admins the address."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        found = await organizations.load(tx, actor, organization)
        view = await _shown_with_quota(call, tx, actor, found)
    return call.reply(200, view)


@put(_ONE)
async def change_organization(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """200 with the organization as it is now. Only the address can change: there are no invoices here."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        body = call.json(_CHANGE)
        if body.get("tag_expiration_s", TAG_EXPIRATION_SECONDS) != TAG_EXPIRATION_SECONDS:
            raise InvalidRequestError(
                "tag_expiration_s cannot be changed here: an operator sets it for all, as keep_deleted_tags"
            )
        if "email" in body:
            await organizations.change_email(tx, admin, body["email"])
        found = await organizations.load(tx, actor, organization)
        view = await _shown_with_quota(call, tx, actor, found)
    return call.reply(200, view)


@delete(_ONE, status_code=200)
async def delete_organization(call: Call, organization: FromPath[str]) -> Response[bytes]:
    """204: it is gone with all that it owned."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await organizations.admin_of_namespace(tx, actor, organization)
        await organizations.delete(tx, admin)
    return call.reply(204)


HANDLERS = [
    create_organization,
    get_organization,
    change_organization,
    delete_organization,
]
