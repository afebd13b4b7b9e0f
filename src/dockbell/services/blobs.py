"""Blobs of a repository: finding, mounting and removing them. The bytes themselves are the registry's files."""

from dockbell.domain.digests import Digest
from dockbell.domain.manifests import BlobInUseError, BlobUnknownError
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.store import blobs
from dockbell.store import manifests as manifest_rows
from dockbell.store.transactions import Tx


async def load_size(tx: Tx, reader: ReaderOf, digest: Digest) -> int:
    """The blob's size; raise BlobUnknownError if the repository does not hold it."""
    size = await blobs.find_size(tx, reader.repository.id, str(digest))
    if size is None:
        raise BlobUnknownError
    return size


async def holds(tx: Tx, writer: WriterOf, digest: Digest) -> bool:
    return await blobs.find_size(tx, writer.repository.id, str(digest)) is not None


async def mount(tx: Tx, writer: WriterOf, source: ReaderOf, digest: Digest) -> bool:
    """Let the repository hold what another one holds, without an upload; False if that one does not."""
    if await blobs.find_size(tx, source.repository.id, str(digest)) is None:
        return False
    await blobs.link(tx, writer.repository.id, str(digest))
    return True


async def delete(tx: Tx, writer: WriterOf, digest: Digest) -> None:
    """Take the blob from this repository only; raise BlobInUseError while a manifest needs it."""
    repository_id = writer.repository.id
    await manifest_rows.lock_repository(tx, repository_id)
    if await blobs.is_referenced(tx, repository_id, str(digest)):
        raise BlobInUseError
    if not await blobs.unlink(tx, repository_id, str(digest)):
        raise BlobUnknownError
