"""Rows of tags: names that point to manifests."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from dockbell.store.tables import tags
from dockbell.store.transactions import Tx


def _is_live(tx: Tx) -> ColumnElement[bool]:
    return or_(tags.c.expires_at.is_(None), tags.c.expires_at > tx.now)


def _in_byte_order(tx: Tx) -> ColumnElement[str]:
    # A database with a language's collation would sort `B` behind `a`; the standard and `last` need bytes.
    return tags.c.name.collate("C" if tx.dialect.NAME == "postgresql" else "BINARY")


async def find_digest(tx: Tx, repository_id: str, name: str) -> str | None:
    """The digest of the manifest that the tag points to."""
    row = await tx.first(
        select(tags.c.digest).where(
            tags.c.repository_id == repository_id, tags.c.name == name, _is_live(tx)
        )
    )
    return None if row is None else row.digest


async def put(tx: Tx, repository_id: str, name: str, digest: str) -> None:
    """Create the tag or move it. The repository is locked."""
    moved = await tx.run(
        update(tags)
        .where(tags.c.repository_id == repository_id, tags.c.name == name)
        .values(digest=digest, updated_at=tx.now, expires_at=None)
    )
    if not moved:
        await tx.run(
            insert(tags).values(
                repository_id=repository_id,
                name=name,
                digest=digest,
                created_at=tx.now,
                updated_at=tx.now,
                expires_at=None,
            )
        )


async def names(tx: Tx, repository_id: str, *, after: str, limit: int) -> Sequence[str]:
    """Tags in the order of their bytes, from behind `after`."""
    order = _in_byte_order(tx)
    rows = await tx.rows(
        select(tags.c.name)
        .where(tags.c.repository_id == repository_id, order > after, _is_live(tx))
        .order_by(order)
        .limit(limit)
    )
    return [row.name for row in rows]


async def names_of(tx: Tx, repository_id: str, digest: str) -> Sequence[str]:
    """Every tag that points to the manifest."""
    rows = await tx.rows(
        select(tags.c.name)
        .where(tags.c.repository_id == repository_id, tags.c.digest == digest)
        .order_by(tags.c.name)
    )
    return [row.name for row in rows]


async def remove(tx: Tx, repository_id: str, name: str) -> bool:
    """Delete the tag, not its manifest; False if there is none."""
    return (
        await tx.run(
            delete(tags).where(
                tags.c.repository_id == repository_id, tags.c.name == name, _is_live(tx)
            )
        )
        > 0
    )


async def remove_of(tx: Tx, repository_id: str, digest: str) -> None:
    """Delete every tag that points to the manifest."""
    await tx.run(
        delete(tags).where(tags.c.repository_id == repository_id, tags.c.digest == digest)
    )
