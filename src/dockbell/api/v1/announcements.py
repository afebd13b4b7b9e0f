"""What superusers tell everybody, with Quay's addresses and shapes. Quay calls announcements messages."""

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.domain.announcements import LONGEST, Announcement, MediaType, Severity
from dockbell.services import announcements, users
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_NEW = Schema(properties=(Property("message", "object", required=True),))
_MESSAGE = Schema(
    properties=(
        Property(
            "media_type", "string", required=True, enum=tuple(one.value for one in MediaType)
        ),
        Property(
            "severity", "string", required=True, enum=tuple(one.value for one in Severity)
        ),
        Property("content", "string", required=True, most=LONGEST),
    )
)


def _shown(announcement: Announcement) -> dict[str, object]:
    return {
        "uuid": announcement.uuid,
        "content": announcement.content,
        "severity": announcement.severity.value,
        "media_type": announcement.media_type.value,
    }


@get("/messages")
async def list_messages(call: Call) -> Response[bytes]:
    """200 with what superusers tell everybody, the oldest first; also for who is not signed in."""
    async with call.read() as tx:
        found = await announcements.list_all(tx, await call.actor(tx))
    return call.reply(200, {"messages": [_shown(one) for one in found]})


@post("/messages")
async def create_message(call: Call) -> Response[bytes]:
    """201: everybody sees the message from now on."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        body = _MESSAGE.check(call.json(_NEW)["message"])
        await announcements.create(
            tx,
            right,
            Severity(body["severity"]),
            MediaType(body["media_type"]),
            body["content"],
        )
    # Quay: no body at all. Pinned by compat/test_announcements.py.
    return call.reply_nothing(201)


@delete("/message/{uuid:str}", status_code=200)
async def delete_message(call: Call, uuid: FromPath[str]) -> Response[bytes]:
    """204: nobody sees the message any more, nor did anybody if there was none."""
    async with call.begin() as tx:
        right = await users.superuser(tx, await call.actor(tx))
        await announcements.delete(tx, right, uuid)
    return call.reply(204)


HANDLERS = [list_messages, create_message, delete_message]
