"""Rows of feeds, with their secrets sealed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from dockbell.domain.feeds import Feed
from dockbell.store.tables import feeds as table
from dockbell.store.transactions import Tx

_NOTED_FOR = timedelta(minutes=1)


def _of_row(row: Row[Any]) -> Feed:
    return Feed(
        id=row.id,
        repository_id=row.repository_id,
        source=row.source,
        pipelines=row.pipelines,
        created_by=row.created_by,
        created_at=row.created_at,
        received_at=row.received_at,
    )


async def add(  # noqa: PLR0913 -- one argument for each column a caller fills
    tx: Tx,
    repository_id: str,
    source: str,
    *,
    pipelines: Sequence[str],
    secret: str,
    created_by: str,
) -> Feed:
    feed = Feed(
        id=tx.new_id("fed"),
        repository_id=repository_id,
        source=source,
        pipelines=pipelines,
        created_by=created_by,
        created_at=tx.now,
        received_at=None,
    )
    await tx.run(
        insert(table).values(
            id=feed.id,
            repository_id=repository_id,
            source=source,
            pipelines=list(pipelines),
            secret_sealed=tx.seal.close(secret.encode()),
            created_by=created_by,
            created_at=tx.now,
        )
    )
    return feed


async def count(tx: Tx, repository_id: str) -> int:
    row = await tx.first(
        select(func.count().label("number")).where(table.c.repository_id == repository_id)
    )
    return 0 if row is None else int(row.number)


async def list_of(tx: Tx, repository_id: str) -> Sequence[Feed]:
    """The repository's feeds, in the order they were made. One query."""
    rows = await tx.rows(
        select(table).where(table.c.repository_id == repository_id).order_by(table.c.id)
    )
    return [_of_row(row) for row in rows]


async def find(tx: Tx, feed_id: str) -> tuple[Feed, str] | None:
    """The feed and its secret."""
    row = await tx.first(select(table).where(table.c.id == feed_id))
    return None if row is None else (_of_row(row), tx.seal.open(row.secret_sealed).decode())


async def note_receipt(tx: Tx, feed_id: str) -> None:
    """Note that it told something, at most once in a minute."""
    before = tx.now - _NOTED_FOR
    await tx.run(
        update(table)
        .where(
            table.c.id == feed_id,
            or_(table.c.received_at.is_(None), table.c.received_at < before),
        )
        .values(received_at=tx.now)
    )


async def remove(tx: Tx, repository_id: str, feed_id: str) -> bool:
    return (
        await tx.run(
            delete(table).where(table.c.id == feed_id, table.c.repository_id == repository_id)
        )
        > 0
    )
