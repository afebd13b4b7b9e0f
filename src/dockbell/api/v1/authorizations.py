"""The applications that act for a user, with Quay's addresses and shapes (quay-compat 6.3)."""

from litestar import Response, delete, get
from litestar.params import FromPath

from dockbell.api.v1.views import avatar
from dockbell.domain.accounts import Authorization, scopes_of
from dockbell.domain.consents import Meaning, meanings_of
from dockbell.services import authorizations, users
from dockbell.web.calls import Call

_ALL = "/user/authorizations"


def _shown_scope(meaning: Meaning) -> dict[str, object]:
    return {
        "scope": meaning.scope.value,
        "title": meaning.title,
        "description": meaning.about,
        "dangerous": meaning.is_dangerous,
    }


def _shown(one: Authorization) -> dict[str, object]:
    name, owner = one.application_name, one.organization
    return {
        "application": {
            "name": name,
            "description": one.application_description,
            "url": one.application_uri,
            "avatar": avatar(name, one.avatar_email or one.organization_email, "app"),
            "organization": {
                "name": owner,
                "avatar": avatar(owner, one.organization_email, "org"),
            },
        },
        "scopes": [_shown_scope(each) for each in meanings_of(scopes_of(one.token.scope))],
        "uuid": one.token.uuid,
    }


@get(_ALL)
async def list_authorizations(call: Call) -> Response[bytes]:
    """200 with the applications that act for you, the newest first; never with their tokens."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
        found = await authorizations.list_own(tx, me)
    return call.reply(200, {"authorizations": [_shown(one) for one in found]})


@get(f"{_ALL}/{{uuid:str}}")
async def get_authorization(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with one of them, or 404."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
        found = await authorizations.load_own(tx, me, uuid)
    return call.reply(200, _shown(found))


@delete(f"{_ALL}/{{uuid:str}}", status_code=200)
async def revoke_authorization(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: its token is void at once; 404 for an unknown one."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        await authorizations.revoke_own(tx, me, uuid)
    return call.reply(204)


HANDLERS = [list_authorizations, get_authorization, revoke_authorization]
