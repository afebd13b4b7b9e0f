"""Rows of manifests and of what they point to."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from sqlalchemy import delete, func, insert, select, update

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import Manifest
from dockbell.store import labels
from dockbell.store.tables import (
    manifest_references,
    manifests,
    repositories,
    tag_versions,
)
from dockbell.store.transactions import Tx

_AT_ONCE = 500  # names in one statement; SQLite and drivers have their limits


@dataclass(frozen=True, slots=True)
class StoredManifest:
    digest: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that names another as its subject."""

    digest: str
    media_type: str
    size: int
    artifact_type: str | None
    annotations: Mapping[str, str] | None


async def lock_repository(tx: Tx, repository_id: str) -> bool:
    """Hold back other changes to the repository's tags and manifests until the end; False if it is gone."""
    return (
        await tx.first(
            select(repositories.c.id)
            .where(repositories.c.id == repository_id)
            .with_for_update(key_share=True)
        )
        is not None
    )


async def find(tx: Tx, repository_id: str, digest: str) -> StoredManifest | None:
    row = await tx.first(
        select(manifests.c.digest, manifests.c.media_type, manifests.c.body).where(
            manifests.c.repository_id == repository_id, manifests.c.digest == digest
        )
    )
    return None if row is None else StoredManifest(row.digest, row.media_type, row.body)


async def known(tx: Tx, repository_id: str, digests: Iterable[str]) -> frozenset[str]:
    """Those of the digests that are manifests of the repository."""
    found: set[str] = set()
    names = iter(digests)
    while batch := list(islice(names, _AT_ONCE)):
        rows = await tx.rows(
            select(manifests.c.digest).where(
                manifests.c.repository_id == repository_id, manifests.c.digest.in_(batch)
            )
        )
        found |= {row.digest for row in rows}
    return frozenset(found)


async def add(tx: Tx, repository_id: str, digest: str, manifest: Manifest) -> None:
    """Insert the manifest and what it points to. The repository is locked and has no such manifest yet."""
    await tx.run(
        insert(manifests).values(
            repository_id=repository_id,
            digest=digest,
            media_type=manifest.media_type,
            body=manifest.body,
            subject_digest=None if manifest.subject is None else str(manifest.subject.digest),
            artifact_type=manifest.artifact_type,
            annotations=manifest.annotations,
            created_at=tx.now,
        )
    )
    pointers = {str(blob.digest): False for blob in manifest.blobs}
    pointers |= {str(child.digest): True for child in manifest.children}
    if pointers:
        await tx.run(
            insert(manifest_references),
            [
                {
                    "repository_id": repository_id,
                    "manifest_digest": digest,
                    "digest": pointed,
                    "is_manifest": is_manifest,
                }
                for pointed, is_manifest in pointers.items()
            ],
        )


async def renew(tx: Tx, repository_id: str, digest: str) -> None:
    """Keep the manifest as long as if it were new: it was pushed again."""
    await tx.run(
        update(manifests)
        .where(manifests.c.repository_id == repository_id, manifests.c.digest == digest)
        .values(created_at=tx.now)
    )


async def remove(tx: Tx, repository_id: str, digest: str) -> bool:
    """Delete the manifest with its pointers, its labels and the past of its tags; False if there is none."""
    await labels.remove_all(tx, repository_id, digest)
    await tx.run(
        delete(tag_versions).where(
            tag_versions.c.repository_id == repository_id, tag_versions.c.digest == digest
        )
    )
    await tx.run(
        delete(manifest_references).where(
            manifest_references.c.repository_id == repository_id,
            manifest_references.c.manifest_digest == digest,
        )
    )
    return (
        await tx.run(
            delete(manifests).where(
                manifests.c.repository_id == repository_id, manifests.c.digest == digest
            )
        )
        > 0
    )


async def referrers(  # noqa: PLR0913 -- one filter each
    tx: Tx,
    repository_id: str,
    subject: str,
    *,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> Sequence[Referrer]:
    """Manifests with this subject, in order of digest, from behind `after`."""
    statement = (
        select(
            manifests.c.digest,
            manifests.c.media_type,
            func.length(manifests.c.body).label("size"),
            manifests.c.artifact_type,
            manifests.c.annotations,
        )
        .where(
            manifests.c.repository_id == repository_id,
            manifests.c.subject_digest == subject,
            manifests.c.digest > after,
        )
        .order_by(manifests.c.digest)
        .limit(limit)
    )
    if artifact_type is not None:
        statement = statement.where(manifests.c.artifact_type == artifact_type)
    return [
        Referrer(row.digest, row.media_type, row.size, row.artifact_type, row.annotations)
        for row in await tx.rows(statement)
    ]


async def holders(tx: Tx, digest: str) -> Sequence[str]:
    """The ids of the repositories that hold the manifest, in their order."""
    rows = await tx.rows(
        select(manifests.c.repository_id)
        .where(manifests.c.digest == digest)
        .order_by(manifests.c.repository_id)
    )
    return [row.repository_id for row in rows]
