"""Rows of Clair's calls: news that is still to be fetched."""

from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from dockbell.domain.clair import Callback
from dockbell.store.tables import clair_callbacks as table
from dockbell.store.transactions import DuplicateError, Tx


async def add(tx: Tx, callback_id: str) -> None:
    """Note that there is news; harmless if it is known already."""
    try:
        async with tx.nested():
            await tx.run(insert(table).values(id=callback_id, due_at=tx.now, created_at=tx.now))
    except DuplicateError:
        pass  # Clair calls again until it is answered


async def count(tx: Tx) -> int:
    row = await tx.first(select(func.count().label("number")).select_from(table))
    return 0 if row is None else int(row.number)


async def find_due(tx: Tx) -> Callback | None:
    """The call that has waited longest."""
    row = await tx.first(
        select(table.c.id, table.c.tries)
        .where(table.c.due_at <= tx.now)
        .order_by(table.c.due_at, table.c.id)
        .limit(1)
    )
    return None if row is None else Callback(row.id, row.tries)


async def postpone(tx: Tx, callback_id: str, until: datetime) -> None:
    await tx.run(
        update(table)
        .where(table.c.id == callback_id)
        .values(due_at=until, tries=table.c.tries + 1)
    )


async def remove(tx: Tx, callback_id: str) -> None:
    await tx.run(delete(table).where(table.c.id == callback_id))
