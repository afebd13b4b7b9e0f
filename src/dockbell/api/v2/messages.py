"""What a notification sends: the form of its payload, and how it is signed."""

from litestar import Response, get, put
from litestar.params import FromPath

from dockbell.domain import forms, signing
from dockbell.domain.errors import ConfigError, ConflictError
from dockbell.domain.forms import PayloadForm
from dockbell.domain.notifications import Notification
from dockbell.services import signing_secrets
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import ApiCall, Call

_CHOICE = Schema(
    properties=(
        Property("payload_form", "string", most=255),
        Property("signatures", "array"),
    )
)
_ONE = "/notifications/{notification_id:str}/message"


def _shown(call: ApiCall, notification: Notification) -> dict[str, object]:
    return {
        "payload_form": notification.payload_form.value,
        "content_type": forms.CONTENT_TYPES[notification.payload_form],
        "signatures": list(notification.signatures),
        "public_keys_url": call.faces.links.public_keys(notification.id),
    }


@get(_ONE)
async def show_message(call: Call, notification_id: FromPath[str]) -> Response[bytes]:
    """200 with the form of the payload and the signatures."""
    async with call.read() as tx:
        _, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
    return call.reply(200, _shown(call, notification))


@put(_ONE)
async def choose_message(call: Call, notification_id: FromPath[str]) -> Response[bytes]:
    """200 with both as they are from the next try on; what is left out stays. `v1` always signs."""
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        body = call.json(_CHOICE)
        method = call.faces.methods.get(notification.method)
        if method is None or not method.signs:
            raise ConflictError(
                f"The method {notification.method} has a message of its own and signs nothing"
            )
        changed = await call.notifications.choose(
            tx,
            admin,
            notification.uuid,
            payload_form=PayloadForm.of_name(body["payload_form"])
            if "payload_form" in body
            else None,
            signatures=signing.chosen(_names(body["signatures"]))
            if "signatures" in body
            else None,
        )
    return call.reply(200, _shown(call, changed))


def _names(given: list[object]) -> list[str]:
    names = [one for one in given if isinstance(one, str)]
    if len(names) < len(given):
        raise ConfigError("A signature's name is a string", field="signatures")
    return names


HANDLERS = [show_message, choose_message]
