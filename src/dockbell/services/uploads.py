"""Uploads: a blob on its way into a repository, over one request or many."""

from datetime import timedelta

from dockbell.domain.accounts import Actor
from dockbell.domain.digests import Digest
from dockbell.domain.manifests import UploadUnknownError
from dockbell.domain.permissions import WriterOf
from dockbell.services.quotas import Quotas
from dockbell.store import blobs, uploads
from dockbell.store.transactions import Tx

LIFETIME = timedelta(hours=24)  # from the last request that brought bytes


async def start(tx: Tx, writer: WriterOf) -> str:
    """Begin an upload; return its id."""
    return await uploads.add(tx, writer.repository.id)


async def check(tx: Tx, writer: WriterOf, upload_id: str) -> None:
    """Raise UploadUnknownError unless this is an open upload of the repository."""
    if not await uploads.is_known(tx, writer.repository.id, upload_id):
        raise UploadUnknownError


async def advance(tx: Tx, writer: WriterOf, upload_id: str, size: int) -> None:
    """Note how many bytes have come, which also keeps the upload from being purged."""
    await check(tx, writer, upload_id)
    await uploads.set_size(tx, upload_id, size)


async def finish(  # noqa: PLR0913, PLR0917 -- one argument for each thing that a blob is
    tx: Tx, writer: WriterOf, quotas: Quotas, upload_id: str, digest: Digest, size: int
) -> None:
    """Let the repository hold the blob. Call it when the file is durable, never before.

    Raise QuotaExceededError if the namespace may not store that much.
    """
    await check(tx, writer, upload_id)
    await quotas.admit(tx, writer, digest, size)
    await blobs.add(tx, writer.repository.id, str(digest), size)
    await uploads.remove(tx, upload_id)


async def cancel(tx: Tx, writer: WriterOf, upload_id: str) -> None:
    await check(tx, writer, upload_id)
    await uploads.remove(tx, upload_id)


async def purge(tx: Tx, actor: Actor) -> int:
    """Forget uploads that got no bytes for a day; return how many. For the server itself."""
    del actor  # nobody else has a way to this
    return await uploads.remove_older(tx, tx.now - LIFETIME)
