"""Signing secrets of notifications: making, replacing, revoking, and showing what may be shown of them."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dockbell.domain import signing
from dockbell.domain.accounts import Actor, Role
from dockbell.domain.errors import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.notifications import Notification
from dockbell.domain.permissions import AdminOfPlace, ViewerOfPlace
from dockbell.domain.signing import ListedSecret, SecretKind, Signature, SigningSecret
from dockbell.services import areas, audit_entries, repositories
from dockbell.store import notifications, signing_secrets
from dockbell.store import repositories as repository_rows
from dockbell.store.transactions import Tx

Chance = Callable[[int], bytes]  # that many unpredictable bytes


async def admin_of_notification(
    tx: Tx, actor: Actor, notification_id: str
) -> tuple[AdminOfPlace, Notification]:
    """The right to administer a notification's place, and the notification; or raise.

    It is found by its id and by its UUID. To whom may not see its place it does not exist.
    """
    if actor.is_anonymous:
        raise UnauthenticatedError
    notification = await notifications.find_by_any_id(tx, notification_id)
    if notification is None:
        raise NotFoundError
    repository = (
        None
        if notification.repository_id is None
        else await repository_rows.find_by_id(tx, notification.repository_id)
    )
    if repository is None:
        return await areas.admin_by_id(tx, actor, notification.place_id), notification
    try:
        return await repositories.admin_of(tx, actor, repository.path), notification
    except ForbiddenError:
        if Role.READ in await repositories.roles_of(tx, actor, repository.path):
            raise
        raise NotFoundError from None


async def viewer_of_notification(
    tx: Tx, actor: Actor, notification_id: str
) -> tuple[ViewerOfPlace, Notification]:
    """The right to see a notification's place as its administrators do, and the notification, found likewise; or raise."""
    if not actor.is_readonly_superuser:
        return await admin_of_notification(tx, actor, notification_id)
    notification = await notifications.find_by_any_id(tx, notification_id)
    if notification is None:
        raise NotFoundError
    return await areas.viewer_by_id(tx, actor, notification.place_id), notification


async def list_live(
    tx: Tx, viewer: ViewerOfPlace, notification: Notification
) -> Sequence[ListedSecret]:
    """What may be shown of the secrets that sign now, the newest first."""
    del viewer  # that they may is all that is asked
    return await signing_secrets.list_live(tx, notification.id)


async def list_public(tx: Tx, notification_id: str) -> Sequence[ListedSecret]:
    """The live key pairs of a notification by id or UUID, to be shown to anybody; none for an unknown one."""
    found = await notifications.find_by_any_id(tx, notification_id)
    if found is None:
        return ()
    live = await signing_secrets.list_live(tx, found.id)
    return [secret for secret in live if secret.kind is SecretKind.ED25519]


async def make(
    tx: Tx, admin: AdminOfPlace, notification_id: str, kind: SecretKind, chance: Chance
) -> SigningSecret:
    """Add a secret of this kind that signs from now on."""
    del admin  # that they may is all that is asked
    value = signing.new_secret(chance(signing.SECRET_BYTES))
    return await signing_secrets.insert(
        tx, notification_id, value, kind=kind, public=_public_of(kind, value)
    )


async def make_missing(
    tx: Tx, admin: AdminOfPlace, notification: Notification, chance: Chance
) -> Sequence[SigningSecret]:
    """Add what the notification's ways to sign need and it has not; return what was made."""
    live = await signing_secrets.list_live(tx, notification.id)
    has = {secret.kind for secret in live}
    needs = _needs(notification.signatures)
    return [
        await make(tx, admin, notification.id, kind, chance)
        for kind in needs
        if kind not in has
    ]


async def rotate(  # noqa: PLR0913 -- what is asked for, and by whom
    tx: Tx,
    admin: AdminOfPlace,
    notification: Notification,
    *,
    chance: Chance,
    kind: SecretKind = SecretKind.HMAC,
    keep: timedelta = signing.KEPT,
    own: str | None = None,
) -> SigningSecret:
    """Add a secret, which the result carries this once; those before it go on signing for `keep` and then end.

    `own` is a secret that the caller brings along. Raise ConflictError if so many are live already.
    """
    if not timedelta() <= keep <= signing.LONGEST_KEPT:
        days = signing.LONGEST_KEPT.days
        raise ConfigError(
            f"A replaced secret signs for 0 to {days * 24 * 3600} seconds longer ({days} days)",
            field="keep_seconds",
        )
    value = _value_of(kind, own, chance)
    # First of all the notification's row, so that of two rotations at once the second sees the first.
    await notifications.touch(tx, notification.id)
    live = await signing_secrets.list_live(tx, notification.id)
    before = [secret.id for secret in live if secret.kind is kind]
    if keep and len(before) >= signing.MOST_LIVE:
        raise ConflictError(
            f"{signing.MOST_LIVE} secrets are live already. Revoke one, or let none go on signing."
        )
    await signing_secrets.end(tx, before, tx.now + keep)
    await signing_secrets.delete_ended(tx, notification.id)
    made = await signing_secrets.insert(
        tx, notification.id, value, kind=kind, public=_public_of(kind, value)
    )
    await _audit(tx, admin, "rotate_signing_secret", notification, made.id)
    return made


async def revoke(
    tx: Tx, admin: AdminOfPlace, notification: Notification, secret_id: str
) -> None:
    """End a secret now, and keep nothing of it. Raise ConflictError for the last one that the notification signs with."""
    await notifications.touch(tx, notification.id)
    live = await signing_secrets.list_live(tx, notification.id)
    gone = next((secret for secret in live if secret.id == secret_id), None)
    if gone is None:
        raise NotFoundError
    is_last = [secret.kind for secret in live].count(gone.kind) == 1
    if is_last and gone.kind in _needs(notification.signatures):
        raise ConflictError(
            "This is the only live secret of its kind, and without it requests would go out unsigned. "
            "Rotate it, and let it go on signing for 0 seconds."
        )
    await signing_secrets.end(tx, [gone.id], tx.now)
    await signing_secrets.delete_ended(tx, notification.id)
    await _audit(tx, admin, "revoke_signing_secret", notification, gone.id)


def _needs(signatures: Sequence[Signature]) -> list[SecretKind]:
    return [SecretKind.HMAC] + [SecretKind.ED25519] * (Signature.V1A in signatures)


def _value_of(kind: SecretKind, own: str | None, chance: Chance) -> bytes:
    match kind, own:
        case SecretKind.ED25519, str():
            raise ConfigError("A key pair is always made here", field="secret")
        case SecretKind.GITHUB, str():
            return signing.of_github_text(own)
        case SecretKind.GITHUB, _:
            raise ConfigError(
                "Say which text the receiver of X-Hub-Signature-256 has", field="secret"
            )
        case _, str():
            return signing.of_text(own)
        case _:
            return signing.new_secret(chance(signing.SECRET_BYTES))


def _public_of(kind: SecretKind, value: bytes) -> bytes:
    if kind is not SecretKind.ED25519:
        return b""
    return Ed25519PrivateKey.from_private_bytes(value).public_key().public_bytes_raw()


async def _audit(
    tx: Tx, admin: AdminOfPlace, kind: str, notification: Notification, secret_id: str
) -> None:
    await audit_entries.write_at(
        tx,
        admin,
        kind,
        notification_id=notification.uuid,
        signing_secret_id=secret_id,
    )
