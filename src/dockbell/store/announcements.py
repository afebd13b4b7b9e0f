"""Rows of announcements."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from dockbell.domain.announcements import Announcement, MediaType, Severity
from dockbell.store.tables import announcements
from dockbell.store.transactions import Tx


async def list_all(tx: Tx) -> Sequence[Announcement]:
    """All of them, the oldest first."""
    rows = await tx.rows(select(announcements).order_by(announcements.c.id))
    return [
        Announcement(
            id=row.id,
            uuid=row.uuid,
            severity=Severity(row.severity),
            media_type=MediaType(row.media_type),
            content=row.content,
            created_at=row.created_at,
        )
        for row in rows
    ]


async def add(tx: Tx, announcement: Announcement) -> None:
    await tx.run(
        insert(announcements).values(
            id=announcement.id,
            uuid=announcement.uuid,
            severity=announcement.severity.value,
            media_type=announcement.media_type.value,
            content=announcement.content,
            created_at=announcement.created_at,
        )
    )


async def remove(tx: Tx, uuid: str) -> bool:
    """Whether there was one."""
    return await tx.run(delete(announcements).where(announcements.c.uuid == uuid)) == 1
