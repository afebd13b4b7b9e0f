"""Signing secrets of notifications, sealed. Several may be live while one replaces another."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into

from dockbell.domain.signing import ListedSecret, SecretKind, SigningSecret
from dockbell.store.tables import signing_secrets
from dockbell.store.transactions import Tx


def _is_live(tx: Tx) -> ColumnElement[bool]:
    return or_(signing_secrets.c.expires_at.is_(None), signing_secrets.c.expires_at > tx.now)


async def insert(  # noqa: PLR0913 -- one argument for each column a caller fills
    tx: Tx,
    notification_id: str,
    secret: bytes,
    *,
    kind: SecretKind = SecretKind.HMAC,
    public: bytes = b"",
    expires_at: datetime | None = None,
) -> SigningSecret:
    """Add a secret that is live from now on."""
    made = SigningSecret(tx.new_id("sec"), kind, secret, tx.now, expires_at, public)
    await tx.run(
        insert_into(signing_secrets).values(
            id=made.id,
            notification_id=notification_id,
            kind=kind.value,
            public=public or None,
            secret_sealed=tx.seal.close(secret),
            created_at=tx.now,
            expires_at=expires_at,
        )
    )
    return made


async def find_live(
    tx: Tx, notification_ids: Sequence[str]
) -> Mapping[str, tuple[SigningSecret, ...]]:
    """The secrets that have not expired, by notification, the newest first. One query."""
    if not notification_ids:
        return {}
    rows = await tx.rows(
        select(signing_secrets)
        .where(signing_secrets.c.notification_id.in_(notification_ids), _is_live(tx))
        .order_by(signing_secrets.c.created_at.desc(), signing_secrets.c.id.desc())
    )
    live: dict[str, tuple[SigningSecret, ...]] = {}
    for row in rows:
        secret = SigningSecret(
            id=row.id,
            kind=SecretKind(row.kind),
            value=tx.seal.open(row.secret_sealed),
            created_at=row.created_at,
            expires_at=row.expires_at,
            public=row.public or b"",
        )
        live[row.notification_id] = (*live.get(row.notification_id, ()), secret)
    return live


async def list_live(tx: Tx, notification_id: str) -> Sequence[ListedSecret]:
    """What may be shown of the secrets that have not expired, the newest first. Nothing is opened."""
    rows: Sequence[Any] = await tx.rows(
        select(
            signing_secrets.c.id,
            signing_secrets.c.notification_id,
            signing_secrets.c.kind,
            signing_secrets.c.public,
            signing_secrets.c.created_at,
            signing_secrets.c.expires_at,
        )
        .where(signing_secrets.c.notification_id == notification_id, _is_live(tx))
        .order_by(signing_secrets.c.created_at.desc(), signing_secrets.c.id.desc())
    )
    return [
        ListedSecret(
            id=row.id,
            notification_id=row.notification_id,
            kind=SecretKind(row.kind),
            public=row.public or b"",
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in rows
    ]


async def end(tx: Tx, secret_ids: Sequence[str], at: datetime) -> None:
    """Let the secrets sign until then; one that ends earlier already keeps its end."""
    await tx.run(
        update(signing_secrets)
        .where(
            signing_secrets.c.id.in_(secret_ids),
            or_(signing_secrets.c.expires_at.is_(None), signing_secrets.c.expires_at > at),
        )
        .values(expires_at=at)
    )


async def delete_ended(tx: Tx, notification_id: str) -> None:
    """Remove the notification's secrets that have expired: nothing is left of them, sealed or not."""
    await tx.run(
        delete_from(signing_secrets).where(
            signing_secrets.c.notification_id == notification_id,
            signing_secrets.c.expires_at <= tx.now,
        )
    )
