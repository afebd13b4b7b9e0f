"""Rows of labels of manifests."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, select

from dockbell.domain.ids import uuid_of
from dockbell.domain.labels import Label, media_type_of
from dockbell.store.tables import manifest_labels
from dockbell.store.transactions import Tx


def _of(repository_id: str, digest: str) -> ColumnElement[bool]:
    return and_(
        manifest_labels.c.repository_id == repository_id, manifest_labels.c.digest == digest
    )


def _label(row: Row[Any]) -> Label:
    return Label(row.uuid, row.key, row.value, row.source, row.media_type)


async def add_of_image(
    tx: Tx, repository_id: str, digest: str, labels: Mapping[str, str]
) -> None:
    """Keep what an image brings."""
    rows = [
        _row(tx, repository_id, digest, Label("", key, value, "manifest", media_type_of(value)))
        for key, value in labels.items()
    ]
    if rows:
        await tx.run(insert(manifest_labels), rows)


async def add(  # noqa: PLR0913 -- one argument for each column
    tx: Tx, repository_id: str, digest: str, *, key: str, value: str, media_type: str
) -> Label:
    """Keep what somebody adds."""
    row = _row(tx, repository_id, digest, Label("", key, value, "api", media_type))
    await tx.run(insert(manifest_labels).values(row))
    return Label(row["uuid"], key, value, "api", media_type)


async def find_all(tx: Tx, repository_id: str, digest: str) -> Sequence[Label]:
    """All labels of the manifest, in the order in which they came."""
    rows = await tx.rows(
        select(manifest_labels).where(_of(repository_id, digest)).order_by(manifest_labels.c.id)
    )
    return [_label(row) for row in rows]


async def find(tx: Tx, repository_id: str, digest: str, uuid: str) -> Label | None:
    row = await tx.first(
        select(manifest_labels).where(
            _of(repository_id, digest), manifest_labels.c.uuid == uuid
        )
    )
    return None if row is None else _label(row)


async def find_value(tx: Tx, repository_id: str, digest: str, key: str) -> str | None:
    """The value of the manifest's first label of this name."""
    row = await tx.first(
        select(manifest_labels.c.value)
        .where(_of(repository_id, digest), manifest_labels.c.key == key)
        .order_by(manifest_labels.c.id)
        .limit(1)
    )
    return None if row is None else row.value


async def remove(tx: Tx, repository_id: str, digest: str, uuid: str) -> None:
    await tx.run(
        delete(manifest_labels).where(
            _of(repository_id, digest), manifest_labels.c.uuid == uuid
        )
    )


async def remove_all(tx: Tx, repository_id: str, digest: str) -> None:
    await tx.run(delete(manifest_labels).where(_of(repository_id, digest)))


def _row(tx: Tx, repository_id: str, digest: str, label: Label) -> dict[str, str]:
    label_id = tx.new_id("lbl")
    return {
        "id": label_id,
        "repository_id": repository_id,
        "digest": digest,
        "uuid": uuid_of(label_id),
        "key": label.key,
        "value": label.value,
        "source": label.source,
        "media_type": label.media_type,
    }
