"""Signing secrets of a notification: listing, rotating and revoking them, and the public keys for receivers."""

import base64
from datetime import timedelta

from litestar import Response, delete, get, post
from litestar.params import FromPath

from dockbell.domain import signing
from dockbell.domain.errors import ConflictError, NotFoundError
from dockbell.domain.forms import moment
from dockbell.domain.signing import ListedSecret, SecretKind, SigningSecret
from dockbell.services import signing_secrets
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_ROTATION = Schema(
    properties=(
        Property("kind", "string", enum=tuple(kind.value for kind in SecretKind)),
        Property("keep_seconds", "integer"),
        Property("secret", "string", nullable=True, most=200),
    )
)
_ALL = "/notifications/{notification_id:str}/signing-secrets"
_ONE = "/notifications/{notification_id:str}/signing-secrets/{secret_id:str}"
_WEAK = "The secret is short: whoever sees a request may find it by trying. Take 24 characters or more."
# A rotation begins to sign at once, so nobody should keep an old answer for long.
_PUBLIC_SECONDS = 300


def _shown(secret: ListedSecret | SigningSecret) -> dict[str, object]:
    return {
        "id": secret.id,
        "kind": secret.kind.value,
        "public_key": signing.public_text(secret.public) if secret.public else None,
        "created_at": moment(secret.created_at),
        "expires_at": None if secret.expires_at is None else moment(secret.expires_at),
    }


@get(_ALL)
async def list_signing_secrets(call: Call, notification_id: FromPath[str]) -> Response[bytes]:
    """200 with the live secrets, the newest first; never with the secret itself."""
    async with call.read() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        live = await signing_secrets.list_live(tx, admin, notification)
    return call.reply(
        200,
        {
            "signing_secrets": [_shown(secret) for secret in live],
            "signatures": list(notification.signatures),
            "public_keys_url": call.faces.links.public_keys(notification.id),
        },
    )


@post(_ALL)
async def rotate_signing_secret(call: Call, notification_id: FromPath[str]) -> Response[bytes]:
    """201 with a new secret, shown in this answer only; those before it sign for a while longer."""
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        body = call.optional_json(_ROTATION)
        method = call.faces.methods.get(notification.method)
        if method is None or not method.signs:
            raise ConflictError(f"The method {notification.method} signs nothing")
        made = await signing_secrets.rotate(
            tx,
            admin,
            notification,
            chance=call.notifications.chance,
            kind=SecretKind(body.get("kind", SecretKind.HMAC)),
            keep=_span_of(body.get("keep_seconds")),
            own=body.get("secret"),
        )
    # Of a key pair nobody needs the private half but we.
    secret = None if made.kind is SecretKind.ED25519 else made.text
    warning = _WEAK if signing.is_weak(made) else None
    return call.reply(201, {**_shown(made), "secret": secret, "warning": warning})


def _span_of(seconds: int | None) -> timedelta:
    if seconds is None:
        return signing.KEPT
    least, most = -1, int(signing.LONGEST_KEPT.total_seconds()) + 1
    return timedelta(seconds=min(max(seconds, least), most))  # beyond both ends it is refused


@delete(_ONE, status_code=200)
async def revoke_signing_secret(
    call: Call, notification_id: FromPath[str], secret_id: FromPath[str]
) -> Response[bytes]:
    """204: it signs no more. 409 for the last one, since requests would go out unsigned."""
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        await signing_secrets.revoke(tx, admin, notification, secret_id)
    return call.reply(204)


@get("/.well-known/dockbell-keys/{notification_id:str}", include_in_schema=False)
async def show_public_keys(call: Call, notification_id: FromPath[str]) -> Response[bytes]:
    """200 with the public keys that sign for a notification now, as a JWK set; for anybody. 404 without one."""
    async with call.read() as tx:
        keys = await signing_secrets.list_public(tx, notification_id)
    if not keys:
        raise NotFoundError
    return call.reply(
        200,
        {
            "keys": [
                {
                    "kid": key.id,
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "alg": "EdDSA",
                    "use": "sig",
                    "x": base64.urlsafe_b64encode(key.public).rstrip(b"=").decode(),
                    "standard_webhooks": signing.public_text(key.public),
                    "expires_at": None if key.expires_at is None else moment(key.expires_at),
                }
                for key in keys
            ]
        },
        {"cache-control": f"public, max-age={_PUBLIC_SECONDS}"},
    )


HANDLERS = [list_signing_secrets, rotate_signing_secret, revoke_signing_secret]
PUBLIC_HANDLERS = [show_public_keys]
