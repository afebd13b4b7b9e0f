"""What notifications trust and show in TLS. Keys are sealed; most notifications have no row."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import delete as delete_from
from sqlalchemy import insert as insert_into
from sqlalchemy import select

from dockbell.domain.notifications import Notification
from dockbell.domain.tls import Tls
from dockbell.store.tables import notification_tls as table
from dockbell.store.transactions import Tx


async def put(tx: Tx, notification_id: str, tls: Tls | None) -> None:
    """Set it in place of what was there; None takes it away."""
    await tx.run(delete_from(table).where(table.c.notification_id == notification_id))
    if tls is not None:
        key = tls.client_key.encode()
        await tx.run(
            insert_into(table).values(
                notification_id=notification_id,
                ca=tls.ca or None,
                client_certificate=tls.client_certificate or None,
                client_key_sealed=tx.seal.close(key) if key else None,
            )
        )


async def find_many(tx: Tx, notification_ids: Sequence[str]) -> Mapping[str, Tls]:
    """Those that have any, by notification. One query."""
    if not notification_ids:
        return {}
    rows = await tx.rows(select(table).where(table.c.notification_id.in_(notification_ids)))
    return {
        row.notification_id: Tls(
            row.ca or "",
            row.client_certificate or "",
            ""
            if row.client_key_sealed is None
            else tx.seal.open(row.client_key_sealed).decode(),
        )
        for row in rows
    }


async def completed(tx: Tx, found: Sequence[Notification]) -> Sequence[Notification]:
    """The same notifications, each with its own. One query."""
    known = await find_many(tx, [one.id for one in found])
    if not known:
        return found
    return [replace(one, tls=known.get(one.id)) for one in found]
