"""Scans: reports of vulnerability scanners on images, and the news in them."""

from collections.abc import Mapping, Sequence

from dockbell.domain.accounts import ActorKind, NamespaceKind
from dockbell.domain.digests import Digest
from dockbell.domain.errors import NotFoundError
from dockbell.domain.events import Performer, Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import ManifestUnknownError, parse
from dockbell.domain.permissions import ReaderOf, ReporterOf
from dockbell.domain.repositories import Repository
from dockbell.domain.scans import (
    EACH,
    Finding,
    News,
    ScannedTag,
    Vulnerability,
    facts_of,
    image_fields,
    merged,
    news_of,
    single_fields,
)
from dockbell.services.intake import Draft, Intake
from dockbell.store import manifests as manifest_rows
from dockbell.store import notifications, scans
from dockbell.store.scans import Scan
from dockbell.store.transactions import Tx

KIND = "vulnerability_found"
PER_VULNERABILITY = "per_vulnerability"  # in an event config: Quay's form is wanted
MOST_TAGS = 1000  # of one image that are looked after
_MOST_SINGLE = 500  # events for single vulnerabilities, the most severe ones, of one report


@dataclass(frozen=True, slots=True)
class Scanned:
    """What became of a report."""

    found: Sequence[Vulnerability]
    news: News
    event_id: str | None  # of the event for the image; None if nothing is new


@dataclass(frozen=True, slots=True)
class Scans:
    """Where reports of scanners come in."""

    intake: Intake

    async def report(
        self,
        tx: Tx,
        right: ReporterOf,
        digest: Digest,
        scanner: str,
        findings: Sequence[Finding],
    ) -> Scanned:
        """Keep what a scanner found in an image of the repository, and tell of what is new for one of its tags.

        New is what no scanner's last scan of the tag had, whatever the tag pointed to then. An image without
        a tag is looked after under its digest. Report and event are written together, or neither.
        """
        repository = _repository_of(right)
        await manifest_rows.lock_repository(tx, repository.id)
        if await manifest_rows.find(tx, repository.id, str(digest)) is None:
            raise ManifestUnknownError
        tags = await _tags_of(tx, repository, str(digest))
        found = merged(findings)
        news = news_of(found, await scans.known_of(tx, repository.id, tags))
        await scans.put(tx, repository.id, str(digest), scanner, findings)
        await scans.remember(tx, repository.id, tags, scanner, [one.id for one in found])
        event_id = None
        if news.vulnerabilities:
            event_id = await self._tell(tx, right, news, str(digest), scanner)
        return Scanned(found, news, event_id)

    async def _tell(
        self, tx: Tx, right: ReporterOf, news: News, digest: str, scanner: str
    ) -> str:
        facts = facts_of(news, digest, scanner)
        event_id = await self.intake.record(tx, _draft(tx, right, image_fields(news), facts))
        place = (right.namespace.id, _repository_of(right).id, KIND)
        candidates = (await notifications.find_candidates_many(tx, {place}))[place]
        if any(one.event_config.get(PER_VULNERABILITY) is True for one in candidates):
            left = [
                _draft(tx, right, single_fields(news, one), {**facts, "scan_form": EACH})
                for one in news.vulnerabilities[:_MOST_SINGLE]
            ]
            while left:
                left = left[len(await self.intake.record_many(tx, left)) :]
        return event_id


async def list_of(tx: Tx, reader: ReaderOf, digest: Digest) -> Sequence[Scan]:
    """The last report of each scanner on the image, the newest first; raise ManifestUnknownError if there is no such image."""
    repository_id = reader.repository.id
    if await manifest_rows.find(tx, repository_id, str(digest)) is None:
        raise ManifestUnknownError
    return await scans.list_of(tx, repository_id, str(digest))


async def _tags_of(tx: Tx, repository: Repository, digest: str) -> Sequence[ScannedTag]:
    """The tags of the image; those of an index with the platform that the image is for."""
    rows = (await scans.tags_of(tx, repository.id, digest))[:MOST_TAGS]
    platforms = {digest: ""}
    found = []
    for name, target in rows:
        if target not in platforms:
            platforms[target] = await _platform_of(tx, repository, target, digest)
        found.append(ScannedTag(name, platforms[target]))
    return found or [ScannedTag(digest)]


async def _platform_of(tx: Tx, repository: Repository, index: str, digest: str) -> str:
    stored = await manifest_rows.find(tx, repository.id, index)
    children = () if stored is None else parse(stored.body, stored.media_type).children
    return next(
        (one.platform or digest for one in children if str(one.digest) == digest), digest
    )


def _draft(
    tx: Tx, right: ReporterOf, details: Mapping[str, object], facts: Mapping[str, object]
) -> Draft:
    repository, actor = _repository_of(right), right.actor
    return Draft(
        kind=KIND,
        subject=Subject(
            repository.namespace,
            repository.name,
            is_user=right.namespace.kind is NamespaceKind.USER,
        ),
        namespace_id=right.namespace.id,
        repository_id=repository.id,
        details=details,
        facts=facts,
        performer=Performer(actor.name, "robot" if actor.kind is ActorKind.ROBOT else "user"),
        occurred_at=tx.now,
        source="scan",
    )


def _repository_of(right: ReporterOf) -> Repository:
    if right.repository is None:
        raise NotFoundError
    return right.repository
