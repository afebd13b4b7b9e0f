"""How much each namespace stores: the bytes of its repositories' blobs, each blob once.

The sum is kept in a row, and whoever changes it holds that row until the end of the transaction, so that two
pushes at once see each other. It stands above repositories in the order of locks (`store.locks`).
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, insert, select, update

from dockbell.store.tables import blobs, namespace_storage, repositories, repository_blobs
from dockbell.store.transactions import DuplicateError, Tx


async def hold(tx: Tx, namespace_id: str) -> int:
    """Let nobody else change the sum until this transaction ends; return it."""
    wanted = (
        select(namespace_storage.c.used_bytes)
        .where(namespace_storage.c.namespace_id == namespace_id)
        .with_for_update()
    )
    row = await tx.first(wanted)
    if row is None:
        try:
            async with tx.nested():
                await tx.run(
                    insert(namespace_storage).values(
                        namespace_id=namespace_id, used_bytes=0, counted_at=tx.now
                    )
                )
        except DuplicateError:
            pass  # another push was here first
        row = await tx.first(wanted)
    return 0 if row is None else int(row.used_bytes)


async def find(tx: Tx, namespace_id: str) -> int:
    """The sum, without holding it."""
    return (await find_many(tx, [namespace_id])).get(namespace_id, 0)


async def find_many(tx: Tx, namespace_ids: Sequence[str]) -> Mapping[str, int]:
    """The same for each of these namespaces that stores anything. One query."""
    rows = await tx.rows(
        select(namespace_storage.c.namespace_id, namespace_storage.c.used_bytes).where(
            namespace_storage.c.namespace_id.in_(namespace_ids)
        )
    )
    return {row.namespace_id: int(row.used_bytes) for row in rows}


async def of_repositories(tx: Tx, repository_ids: Sequence[str]) -> Mapping[str, int]:
    """How much each of these repositories stores, its blobs once, if it stores anything. One query."""
    rows = await tx.rows(
        select(repository_blobs.c.repository_id, func.sum(blobs.c.size).label("used_bytes"))
        .join(blobs, blobs.c.digest == repository_blobs.c.digest)
        .where(repository_blobs.c.repository_id.in_(repository_ids))
        .group_by(repository_blobs.c.repository_id)
    )
    return {row.repository_id: int(row.used_bytes) for row in rows}


async def of_all(tx: Tx) -> int:
    """How much the server stores, each blob once. Costs one look at each blob."""
    row = await tx.first(select(func.coalesce(func.sum(blobs.c.size), 0).label("total")))
    return 0 if row is None else int(row.total)


async def holds(tx: Tx, namespace_id: str, digest: str) -> bool:
    """Whether a repository of the namespace holds the blob."""
    row = await tx.first(
        select(repository_blobs.c.digest)
        .join(repositories, repositories.c.id == repository_blobs.c.repository_id)
        .where(repository_blobs.c.digest == digest, repositories.c.namespace_id == namespace_id)
        .limit(1)
    )
    return row is not None


async def change(tx: Tx, namespace_id: str, size: int) -> None:
    """Add to the sum, or with a negative size take from it. The row is held."""
    await tx.run(
        update(namespace_storage)
        .where(namespace_storage.c.namespace_id == namespace_id)
        .values(used_bytes=namespace_storage.c.used_bytes + size)
    )


async def give_back(tx: Tx, namespace_id: str, digests: Sequence[str]) -> int:
    """Take from the sum those of the blobs that no repository of the namespace holds any more; return what is left.

    The row is held, and was when they were taken from their repository.
    """
    still = (
        select(repository_blobs.c.digest)
        .join(repositories, repositories.c.id == repository_blobs.c.repository_id)
        .where(
            repositories.c.namespace_id == namespace_id, repository_blobs.c.digest.in_(digests)
        )
    )
    row = await tx.first(
        select(func.coalesce(func.sum(blobs.c.size), 0).label("total")).where(
            blobs.c.digest.in_(digests), blobs.c.digest.not_in(still)
        )
    )
    await change(tx, namespace_id, 0 if row is None else -int(row.total))
    return await find(tx, namespace_id)


async def recount(tx: Tx, namespace_id: str) -> int:
    """Make the sum anew from what is stored; return it. The row is held. Costs one look at each blob."""
    held = (
        select(repository_blobs.c.digest)
        .join(repositories, repositories.c.id == repository_blobs.c.repository_id)
        .where(repositories.c.namespace_id == namespace_id)
    )
    row = await tx.first(
        select(func.coalesce(func.sum(blobs.c.size), 0).label("total")).where(
            blobs.c.digest.in_(held)
        )
    )
    total = 0 if row is None else int(row.total)
    await tx.run(
        update(namespace_storage)
        .where(namespace_storage.c.namespace_id == namespace_id)
        .values(used_bytes=total, counted_at=tx.now)
    )
    return total


async def namespaces_with_blobs(tx: Tx) -> Sequence[str]:
    """The ids of all namespaces that have a sum or a blob."""
    rows = await tx.rows(
        select(repositories.c.namespace_id.label("id"))
        .join(repository_blobs, repository_blobs.c.repository_id == repositories.c.id)
        .union(select(namespace_storage.c.namespace_id.label("id")))
    )
    return sorted(row.id for row in rows)
