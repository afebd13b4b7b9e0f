"""Signing secrets of notifications, sealed. Several may be live while one replaces another."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import insert as insert_into
from sqlalchemy import or_, select

from dockbell.store.tables import signing_secrets
from dockbell.store.transactions import Tx


async def insert(
    tx: Tx, notification_id: str, secret: bytes, *, expires_at: datetime | None = None
) -> None:
    """Add a secret that is live from now on."""
    await tx.run(
        insert_into(signing_secrets).values(
            id=tx.new_id("sec"),
            notification_id=notification_id,
            secret_sealed=tx.seal.close(secret),
            created_at=tx.now,
            expires_at=expires_at,
        )
    )


async def find_live(tx: Tx, notification_ids: Sequence[str]) -> Mapping[str, tuple[bytes, ...]]:
    """The secrets that have not expired, by notification, the newest first. One query."""
    if not notification_ids:
        return {}
    rows = await tx.rows(
        select(signing_secrets.c.notification_id, signing_secrets.c.secret_sealed)
        .where(
            signing_secrets.c.notification_id.in_(notification_ids),
            or_(signing_secrets.c.expires_at.is_(None), signing_secrets.c.expires_at > tx.now),
        )
        .order_by(signing_secrets.c.created_at.desc(), signing_secrets.c.id.desc())
    )
    live: dict[str, tuple[bytes, ...]] = {}
    for row in rows:
        live[row.notification_id] = (
            *live.get(row.notification_id, ()),
            tx.seal.open(row.secret_sealed),
        )
    return live
