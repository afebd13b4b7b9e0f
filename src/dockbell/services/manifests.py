"""Manifests of a repository: pushing, reading and removing them. A push by tag is what rings the bell."""

from collections.abc import Collection, Mapping, Sequence

from dockbell.domain.digests import CANONICAL, Digest, DigestMismatchError
from dockbell.domain.errors import NotFoundError, RefusedError
from dockbell.domain.expirations import LABEL
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import (
    ImageConfig,
    Manifest,
    ManifestError,
    ManifestUnknownError,
    Reference,
    UnknownReferencesError,
)
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.services import audit_entries, immutability, repository_events
from dockbell.services import tags as tag_changes
from dockbell.services.intake import Draft, Intake
from dockbell.services.repository_events import News
from dockbell.store import blobs, clair_indexings, labels
from dockbell.store import manifests as manifest_rows
from dockbell.store import tags as tag_rows
from dockbell.store.manifests import Referrer, StoredManifest
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest that is now in the repository."""

    digest: Digest
    event_ids: tuple[str, ...]  # of the repo_push of each tag


async def put(  # noqa: PLR0913 -- what came in, and who is told
    tx: Tx,
    writer: WriterOf,
    intake: Intake,
    reference: Reference,
    manifest: Manifest,
    *,
    tags: Sequence[str] = (),
    config: ImageConfig | None = None,
    absent: Collection[Digest] = (),
    is_indexed: bool = False,
) -> Pushed:
    """Store a manifest under its digest; point the tag to it that is the reference, and each of `tags`.

    Everything it names must be in the repository already, but for the manifests in `absent`. Manifest, tags, audit entries and events are written
    in the caller's transaction: all of them or none. A push by tag is an event even if it changes nothing.
    With `is_indexed` a Clair is asked about an image that is new.
    """
    repository = writer.repository
    digest = _digest_of(manifest, reference)
    if not await manifest_rows.lock_repository(tx, repository.id):
        raise NotFoundError
    if await manifest_rows.find(tx, repository.id, str(digest)) is None:
        await _check_references(tx, repository.id, manifest, absent)
        await manifest_rows.add(tx, repository.id, str(digest), manifest)
        await labels.add_of_image(tx, repository.id, str(digest), _labels_of(manifest, config))
        await repository_events.tell(
            tx, writer.actor, intake, repository, _attached(manifest, digest)
        )
        if is_indexed and manifest.image_config is not None:
            await clair_indexings.add(tx, repository.id, str(digest))
    else:
        await manifest_rows.renew(tx, repository.id, str(digest))
    if not isinstance(reference, Digest):
        tags = (reference, *tags)
    if not tags:
        await audit_entries.write_about(
            tx, writer.actor, writer.repository, "push_repo", digest=str(digest)
        )
    own = None if config is None else config.platform
    listed = [
        child.platform
        for child in manifest.children
        if child.platform is not None and child.digest not in absent
    ]
    push = _Push(writer, manifest, digest, listed if own is None else [own])
    return Pushed(digest, tuple([await _push_tag(tx, push, intake, tag) for tag in tags]))


@dataclass(frozen=True, slots=True)
class _Push:
    writer: WriterOf
    manifest: Manifest
    digest: Digest
    platforms: Sequence[str]


async def _push_tag(tx: Tx, push: _Push, intake: Intake, tag: str) -> str:
    """Point the tag to the manifest and tell of it; return the event's id. The repository is locked."""
    repository, manifest, digest = push.writer.repository, push.manifest, str(push.digest)
    previous = await tag_rows.find_digest(tx, repository.id, tag)
    await tag_changes.set_to(tx, push.writer, tag, digest, previous=previous)
    await audit_entries.write_about(
        tx, push.writer.actor, repository, "push_repo", tag=tag, digest=digest
    )
    event_id = await intake.record(
        tx,
        Draft(
            kind="repo_push",
            subject=await repository_events.subject_of(tx, push.writer.actor, repository),
            namespace_id=repository.namespace_id,
            repository_id=repository.id,
            details={"updated_tags": [tag]},
            facts={
                "tag": tag,
                "digest": digest,
                "media_type": manifest.media_type,
                "size": len(manifest.body),
                "content_size": manifest.content_size,
                "artifact_type": manifest.artifact_type,
                "platforms": push.platforms,
                "previous_digest": previous,
                "subject_digest": None
                if manifest.subject is None
                else str(manifest.subject.digest),
            },
            performer=repository_events.performer_of(push.writer.actor),
            occurred_at=tx.now,
        ),
    )
    news = repository_events.tag_set(tag, digest, previous, manifest.media_type)
    await repository_events.tell(tx, push.writer.actor, intake, repository, news)
    return event_id


def _attached(manifest: Manifest, digest: Digest) -> News | None:
    """That something about another manifest was pushed; None for what is about none."""
    if manifest.subject is None:
        return None
    details = {
        "subject_digest": str(manifest.subject.digest),
        "digest": str(digest),
        "media_type": manifest.media_type,
        "artifact_type": manifest.artifact_type,
    }
    return News("referrer_attached", details, details)


async def note_refusal(  # noqa: PLR0913 -- what was refused, and who is told
    tx: Tx,
    writer: WriterOf,
    intake: Intake,
    reference: str,
    *,
    digest: Digest,
    error: RefusedError,
) -> None:
    """Tell who listens that a push was refused. In a transaction of its own, since the push is undone."""
    details = {
        "reference": reference,
        "digest": str(digest),
        "reason": error.kind,
        "message": error.detail,
    }
    tag = None if ":" in reference else reference
    news = News("push_refused", details, {"tag": tag, "digest": str(digest)})
    await repository_events.tell(tx, writer.actor, intake, writer.repository, news)


async def note_pull(  # noqa: PLR0913 -- what was pulled, and who is told
    tx: Tx,
    reader: ReaderOf,
    intake: Intake,
    reference: str,
    *,
    found: StoredManifest,
    percent: float,
) -> None:
    """Tell who listens that a manifest was pulled; of so many percent of the pulls this is called."""
    details = {
        "reference": reference,
        "digest": found.digest,
        "media_type": found.media_type,
        "sampled_percent": percent,
    }
    facts = {
        "tag": None if ":" in reference else reference,
        "digest": found.digest,
        "media_type": found.media_type,
    }
    await repository_events.tell(
        tx, reader.actor, intake, reader.repository, News("repo_pull", details, facts)
    )


def _labels_of(manifest: Manifest, config: ImageConfig | None) -> Mapping[str, str]:
    """What the image's config says, and for what has none the annotation on its expiry."""
    found = {} if config is None else dict(config.labels)
    annotated = (manifest.annotations or {}).get(LABEL)
    if annotated is not None:
        found.setdefault(LABEL, annotated)
    return found


async def load(tx: Tx, reader: ReaderOf | WriterOf, reference: Reference) -> StoredManifest:
    """The manifest's exact bytes; raise ManifestUnknownError if the repository has none."""
    repository_id = reader.repository.id
    digest = (
        str(reference)
        if isinstance(reference, Digest)
        else await tag_rows.find_digest(tx, repository_id, reference)
    )
    found = await manifest_rows.find(tx, repository_id, digest) if digest is not None else None
    if found is None:
        raise ManifestUnknownError
    return found


async def delete(tx: Tx, writer: WriterOf, intake: Intake, reference: Reference) -> None:
    """Delete a manifest and every tag that points to it, or by tag that one tag only. Immutable tags stay, and theirs."""
    repository_id = writer.repository.id
    await manifest_rows.lock_repository(tx, repository_id)
    if isinstance(reference, Digest):
        digest = str(reference)
        gone: Sequence[str] = await tag_rows.names_of(tx, repository_id, digest)
        await immutability.check_change(tx, writer, gone)
        found = await manifest_rows.find(tx, repository_id, digest)
        await tag_rows.remove_of(tx, repository_id, digest)
        if found is None:
            raise ManifestUnknownError
        await manifest_rows.remove(tx, repository_id, digest)
        details = {"digest": digest, "media_type": found.media_type, "tags": list(gone)}
        news = [
            News(
                "manifest_deleted", details, {"digest": digest, "media_type": found.media_type}
            ),
            *(repository_events.tag_gone(tag, digest, "manifest_deleted") for tag in gone),
        ]
        await audit_entries.write_about(
            tx, writer.actor, writer.repository, "delete_manifest", digest=digest
        )
    else:
        gone = [reference]
        pointed = await tag_rows.find_digest(tx, repository_id, reference)
        if pointed is None:
            raise ManifestUnknownError
        await immutability.check_change(tx, writer, gone)
        await tag_rows.remove(tx, repository_id, reference)
        news = [repository_events.tag_gone(reference, pointed)]
    for tag in gone:
        await audit_entries.write_about(
            tx, writer.actor, writer.repository, "delete_tag", tag=tag
        )
    await repository_events.tell(tx, writer.actor, intake, writer.repository, *news)


async def referrers(  # noqa: PLR0913 -- one filter each
    tx: Tx,
    reader: ReaderOf | None,
    subject: Digest,
    *,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> Sequence[Referrer]:
    """Manifests that name this one as their subject, whether it exists or not, in order of digest.

    A repository that is not there, for which nobody is a reader, has none.
    """
    if reader is None:
        return ()
    return await manifest_rows.referrers(
        tx,
        reader.repository.id,
        str(subject),
        artifact_type=artifact_type,
        after=after,
        limit=limit,
    )


def _digest_of(manifest: Manifest, reference: Reference) -> Digest:
    if not isinstance(reference, Digest):
        return Digest.of_body(manifest.body, CANONICAL)
    if Digest.of_body(manifest.body, reference.algorithm) != reference:
        raise DigestMismatchError
    return reference


async def _check_references(
    tx: Tx, repository_id: str, manifest: Manifest, absent: Collection[Digest]
) -> None:
    """Raise UnknownReferencesError, naming all that is missing, or ManifestError for a wrong size.

    An index needs its children too, as in Quay, but for those in `absent`; a subject need not exist, as the standard says.
    """
    needed = {str(blob.digest): blob.size for blob in manifest.blobs if blob.must_exist}
    held = await blobs.sizes(tx, repository_id, needed)
    children = [str(one.digest) for one in manifest.children if one.digest not in absent]
    stored = await manifest_rows.known(tx, repository_id, children)
    missing = [digest for digest in needed if digest not in held]
    missing += [digest for digest in children if digest not in stored]
    if missing:
        raise UnknownReferencesError(tuple(missing))
    for digest, size in needed.items():
        if held[digest] != size:
            raise ManifestError(f"`{digest}` has {held[digest]} bytes, not {size}.")
