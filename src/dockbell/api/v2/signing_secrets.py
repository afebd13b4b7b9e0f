"""Signing secrets of a notification: listing, rotating and revoking them, and the public keys for receivers."""

import base64
from collections.abc import Sequence
from datetime import datetime

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody

from dockbell.domain import signing
from dockbell.domain.errors import ConflictError, NotFoundError
from dockbell.domain.forms import moment
from dockbell.domain.signing import ListedSecret, SecretKind, Signature, SigningSecret
from dockbell.services import signing_secrets
from dockbell.web.calls import Call

_ALL = "/notifications/{notification_id:str}/signing-secrets"
_ONE = "/notifications/{notification_id:str}/signing-secrets/{secret_id:str}"
_WEAK = "The secret is short: whoever sees a request may find it by trying. Take 24 characters or more."
# A rotation begins to sign at once, so nobody should keep an old answer for long.
_PUBLIC_SECONDS = 300


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to sign from now on. `keep_seconds`: how long those before it go on signing, a day if left out."""

    kind: SecretKind = SecretKind.HMAC
    keep_seconds: int | None = None
    secret: str | None = None


class ShownSecret(msgspec.Struct, frozen=True):
    """A secret without its bytes. `public_key` is that of a key pair; the last time is null until it is replaced."""

    id: str
    kind: SecretKind
    public_key: str | None
    created_at: datetime
    expires_at: datetime | None


class NewSecret(ShownSecret, frozen=True):
    """A secret as it was made. The secret itself is shown this once, and of a key pair never."""

    secret: str | None
    warning: str | None


class SigningSecrets(msgspec.Struct, frozen=True):
    """What signs for a notification now."""

    signing_secrets: Sequence[ShownSecret]
    signatures: Sequence[Signature]
    public_keys_url: str


def _shown(secret: ListedSecret | SigningSecret) -> ShownSecret:
    return ShownSecret(
        id=secret.id,
        kind=secret.kind,
        public_key=signing.public_text(secret.public) if secret.public else None,
        created_at=secret.created_at,
        expires_at=secret.expires_at,
    )


@get(_ALL)
async def list_signing_secrets(call: Call, notification_id: FromPath[str]) -> SigningSecrets:
    """The live secrets, the newest first; never with the secret itself."""
    async with call.read() as tx:
        viewer, notification = await signing_secrets.viewer_of_notification(
            tx, await call.actor(tx), notification_id
        )
        live = await signing_secrets.list_live(tx, viewer, notification)
    return SigningSecrets(
        signing_secrets=[_shown(secret) for secret in live],
        signatures=notification.signatures,
        public_keys_url=call.faces.links.public_keys(notification.id),
    )


@post(_ALL, status_code=201)
async def rotate_signing_secret(
    call: Call, notification_id: FromPath[str], data: JSONBody[Rotation | None] = None
) -> NewSecret:
    """A new secret, shown in this answer only; those before it sign for a while longer. The body may be left out."""
    wanted = data or Rotation()
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        method = call.faces.methods.get(notification.method)
        if method is None or not method.signs:
            raise ConflictError(f"The method {notification.method} signs nothing")
        made = await signing_secrets.rotate(
            tx,
            admin,
            notification,
            chance=call.notifications.chance,
            kind=wanted.kind,
            keep=signing.span_of(wanted.keep_seconds),
            own=wanted.secret,
        )
    # Of a key pair nobody needs the private half but we.
    secret = None if made.kind is SecretKind.ED25519 else made.text
    warning = _WEAK if signing.is_weak(made) else None
    return NewSecret(**msgspec.structs.asdict(_shown(made)), secret=secret, warning=warning)


@delete(_ONE, status_code=204)
async def revoke_signing_secret(
    call: Call, notification_id: FromPath[str], secret_id: FromPath[str]
) -> None:
    """Nothing: it signs no more. 409 for the last one, since requests would go out unsigned."""
    async with call.begin() as tx:
        admin, notification = await signing_secrets.admin_of_notification(
            tx, await call.actor(tx), notification_id
        )
        await signing_secrets.revoke(tx, admin, notification, secret_id)


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
