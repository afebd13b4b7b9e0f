"""What nobody needs any more: manifests without tags, blobs without manifests, content without repositories."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import and_, delete, exists, func, or_, select, update
from sqlalchemy.sql.expression import Exists

from dockbell.store.tables import (
    blobs,
    manifest_references,
    manifests,
    repositories,
    repository_blobs,
    tag_versions,
    tags,
)
from dockbell.store.transactions import Tx


async def list_repositories(tx: Tx, after: str, limit: int) -> Sequence[str]:
    rows = await tx.rows(
        select(repositories.c.id)
        .where(repositories.c.id > after)
        .order_by(repositories.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def prune_versions(tx: Tx, repository_id: str, before: datetime) -> int:
    """Forget what tags pointed to until then; return how many versions."""
    return await tx.run(
        delete(tag_versions).where(
            tag_versions.c.repository_id == repository_id, tag_versions.c.ended_at < before
        )
    )


async def untagged(tx: Tx, repository_id: str, before: datetime, limit: int) -> Sequence[str]:
    """Some manifests that were pushed before then and that no tag, past tag, index or subject keeps."""
    subjects = manifests.alias()
    is_tagged = exists().where(
        tags.c.repository_id == manifests.c.repository_id, tags.c.digest == manifests.c.digest
    )
    was_tagged = exists().where(
        tag_versions.c.repository_id == manifests.c.repository_id,
        tag_versions.c.digest == manifests.c.digest,
        or_(tag_versions.c.ended_at.is_(None), tag_versions.c.ended_at >= before),
    )
    is_child = exists().where(
        manifest_references.c.repository_id == manifests.c.repository_id,
        manifest_references.c.digest == manifests.c.digest,
        manifest_references.c.is_manifest,
    )
    has_subject = exists().where(
        subjects.c.repository_id == manifests.c.repository_id,
        subjects.c.digest == manifests.c.subject_digest,
    )
    rows = await tx.rows(
        select(manifests.c.digest)
        .where(
            manifests.c.repository_id == repository_id,
            manifests.c.created_at < before,
            ~is_tagged,
            ~was_tagged,
            ~is_child,
            ~has_subject,
        )
        .order_by(manifests.c.digest)
        .limit(limit)
    )
    return [row.digest for row in rows]


async def unneeded(tx: Tx, repository_id: str, before: datetime, limit: int) -> Sequence[str]:
    """Some blobs of the repository that no manifest of it needs, and that no push asked for since then."""
    rows = await tx.rows(
        select(repository_blobs.c.digest)
        .where(
            repository_blobs.c.repository_id == repository_id,
            repository_blobs.c.created_at < before,
            ~_is_needed(),
        )
        .order_by(repository_blobs.c.digest)
        .limit(limit)
    )
    return [row.digest for row in rows]


def _is_needed() -> Exists:
    return exists().where(
        manifest_references.c.repository_id == repository_blobs.c.repository_id,
        manifest_references.c.digest == repository_blobs.c.digest,
        manifest_references.c.is_manifest.is_(False),
    )


async def unlink(tx: Tx, repository_id: str, digests: Iterable[str]) -> int:
    """Take those blobs from the repository that no manifest of it needs at this moment; return how many."""
    return await tx.run(
        delete(repository_blobs).where(
            repository_blobs.c.repository_id == repository_id,
            repository_blobs.c.digest.in_(list(digests)),
            ~_is_needed(),
        )
    )


def _is_held() -> Exists:
    return exists().where(repository_blobs.c.digest == blobs.c.digest)


async def mark(tx: Tx) -> int:
    """Note of blobs that no repository holds that it is so; return of how many."""
    return await tx.run(
        update(blobs)
        .where(blobs.c.unheld_since.is_(None), ~_is_held())
        .values(unheld_since=tx.now)
    )


async def marked(tx: Tx, before: datetime, after: str, limit: int) -> Sequence[tuple[str, int]]:
    """Digest and size of some blobs that no repository holds since before then, from behind that digest."""
    rows = await tx.rows(
        select(blobs.c.digest, blobs.c.size)
        .where(blobs.c.unheld_since < before, blobs.c.digest > after, ~_is_held())
        .order_by(blobs.c.digest)
        .limit(limit)
    )
    return [(row.digest, row.size) for row in rows]


async def remove_blob(tx: Tx, digest: str, before: datetime) -> bool:
    """Delete the blob's row if no repository holds it since before then. The digest is held."""
    return (
        await tx.run(
            delete(blobs).where(
                and_(blobs.c.digest == digest, blobs.c.unheld_since < before, ~_is_held())
            )
        )
        > 0
    )


async def known(tx: Tx, digests: Sequence[str]) -> frozenset[str]:
    """Those of the digests that have a row."""
    rows = await tx.rows(select(blobs.c.digest).where(blobs.c.digest.in_(digests)))
    return frozenset(row.digest for row in rows)


async def holders_of(tx: Tx, digests: Sequence[str]) -> Sequence[tuple[str, int, int]]:
    """Digest, size and number of repositories that hold it, of each of these blobs."""
    rows = await tx.rows(
        select(
            blobs.c.digest,
            blobs.c.size,
            func.count(repository_blobs.c.repository_id).label("holders"),
        )
        .outerjoin(repository_blobs, repository_blobs.c.digest == blobs.c.digest)
        .where(blobs.c.digest.in_(digests))
        .group_by(blobs.c.digest, blobs.c.size)
    )
    return [(row.digest, row.size, row.holders) for row in rows]
