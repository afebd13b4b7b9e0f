"""Tags of a repository: seeing them and their past, moving, ending, removing and restoring them."""

from collections.abc import Sequence
from datetime import datetime

from dockbell.domain.digests import Digest
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.immutability import TagImmutableError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_tag
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.domain.tags import Tag, TagVersion
from dockbell.services import audit_entries, expirations, immutability, repository_events
from dockbell.services.intake import Intake
from dockbell.store import manifests as manifest_rows
from dockbell.store import tags
from dockbell.store.transactions import Tx


class TagNameError(InvalidRequestError):
    """Invalid tag: letters, digits, `_`, `.` and `-`, at most 128, not beginning with `.` or `-`."""


@dataclass(frozen=True, slots=True)
class History:
    """Which part of the past of tags is wanted."""

    name: str | None = None  # of this tag only
    part: str | None = None  # of tags that have this in their name
    only_live: bool = False
    page: int = 1
    limit: int = 50


async def list_names(tx: Tx, reader: ReaderOf, *, after: str, limit: int) -> Sequence[str]:
    """At most `limit` tags in the order of their bytes, from behind `after`."""
    return await tags.names(tx, reader.repository.id, after=after, limit=limit)


async def list_history(
    tx: Tx, reader: ReaderOf, wanted: History
) -> tuple[Sequence[TagVersion], bool]:
    """What tags point and pointed to, the newest first, and whether there is another page."""
    found = await tags.list_versions(
        tx,
        reader.repository.id,
        name=wanted.name,
        part=wanted.part,
        only_live=wanted.only_live,
        offset=(wanted.page - 1) * wanted.limit,
        limit=wanted.limit + 1,
    )
    return found[: wanted.limit], len(found) > wanted.limit


async def move(tx: Tx, writer: WriterOf, intake: Intake, name: str, digest: Digest) -> None:
    """Let the tag, which is made if it is missing, point to a manifest of the repository; NotFoundError if there is none."""
    previous = await _point(tx, writer, intake, name, digest)
    await audit_entries.write_about(
        tx,
        writer.actor,
        writer.repository,
        "create_tag" if previous is None else "move_tag",
        tag=name,
        manifest_digest=str(digest),
        original_manifest_digest=None if previous is None else previous.digest,
    )


async def restore(tx: Tx, writer: WriterOf, intake: Intake, name: str, digest: Digest) -> None:
    """Let the tag point again to a manifest of the repository, which may have been without tags since."""
    await _point(tx, writer, intake, name, digest, is_reversion=True)
    await audit_entries.write_about(
        tx,
        writer.actor,
        writer.repository,
        "revert_tag",
        tag=name,
        manifest_digest=str(digest),
    )


async def set_expiry(tx: Tx, writer: WriterOf, name: str, expires_at: datetime | None) -> None:
    """Let the tag expire then, or never; NotFoundError if it is not there."""
    if expires_at is not None and expires_at <= tx.now:
        raise InvalidRequestError("'expiration' must be in the future")
    await _lock(tx, writer)
    found = await _load(tx, writer, name)
    await immutability.check_change(tx, writer, [name])
    await tags.set_expiry(tx, writer.repository.id, name, expires_at)
    if found.expires_at is None and expires_at is None:
        return
    await audit_entries.write_about(
        tx,
        writer.actor,
        writer.repository,
        "change_tag_expiration",
        tag=name,
        expiration_date=_seconds(expires_at),
        old_expiration_date=_seconds(found.expires_at),
    )


async def delete(
    tx: Tx, writer: WriterOf, intake: Intake, name: str, *, for_good: bool
) -> None:
    """Remove the tag; NotFoundError if it is not there. Unless for good, its past stays and it can be restored."""
    await _lock(tx, writer)
    found = await _load(tx, writer, name)
    await immutability.check_change(tx, writer, [name])
    await tags.remove(tx, writer.repository.id, name)
    if for_good:
        await tags.forget_versions(tx, writer.repository.id, name, found.digest)
    await audit_entries.write_about(tx, writer.actor, writer.repository, "delete_tag", tag=name)
    news = repository_events.tag_gone(name, found.digest)
    await repository_events.tell(tx, writer.actor, intake, writer.repository, news)


async def set_to(  # noqa: PLR0913 -- what the tag was and is to be
    tx: Tx,
    writer: WriterOf,
    name: str,
    digest: str,
    *,
    previous: str | None,
    is_reversion: bool = False,
) -> None:
    """Point the tag to a manifest that is there; TagImmutableError if it may not move. The repository is locked.

    It expires when the image says so. A tag that may not change does not expire either.
    """
    may_change = await immutability.may_change(tx, writer, name)
    if previous not in {None, digest} and not may_change:
        raise TagImmutableError(name)
    await tags.put(
        tx,
        writer.repository.id,
        name,
        digest,
        expires_at=await expirations.expiry_of(tx, writer, digest) if may_change else None,
        is_reversion=is_reversion,
    )


async def _point(  # noqa: PLR0913 -- what the tag is to be, and who is told
    tx: Tx,
    writer: WriterOf,
    intake: Intake,
    name: str,
    digest: Digest,
    *,
    is_reversion: bool = False,
) -> Tag | None:
    """Set the tag; return what it was before."""
    if not is_tag(name):
        raise TagNameError
    await _lock(tx, writer)
    repository_id = writer.repository.id
    found = await manifest_rows.find(tx, repository_id, str(digest))
    if found is None:
        raise NotFoundError
    previous = await tags.find(tx, repository_id, name)
    before = None if previous is None else previous.digest
    await set_to(tx, writer, name, str(digest), previous=before, is_reversion=is_reversion)
    news = repository_events.tag_set(name, str(digest), before, found.media_type)
    await repository_events.tell(tx, writer.actor, intake, writer.repository, news)
    return previous


async def _lock(tx: Tx, writer: WriterOf) -> None:
    if not await manifest_rows.lock_repository(tx, writer.repository.id):
        raise NotFoundError


async def _load(tx: Tx, writer: WriterOf, name: str) -> Tag:
    found = await tags.find(tx, writer.repository.id, name) if is_tag(name) else None
    if found is None:
        raise NotFoundError
    return found


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
