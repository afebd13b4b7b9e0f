"""Rows of blobs: which content exists, and which repository holds it. The bytes are in files."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice

from sqlalchemy import Executable, delete, insert, select, update

from dockbell.store import locks
from dockbell.store.tables import (
    blobs,
    manifest_references,
    namespaces,
    repositories,
    repository_blobs,
)
from dockbell.store.transactions import DuplicateError, Tx

_AT_ONCE = 500  # names in one statement; SQLite and drivers have their limits


async def find_size(tx: Tx, repository_id: str, digest: str) -> int | None:
    """The blob's size if the repository holds it."""
    return (await sizes(tx, repository_id, [digest])).get(digest)


async def sizes(tx: Tx, repository_id: str, digests: Iterable[str]) -> Mapping[str, int]:
    """The size of each of these blobs that the repository holds."""
    found: dict[str, int] = {}
    names = iter(digests)
    while batch := list(islice(names, _AT_ONCE)):
        rows = await tx.rows(
            select(blobs.c.digest, blobs.c.size)
            .join(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
            .where(repository_blobs.c.repository_id == repository_id, blobs.c.digest.in_(batch))
        )
        found |= {row.digest: row.size for row in rows}
    return found


async def hold(tx: Tx, digest: str) -> None:
    """Let nobody else who puts this content somewhere, or takes it away, go on until this transaction ends."""
    await locks.hold_word(tx, f"blob {digest}")


async def holders(tx: Tx, digest: str, limit: int) -> Sequence[str]:
    """The paths of some repositories that hold the blob, public ones first."""
    rows = await tx.rows(
        select(namespaces.c.name.label("namespace"), repositories.c.name)
        .join(repositories, repositories.c.id == repository_blobs.c.repository_id)
        .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
        .where(repository_blobs.c.digest == digest)
        .order_by(repositories.c.visibility.desc(), repositories.c.id)
        .limit(limit)
    )
    return [f"{row.namespace}/{row.name}" for row in rows]


async def add(tx: Tx, repository_id: str, digest: str, size: int) -> None:
    """Let the repository hold a blob; harmless if it does already."""
    if await tx.first(select(blobs.c.digest).where(blobs.c.digest == digest)) is None:
        await _insert(tx, insert(blobs).values(digest=digest, size=size, created_at=tx.now))
    await link(tx, repository_id, digest)


async def link(tx: Tx, repository_id: str, digest: str) -> None:
    """Let the repository hold a blob that exists; if it does already, as if it were new, so that it is kept a while."""
    await tx.run(
        update(blobs)
        .where(blobs.c.digest == digest, blobs.c.unheld_since.is_not(None))
        .values(unheld_since=None)
    )
    if not await renew(tx, repository_id, digest):
        await _insert(
            tx,
            insert(repository_blobs).values(
                repository_id=repository_id, digest=digest, created_at=tx.now
            ),
        )


async def renew(tx: Tx, repository_id: str, digest: str) -> bool:
    """Keep the blob in the repository as long as if it were new; False if the repository does not hold it."""
    return (
        await tx.run(
            update(repository_blobs)
            .where(
                repository_blobs.c.repository_id == repository_id,
                repository_blobs.c.digest == digest,
            )
            .values(created_at=tx.now)
        )
        > 0
    )


async def is_fading(tx: Tx, repository_id: str, digest: str, before: datetime) -> bool:
    """Whether nobody has asked for the blob since then and no manifest of the repository needs it."""
    row = await tx.first(
        select(repository_blobs.c.created_at).where(
            repository_blobs.c.repository_id == repository_id,
            repository_blobs.c.digest == digest,
        )
    )
    if row is None or row.created_at >= before:
        return False
    return not await is_referenced(tx, repository_id, digest)


async def unlink(tx: Tx, repository_id: str, digest: str) -> bool:
    """Take the blob from the repository; False if it held none."""
    return (
        await tx.run(
            delete(repository_blobs).where(
                repository_blobs.c.repository_id == repository_id,
                repository_blobs.c.digest == digest,
            )
        )
        > 0
    )


async def is_referenced(tx: Tx, repository_id: str, digest: str) -> bool:
    """Whether a manifest of the repository needs the blob."""
    return (
        await tx.first(
            select(manifest_references.c.digest)
            .where(
                manifest_references.c.repository_id == repository_id,
                manifest_references.c.digest == digest,
                manifest_references.c.is_manifest.is_(False),
            )
            .limit(1)
        )
        is not None
    )


async def _insert(tx: Tx, statement: Executable) -> None:
    try:
        async with tx.nested():
            await tx.run(statement)
    except DuplicateError:
        pass  # another push was here first, with the same content
