"""Labels of a repository's manifests: seeing, adding and removing them."""

from collections.abc import Sequence

from dockbell.domain.digests import Digest
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.labels import LONGEST_VALUE, Label, check_key, media_type_of
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.services import audit_entries, manifests
from dockbell.store import labels
from dockbell.store.transactions import Tx


async def list_all(
    tx: Tx, reader: ReaderOf, digest: Digest, *, prefix: str = ""
) -> Sequence[Label]:
    """The manifest's labels whose names begin so; NotFoundError for a manifest that is not there."""
    await manifests.load(tx, reader, digest)
    found = await labels.find_all(tx, reader.repository.id, str(digest))
    return [label for label in found if label.key.startswith(prefix)]


async def load(tx: Tx, reader: ReaderOf | WriterOf, digest: Digest, uuid: str) -> Label:
    await manifests.load(tx, reader, digest)
    found = await labels.find(tx, reader.repository.id, str(digest), uuid)
    if found is None:
        raise NotFoundError
    return found


async def add(  # noqa: PLR0913 -- one argument for each thing a label holds
    tx: Tx, writer: WriterOf, digest: Digest, *, key: str, value: str, media_type: str | None
) -> Label:
    """Give the manifest one more label. Those that tools or the registry itself read cannot be added."""
    check_key(key)
    if len(value) > LONGEST_VALUE or "\0" in value:
        raise InvalidRequestError(f"'value' is too long: at most {LONGEST_VALUE} characters")
    await manifests.load(tx, writer, digest)
    label = await labels.add(
        tx,
        writer.repository.id,
        str(digest),
        key=key,
        value=value,
        media_type=media_type or media_type_of(value),
    )
    await _note(tx, writer, "manifest_label_add", digest, label)
    return label


async def remove(tx: Tx, writer: WriterOf, digest: Digest, uuid: str) -> None:
    """Take away a label that somebody added; what the image brought stays."""
    label = await load(tx, writer, digest, uuid)
    if label.source != "api":
        raise InvalidRequestError("Cannot delete immutable label")
    await labels.remove(tx, writer.repository.id, str(digest), uuid)
    await _note(tx, writer, "manifest_label_delete", digest, label)


async def _note(tx: Tx, writer: WriterOf, kind: str, digest: Digest, label: Label) -> None:
    await audit_entries.write_about(
        tx,
        writer.actor,
        writer.repository,
        kind,
        id=label.uuid,
        key=label.key,
        value=label.value,
        manifest_digest=str(digest),
    )
