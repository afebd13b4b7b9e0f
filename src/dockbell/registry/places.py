"""Where blobs lie: what a folder on a disk and an object store have in common."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from dockbell.domain.digests import Digest
from dockbell.domain.errors import UndoneError
from dockbell.registry.upload_files import UploadFile


class CollectedError(UndoneError):
    """The content was collected as garbage a moment ago, and has to be put there again."""


class Blob(Protocol):
    """A blob that is open for reading. Whoever opened it closes it."""

    size: int

    def close(self) -> None: ...

    async def read(self, start: int, length: int) -> bytes: ...


class Place(Protocol):
    """Keeps blobs by their digests. Which repository holds what is the database's word, not this one's."""

    async def has(self, digest: Digest) -> bool: ...

    async def open(self, digest: Digest) -> Blob | None:
        """The blob, to read from; None if it is not there."""
        ...

    async def prepare(self, upload: UploadFile, digest: Digest) -> None:
        """Do the slow part of settling, before the digest is held. The upload is sealed."""
        ...

    async def settle(self, upload: UploadFile, digest: Digest) -> None:
        """Turn the upload, which is prepared, into a blob: durable when this returns. The digest is held.

        Raise FileNotFoundError if the upload was taken away, and CollectedError if it has to be prepared again.
        """
        ...

    async def remove(self, digest: Digest) -> None:
        """Delete the blob, if it is there. The caller holds the digest and knows that nobody needs it."""
        ...

    def list(self, before: datetime) -> AsyncIterator[Sequence[Digest]]:
        """The blobs that are older than that, some at a time."""
        ...
