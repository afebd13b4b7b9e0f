"""Rows of images that a Clair is still to be asked about."""

from datetime import datetime

from sqlalchemy import delete, select, update

from dockbell.domain.clair import Indexing
from dockbell.store.tables import clair_indexings as table
from dockbell.store.transactions import Tx


async def add(tx: Tx, repository_id: str, digest: str) -> None:
    """Have the image indexed soon; harmless if that is so already."""
    await tx.run(
        tx.dialect.insert(table)
        .values(
            repository_id=repository_id,
            digest=digest,
            tries=0,
            due_at=tx.now,
            created_at=tx.now,
        )
        .on_conflict_do_nothing()
    )


async def has_due(tx: Tx) -> bool:
    """Whether some image waits for nobody. Reads only."""
    row = await tx.first(select(table.c.digest).where(table.c.due_at <= tx.now).limit(1))
    return row is not None


async def claim(tx: Tx, until: datetime) -> Indexing | None:
    """The image that has waited longest, so that nobody else gets it before then; None if none is due."""
    row = await tx.first(
        select(table.c.repository_id, table.c.digest, table.c.tries)
        .where(table.c.due_at <= tx.now)
        .order_by(table.c.due_at, table.c.repository_id, table.c.digest)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return None
    found = Indexing(row.repository_id, row.digest, row.tries + 1)
    await postpone(tx, found, until)
    return found


async def postpone(tx: Tx, one: Indexing, until: datetime) -> None:
    """Let it wait until then, with so many tries made."""
    await tx.run(
        update(table)
        .where(table.c.repository_id == one.repository_id, table.c.digest == one.digest)
        .values(due_at=until, tries=one.tries)
    )


async def remove(tx: Tx, one: Indexing) -> None:
    await tx.run(
        delete(table).where(
            table.c.repository_id == one.repository_id, table.c.digest == one.digest
        )
    )
