"""Blobs of a repository: finding, mounting and removing them. The bytes themselves are the registry's files."""

from collections.abc import Sequence
from datetime import timedelta

from dockbell.domain.accounts import Actor
from dockbell.domain.digests import Digest
from dockbell.domain.errors import DockbellError
from dockbell.domain.manifests import BlobInUseError, BlobUnknownError
from dockbell.domain.permissions import ReaderOf, WriterOf
from dockbell.services import quotas as quota_service
from dockbell.services import repositories
from dockbell.services.quotas import Quotas
from dockbell.store import blobs
from dockbell.store import manifests as manifest_rows
from dockbell.store.transactions import Tx

GRACE = timedelta(
    hours=24
)  # for which what no manifest needs is kept, since a push last asked for it
_MOST_HOLDERS = 20  # repositories that are looked at for one that the caller may read


async def load_size(tx: Tx, reader: ReaderOf, digest: Digest) -> int:
    """The blob's size; raise BlobUnknownError if the repository does not hold it."""
    size = await blobs.find_size(tx, reader.repository.id, str(digest))
    if size is None:
        raise BlobUnknownError
    return size


async def is_fading(tx: Tx, reader: ReaderOf, digest: Digest) -> bool:
    """Whether the blob is on its way out: who asks for it now may be about to push a manifest that needs it."""
    return await blobs.is_fading(tx, reader.repository.id, str(digest), tx.now - GRACE / 2)


async def renew(tx: Tx, reader: ReaderOf, digest: Digest) -> None:
    """Keep the blob in the repository as long as if it were new."""
    await blobs.renew(tx, reader.repository.id, str(digest))


async def hold(tx: Tx, writer: WriterOf, digest: Digest) -> None:
    """Until this transaction ends, nobody takes the content away. Before its file is put in place, or it is linked."""
    del writer  # who pushes
    await blobs.hold(tx, str(digest))


async def holds(tx: Tx, writer: WriterOf, digest: Digest) -> bool:
    return await blobs.find_size(tx, writer.repository.id, str(digest)) is not None


async def sources(tx: Tx, actor: Actor, digest: Digest, path: str | None) -> Sequence[ReaderOf]:
    """Repositories that hold the blob and that the caller may pull from: this one only, or some of all."""
    paths = [path] if path is not None else await blobs.holders(tx, str(digest), _MOST_HOLDERS)
    found = []
    for one in paths:
        try:
            reader = await repositories.reader_of(tx, actor, one)
        except DockbellError:
            continue  # what the caller may not read is as good as absent
        if await blobs.find_size(tx, reader.repository.id, str(digest)) is not None:
            found.append(reader)
    return found


async def mount(
    tx: Tx, writer: WriterOf, quotas: Quotas, source: ReaderOf, digest: Digest
) -> bool:
    """Let the repository hold what another one holds, without an upload; False if that one does not.

    Raise QuotaExceededError if the namespace may not store that much.
    """
    await blobs.hold(tx, str(digest))
    size = await blobs.find_size(tx, source.repository.id, str(digest))
    if size is None:
        return False
    await quotas.admit(tx, writer, digest, size)
    await blobs.link(tx, writer.repository.id, str(digest))
    return True


async def delete(tx: Tx, writer: WriterOf, digest: Digest) -> None:
    """Take the blob from this repository only; raise BlobInUseError while a manifest needs it."""
    repository_id = writer.repository.id
    await quota_service.hold(tx, writer)
    await manifest_rows.lock_repository(tx, repository_id)
    if await blobs.is_referenced(tx, repository_id, str(digest)):
        raise BlobInUseError
    if not await blobs.unlink(tx, repository_id, str(digest)):
        raise BlobUnknownError
    await quota_service.release(tx, writer, digest)
