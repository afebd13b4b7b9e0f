"""What a notification sends: the form of its payload, and how it is signed."""

from collections.abc import Sequence

import msgspec
from litestar import get, put
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from dockbell.domain import forms, signing
from dockbell.domain.errors import ConflictError
from dockbell.domain.forms import PayloadForm
from dockbell.domain.notifications import Notification
from dockbell.domain.signing import Signature
from dockbell.services import signing_secrets
from dockbell.web.calls import ApiCall, Call

_ONE = "/notifications/{notification_id:str}/message"


class MessageChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be changed; what is left out stays."""

    payload_form: PayloadForm | UnsetType = UNSET
    signatures: Sequence[Signature] | UnsetType = UNSET


class MessageSettings(msgspec.Struct, frozen=True):
    """How the payload looks and how it is signed. The public keys are for anybody, if `v1a` signs."""

    payload_form: PayloadForm
    content_type: str
    signatures: Sequence[Signature]
    public_keys_url: str


def _shown(call: ApiCall, notification: Notification) -> MessageSettings:
    return MessageSettings(
        payload_form=notification.payload_form,
        content_type=forms.CONTENT_TYPES[notification.payload_form],
        signatures=notification.signatures,
        public_keys_url=call.faces.links.public_keys(notification.id),
    )


@get(_ONE)
async def show_message(call: Call, notification_id: FromPath[str]) -> MessageSettings:
    """The form of the payload and the signatures."""
    async with call.read() as tx:
        _, notification = await signing_secrets.viewer_of_notification(
            tx, await call.actor(tx), notification_id
        )
    return _shown(call, notification)


@put(_ONE)
async def choose_message(
    call: Call, notification_id: FromPath[str], data: JSONBody[MessageChoice]
) -> MessageSettings:
    """Both as they are from the next try on; what is left out stays. `v1` always signs."""
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        method = call.faces.methods.get(notification.method)
        if method is None or not method.signs:
            raise ConflictError(
                f"The method {notification.method} has a message of its own and signs nothing"
            )
        changed = await call.notifications.choose(
            tx,
            admin,
            notification.uuid,
            payload_form=None if data.payload_form is UNSET else data.payload_form,
            signatures=None if data.signatures is UNSET else signing.chosen(data.signatures),
        )
    return _shown(call, changed)


HANDLERS = [show_message, choose_message]
