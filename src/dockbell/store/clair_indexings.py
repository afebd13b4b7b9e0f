"""Rows of images that a Clair is still to be asked about."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, exists, select, tuple_, update

from dockbell.domain.clair import Indexing
from dockbell.store.tables import clair_indexings as table
from dockbell.store.tables import manifests, scans
from dockbell.store.transactions import Tx


async def add(
    tx: Tx, repository_id: str, digest: str, pushed_at: datetime | None = None
) -> None:
    """Have the image, pushed now or then, indexed soon; harmless if that is so already."""
    await tx.run(
        tx.dialect.insert(table)
        .values(
            repository_id=repository_id,
            digest=digest,
            tries=0,
            due_at=tx.now,
            created_at=pushed_at or tx.now,
        )
        .on_conflict_do_nothing()
    )


async def has_due(tx: Tx) -> bool:
    """Whether some image waits for nobody. Reads only."""
    row = await tx.first(select(table.c.digest).where(table.c.due_at <= tx.now).limit(1))
    return row is not None


async def claim(tx: Tx, until: datetime) -> Indexing | None:
    """The image that was pushed last, so that nobody else gets it before then; None if none is due.

    What was just pushed is what somebody waits for, not what has lain here for years.
    """
    row = await tx.first(
        select(table.c.repository_id, table.c.digest, table.c.tries)
        .where(table.c.due_at <= tx.now)
        .order_by(table.c.created_at.desc(), table.c.repository_id, table.c.digest)
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


async def list_unscanned(
    tx: Tx, scanner: str, *, after: tuple[str, str], limit: int
) -> Sequence[Row[Any]]:
    """Manifests after that repository and digest which the scanner has not reported on, nor is to be asked about."""
    at = (manifests.c.repository_id, manifests.c.digest)
    is_scanned = exists().where(
        scans.c.repository_id == at[0], scans.c.digest == at[1], scans.c.scanner == scanner
    )
    is_noted = exists().where(table.c.repository_id == at[0], table.c.digest == at[1])
    return await tx.rows(
        select(*at, manifests.c.media_type, manifests.c.body, manifests.c.created_at)
        .where(tuple_(*at) > tuple_(*after), ~is_scanned, ~is_noted)
        .order_by(*at)
        .limit(limit)
    )
