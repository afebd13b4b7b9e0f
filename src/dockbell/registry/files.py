"""The content of images: uploads on their way in, and where they end."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

from dockbell.domain.digests import CANONICAL, Digest
from dockbell.registry.folders import Folder
from dockbell.registry.places import Place
from dockbell.registry.upload_files import (
    BusyError,
    Hashes,
    UploadFile,
    is_upload_id,
    open_alone,
)


class Files:
    """The data folder with unfinished uploads in `uploads/<id>`, and the place of blobs: its `blobs`, unless another is given.

    Several processes may share the folder.
    """

    def __init__(self, folder: Path, blobs: Place | None = None) -> None:
        self.blobs: Place = Folder(folder / "blobs") if blobs is None else blobs
        self._uploads = folder / "uploads"
        self._hashes = Hashes()
        self._uploads.mkdir(parents=True, exist_ok=True)

    async def read_blob(self, digest: Digest, limit: int) -> bytes | None:
        """All of a small blob; None if there is none or it is longer than `limit` bytes."""
        blob = await self.blobs.open(digest)
        if blob is None:
            return None
        try:
            return await blob.read(0, blob.size) if blob.size <= limit else None
        finally:
            blob.close()

    def upload_size(self, upload_id: str) -> int:
        """How many bytes of an upload are here."""
        try:
            return self._upload_path(upload_id).stat().st_size
        except FileNotFoundError:
            return 0

    @contextlib.asynccontextmanager
    async def upload(
        self, upload_id: str, algorithm: str = CANONICAL
    ) -> AsyncIterator[UploadFile]:
        """Write to an upload, alone. What came is kept if the block ends by an error, to be resumed.

        Raise BusyError at once if another request writes to it, in this process or another.
        """
        opened = UploadFile(self._upload_path(upload_id), self._hashes, algorithm)
        try:
            await opened.recall()
            yield opened
        finally:
            opened.close()

    async def discard(self, upload_id: str) -> None:
        """Delete what came of an upload, unless a request writes to it: that one deletes it at its end."""
        self._hashes.forget(upload_id)
        await asyncio.to_thread(_remove, self._upload_path(upload_id))

    async def sweep(self, before: datetime) -> int:
        """Delete uploads that got no bytes since then and are not being written to; return how many."""
        return await asyncio.to_thread(self._sweep, before.timestamp())

    def _sweep(self, before: float) -> int:
        swept = 0
        for path in self._uploads.iterdir():
            with contextlib.suppress(FileNotFoundError, BusyError), _alone(path) as descriptor:
                if os.fstat(descriptor).st_mtime < before:
                    path.unlink()
                    swept += 1
        return swept

    def _upload_path(self, upload_id: str) -> Path:
        # Ids reach here only after the database knew them; this is the second bolt.
        if not is_upload_id(upload_id):
            raise ValueError(f"{upload_id!r} is not the id of an upload.")
        return self._uploads / upload_id


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Hold the lock on the file of an upload; raise FileNotFoundError or BusyError."""
    descriptor = open_alone(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError, BusyError), _alone(path):
        path.unlink()
