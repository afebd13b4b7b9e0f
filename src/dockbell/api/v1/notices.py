"""The in-app inbox with Quay's addresses and shapes (quay-compat 2.3)."""

from email.utils import format_datetime

from litestar import Response, get, put
from litestar.params import FromPath

from dockbell.domain.errors import NotFoundError
from dockbell.domain.notices import Notice
from dockbell.services import notices, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ArgumentError, Call

_DISMISSAL = Schema(properties=(Property("dismissed", "boolean"),))
_PAGE_HELP = "Offset page number. (int)"
_LIMIT_HELP = "Limit on the number of results (int)"
_PER_PAGE = 5


def _shown(notice: Notice) -> dict[str, object]:
    return {
        "id": notice.uuid,
        "organization": notice.organization,
        "kind": notice.kind,
        # Quay: the zone is -0000, which is how RFC 2822 writes "UTC, and no place is meant".
        # Pinned by compat/test_notices.py.
        "created": format_datetime(notice.created_at.replace(tzinfo=None)),
        "metadata": notice.metadata,
        "dismissed": notice.is_dismissed,
    }


@get("/user/notifications")
async def list_notices(call: Call) -> Response[bytes]:
    """200 with one page of what is not dismissed, and whether there is more."""
    async with call.read() as tx:
        me = await users.myself(tx, await call.actor(tx))
        page = _counted(call, "page", 0, _PAGE_HELP)
        limit = _counted(call, "limit", _PER_PAGE, _LIMIT_HELP)
        found, is_more = await notices.list_page(tx, me, page=page, limit=limit)
    return call.reply(
        200, {"notifications": [_shown(one) for one in found], "additional": is_more}
    )


@get("/user/notifications/{uuid:str}")
async def get_notice(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with the notice, dismissed or not, or 404."""
    async with call.read() as tx:
        found = await notices.find(tx, await users.myself(tx, await call.actor(tx)), uuid)
    if found is None:
        raise NotFoundError
    return call.reply(200, _shown(found))


@put("/user/notifications/{uuid:str}")
async def dismiss_notice(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """200 with the notice as it is now, or 404. A missing `dismissed` means false."""
    async with call.begin() as tx:
        me = await users.myself(tx, await call.actor(tx))
        is_dismissed = bool(call.json(_DISMISSAL).get("dismissed", False))
        found = await notices.set_dismissed(tx, me, uuid, is_dismissed=is_dismissed)
    if found is None:
        raise NotFoundError
    return call.reply(200, _shown(found))


def _counted(call: Call, name: str, default: int, about: str) -> int:
    number = call.number(name, default, about)
    if number < 0:
        raise ArgumentError(name, about)
    return number


HANDLERS = [list_notices, get_notice, dismiss_notice]
