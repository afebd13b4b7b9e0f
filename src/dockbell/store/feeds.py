"""Rows of feeds, with their secrets sealed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, delete, func, insert, literal, or_, select, update

from dockbell.domain.feeds import Feed
from dockbell.store.tables import feeds as table
from dockbell.store.transactions import Tx

_NOTED_FOR = timedelta(minutes=1)


def _of_row(tx: Tx, row: Row[Any]) -> Feed:
    ends_at = row.previous_ends_at
    return Feed(
        id=row.id,
        repository_id=row.repository_id,
        source=row.source,
        pipelines=row.pipelines,
        created_by=row.created_by,
        created_at=row.created_at,
        received_at=row.received_at,
        previous_ends_at=ends_at if ends_at is not None and ends_at > tx.now else None,
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
    return [_of_row(tx, row) for row in rows]


async def find(tx: Tx, feed_id: str) -> tuple[Feed, Sequence[str]] | None:
    """The feed and the secrets that are taken now, the newest first."""
    row = await tx.first(select(table).where(table.c.id == feed_id))
    if row is None:
        return None
    feed = _of_row(tx, row)
    live = [row.secret_sealed]
    if feed.previous_ends_at is not None:
        live.append(row.previous_secret_sealed)
    return feed, [tx.seal.open(one).decode() for one in live]


async def hold(tx: Tx, repository_id: str, feed_id: str) -> Feed | None:
    """The repository's feed, which nobody else changes until this transaction ends."""
    row = await tx.first(
        select(table)
        .where(table.c.id == feed_id, table.c.repository_id == repository_id)
        .with_for_update()
    )
    return None if row is None else _of_row(tx, row)


async def replace_secret(tx: Tx, feed_id: str, secret: str, until: datetime) -> None:
    """Take this secret from now on, and the one before until then."""
    await tx.run(
        update(table)
        .where(table.c.id == feed_id)
        .values(
            previous_secret_sealed=case((literal(until > tx.now), table.c.secret_sealed)),
            previous_ends_at=until if until > tx.now else None,
            secret_sealed=tx.seal.close(secret.encode()),
        )
    )


async def forget_previous(tx: Tx, feed_id: str) -> None:
    """Take the newest secret alone, and keep nothing of the one before."""
    await tx.run(
        update(table)
        .where(table.c.id == feed_id)
        .values(previous_secret_sealed=None, previous_ends_at=None)
    )


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
