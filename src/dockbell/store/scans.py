"""Rows of scans: what scanners found in an image, and what the last scan of each tag had."""

import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import delete, insert, select

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.scans import Finding, ScannedTag
from dockbell.store.tables import manifest_references, scanned_tags, scans, tags
from dockbell.store.tags import is_live
from dockbell.store.transactions import Tx

_DECODER = msgspec.json.Decoder(list[Finding])


@dataclass(frozen=True, slots=True)
class Scan:
    """The last report of one scanner on one image."""

    digest: str
    scanner: str
    findings: Sequence[Finding]
    reported_at: datetime


async def put(
    tx: Tx, repository_id: str, digest: str, scanner: str, findings: Sequence[Finding]
) -> None:
    """Keep what the scanner found, in place of what it found before. The repository is locked."""
    await tx.run(
        delete(scans).where(
            scans.c.repository_id == repository_id,
            scans.c.digest == digest,
            scans.c.scanner == scanner,
        )
    )
    await tx.run(
        insert(scans).values(
            repository_id=repository_id,
            digest=digest,
            scanner=scanner,
            findings=zlib.compress(msgspec.json.encode(findings)),
            reported_at=tx.now,
        )
    )


async def list_of(tx: Tx, repository_id: str, digest: str) -> Sequence[Scan]:
    """The last report of each scanner on the image, the newest first. One query."""
    rows = await tx.rows(
        select(scans)
        .where(scans.c.repository_id == repository_id, scans.c.digest == digest)
        .order_by(scans.c.reported_at.desc(), scans.c.scanner)
    )
    return [
        Scan(
            row.digest,
            row.scanner,
            _DECODER.decode(zlib.decompress(row.findings)),
            row.reported_at,
        )
        for row in rows
    ]


async def tags_of(tx: Tx, repository_id: str, digest: str) -> Sequence[tuple[str, str]]:
    """Tags that point to the image, or to an index that names it: the tag, and what it points to."""
    parents = select(manifest_references.c.manifest_digest).where(
        manifest_references.c.repository_id == repository_id,
        manifest_references.c.digest == digest,
        manifest_references.c.is_manifest.is_(True),
    )
    rows = await tx.rows(
        select(tags.c.name, tags.c.digest)
        .where(
            tags.c.repository_id == repository_id,
            (tags.c.digest == digest) | tags.c.digest.in_(parents),
            is_live(tx),
        )
        .order_by(tags.c.name)
    )
    return [(row.name, row.digest) for row in rows]


async def known_of(
    tx: Tx, repository_id: str, wanted: Collection[ScannedTag]
) -> Mapping[ScannedTag, Collection[str]]:
    """The ids that the last scan of each of these tags had, whichever scanners made them. One query."""
    names = {one.name for one in wanted}
    rows = await tx.rows(
        select(scanned_tags.c.tag, scanned_tags.c.platform, scanned_tags.c.known).where(
            scanned_tags.c.repository_id == repository_id, scanned_tags.c.tag.in_(names)
        )
    )
    found: dict[ScannedTag, set[str]] = {one: set() for one in wanted}
    for row in rows:
        tag = ScannedTag(row.tag, row.platform)
        if tag in found:
            found[tag].update(msgspec.json.decode(zlib.decompress(row.known)))
    return found


async def remember(
    tx: Tx,
    repository_id: str,
    wanted: Collection[ScannedTag],
    scanner: str,
    ids: Sequence[str],
) -> None:
    """Note that the last scan of these tags had these ids. The repository is locked."""
    known = zlib.compress(msgspec.json.encode(ids))
    for one in wanted:
        await tx.run(
            delete(scanned_tags).where(
                scanned_tags.c.repository_id == repository_id,
                scanned_tags.c.tag == one.name,
                scanned_tags.c.platform == one.platform,
                scanned_tags.c.scanner == scanner,
            )
        )
    await tx.run(
        insert(scanned_tags),
        [
            {
                "repository_id": repository_id,
                "tag": one.name,
                "platform": one.platform,
                "scanner": scanner,
                "known": known,
                "updated_at": tx.now,
            }
            for one in wanted
        ],
    )
