"""Rows of tags: names that point to manifests, now and earlier."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, insert, literal, or_, select, update

from dockbell.domain.notifications import INSTANCE
from dockbell.domain.tags import Tag, TagVersion
from dockbell.store.tables import expiry_marks, manifests, repositories, tag_versions, tags
from dockbell.store.transactions import Tx


def is_live(tx: Tx) -> ColumnElement[bool]:
    """Of a row of `tags`: that it has not expired."""
    return or_(tags.c.expires_at.is_(None), tags.c.expires_at > tx.now)


def in_byte_order(tx: Tx, column: Any) -> ColumnElement[str]:
    """The column in the order of its bytes.

    A database with a language's collation would sort `B` behind `a`; the standard and `last` need bytes.
    """
    ordered: ColumnElement[str] = column.collate(
        "C" if tx.dialect.NAME == "postgresql" else "BINARY"
    )
    return ordered


def _is(repository_id: str, name: str) -> ColumnElement[bool]:
    return and_(tags.c.repository_id == repository_id, tags.c.name == name)


async def find(tx: Tx, repository_id: str, name: str) -> Tag | None:
    """The tag, unless it has expired."""
    row = await tx.first(
        select(tags.c.name, tags.c.digest, tags.c.expires_at).where(
            _is(repository_id, name), is_live(tx)
        )
    )
    return None if row is None else Tag(row.name, row.digest, row.expires_at)


async def find_digest(tx: Tx, repository_id: str, name: str) -> str | None:
    """The digest of the manifest that the tag points to."""
    found = await find(tx, repository_id, name)
    return None if found is None else found.digest


async def put(  # noqa: PLR0913 -- one argument for each column
    tx: Tx,
    repository_id: str,
    name: str,
    digest: str,
    *,
    expires_at: datetime | None = None,
    is_reversion: bool = False,
) -> None:
    """Create the tag or move it. The repository is locked. Whoever was told that it expires is told anew."""
    await _end_version(tx, repository_id, name)
    moved = await tx.run(
        update(tags)
        .where(_is(repository_id, name))
        .values(digest=digest, updated_at=tx.now, expires_at=expires_at)
    )
    if not moved:
        await tx.run(
            insert(tags).values(
                repository_id=repository_id,
                name=name,
                digest=digest,
                created_at=tx.now,
                updated_at=tx.now,
                expires_at=expires_at,
            )
        )
    await tx.run(
        insert(tag_versions).values(
            id=tx.new_id("tgv"),
            repository_id=repository_id,
            name=name,
            digest=digest,
            is_reversion=is_reversion,
            started_at=tx.now,
            ended_at=expires_at,
        )
    )


async def set_expiry(
    tx: Tx, repository_id: str, name: str, expires_at: datetime | None
) -> None:
    """Let the tag expire then, or never. The repository is locked and the tag is there."""
    await tx.run(update(tags).where(_is(repository_id, name)).values(expires_at=expires_at))
    await tx.run(
        update(tag_versions)
        .where(_is_open_version(tx, repository_id, name))
        .values(ended_at=expires_at)
    )
    await _unmark(tx, repository_id, name)


async def digests(tx: Tx, repository_id: str) -> dict[str, str]:
    """What each of the repository's tags points to."""
    rows = await tx.rows(
        select(tags.c.name, tags.c.digest).where(
            tags.c.repository_id == repository_id, is_live(tx)
        )
    )
    return {row.name: row.digest for row in rows}


async def names(tx: Tx, repository_id: str, *, after: str, limit: int) -> Sequence[str]:
    """Tags in the order of their bytes, from behind `after`."""
    order = in_byte_order(tx, tags.c.name)
    rows = await tx.rows(
        select(tags.c.name)
        .where(tags.c.repository_id == repository_id, order > after, is_live(tx))
        .order_by(order)
        .limit(limit)
    )
    return [row.name for row in rows]


async def names_of(tx: Tx, repository_id: str, digest: str) -> Sequence[str]:
    """Every tag that points to the manifest."""
    rows = await tx.rows(
        select(tags.c.name)
        .where(tags.c.repository_id == repository_id, tags.c.digest == digest, is_live(tx))
        .order_by(tags.c.name)
    )
    return [row.name for row in rows]


async def remove(tx: Tx, repository_id: str, name: str) -> bool:
    """Delete the tag, not its manifest; False if there is none."""
    if await find(tx, repository_id, name) is None:
        return False
    await _end_version(tx, repository_id, name)
    await tx.run(delete(tags).where(_is(repository_id, name)))
    return True


async def forget_versions(tx: Tx, repository_id: str, name: str, digest: str) -> None:
    """Keep nothing of the tag's having pointed to this manifest, once it does no more."""
    await tx.run(
        delete(tag_versions).where(
            tag_versions.c.repository_id == repository_id,
            tag_versions.c.name == name,
            tag_versions.c.digest == digest,
            tag_versions.c.ended_at <= tx.now,
        )
    )


async def remove_of(tx: Tx, repository_id: str, digest: str) -> None:
    """Delete every tag that points to the manifest, which is about to go."""
    for name in await names_of(tx, repository_id, digest):
        await remove(tx, repository_id, name)
    await tx.run(
        delete(tags).where(tags.c.repository_id == repository_id, tags.c.digest == digest)
    )


async def list_versions(  # noqa: PLR0913 -- one filter each
    tx: Tx,
    repository_id: str,
    *,
    name: str | None,
    part: str | None,
    only_live: bool,
    offset: int,
    limit: int,
) -> Sequence[TagVersion]:
    """What tags point and pointed to, the newest first; of manifests that are still there."""
    statement = (
        select(tag_versions, manifests.c.media_type, manifests.c.body)
        .join(
            manifests,
            and_(
                manifests.c.repository_id == tag_versions.c.repository_id,
                manifests.c.digest == tag_versions.c.digest,
            ),
        )
        .where(tag_versions.c.repository_id == repository_id)
        .order_by(
            tag_versions.c.started_at.desc(),
            in_byte_order(tx, tag_versions.c.name),
            tag_versions.c.id.desc(),
        )
        .offset(offset)
        .limit(limit)
    )
    if name is not None:
        statement = statement.where(tag_versions.c.name == name)
    if part is not None:
        statement = statement.where(tag_versions.c.name.contains(part, autoescape=True))
    if only_live:
        statement = statement.where(
            or_(tag_versions.c.ended_at.is_(None), tag_versions.c.ended_at > tx.now)
        )
    return [
        TagVersion(
            row.name,
            row.digest,
            row.is_reversion,
            row.started_at,
            row.ended_at,
            row.media_type,
            row.body,
        )
        for row in await tx.rows(statement)
    ]


async def has_expiring(tx: Tx) -> bool:
    """Whether any tag at all will expire."""
    row = await tx.first(select(tags.c.name).where(tags.c.expires_at > tx.now).limit(1))
    return row is not None


async def expired(tx: Tx, limit: int) -> Sequence[tuple[str, str, str]]:
    """Repository, name and digest of some tags that have expired."""
    rows = await tx.rows(
        select(tags.c.repository_id, tags.c.name, tags.c.digest)
        .where(tags.c.expires_at <= tx.now)
        .order_by(tags.c.expires_at)
        .limit(limit)
    )
    return [(row.repository_id, row.name, row.digest) for row in rows]


async def remove_expired(tx: Tx, repository_id: str, name: str) -> bool:
    """Delete the tag if it has expired; False if it has not, or is gone. The repository is locked."""
    removed = await tx.run(
        delete(tags).where(_is(repository_id, name), tags.c.expires_at <= tx.now)
    )
    await _unmark(tx, repository_id, name)
    return removed > 0


async def expiring(
    tx: Tx, notification_id: str, place_id: str, until: datetime, limit: int
) -> Sequence[tuple[str, str]]:
    """Repository and name of tags of the place that expire until then, and that the notification was not told of."""
    is_marked = exists().where(
        expiry_marks.c.notification_id == notification_id,
        expiry_marks.c.repository_id == tags.c.repository_id,
        expiry_marks.c.tag == tags.c.name,
    )
    rows = await tx.rows(
        select(tags.c.repository_id, tags.c.name)
        .join(repositories, repositories.c.id == tags.c.repository_id)
        .where(
            or_(
                literal(place_id == INSTANCE),
                repositories.c.id == place_id,
                repositories.c.namespace_id == place_id,
            ),
            tags.c.expires_at > tx.now,
            tags.c.expires_at <= until,
            ~is_marked,
        )
        .order_by(tags.c.repository_id, in_byte_order(tx, tags.c.name))
        .limit(limit)
    )
    return [(row.repository_id, row.name) for row in rows]


async def mark(tx: Tx, notification_id: str, repository_id: str, name: str) -> None:
    """Note that the notification is told of this; raise DuplicateError if another process just did."""
    await tx.run(
        insert(expiry_marks).values(
            notification_id=notification_id,
            repository_id=repository_id,
            tag=name,
            marked_at=tx.now,
        )
    )


def _is_open_version(tx: Tx, repository_id: str, name: str) -> ColumnElement[bool]:
    return and_(
        tag_versions.c.repository_id == repository_id,
        tag_versions.c.name == name,
        or_(tag_versions.c.ended_at.is_(None), tag_versions.c.ended_at > tx.now),
    )


async def _end_version(tx: Tx, repository_id: str, name: str) -> None:
    await tx.run(
        update(tag_versions)
        .where(_is_open_version(tx, repository_id, name))
        .values(ended_at=tx.now)
    )
    await _unmark(tx, repository_id, name)


async def _unmark(tx: Tx, repository_id: str, name: str) -> None:
    await tx.run(
        delete(expiry_marks).where(
            expiry_marks.c.repository_id == repository_id, expiry_marks.c.tag == name
        )
    )
