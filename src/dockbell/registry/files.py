"""Blob files on a local disk: nothing half-written is ever visible, and nothing acknowledged is lost."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from dockbell.domain.digests import ALGORITHMS, CANONICAL, Digest, DigestError
from dockbell.registry.upload_files import (
    BusyError,
    Hashes,
    UploadFile,
    is_upload_id,
    open_alone,
)


class Files:
    """The folder with all blobs and unfinished uploads.

    Blobs lie in `blobs/<algorithm>/<first two digits>/<hex>`, uploads in `uploads/<id>`. Several processes may
    share the folder. Which repository holds what is the database's word, not the folder's.
    """

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs"
        self._uploads = folder / "uploads"
        self._hashes = Hashes()
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._uploads.mkdir(parents=True, exist_ok=True)

    def has_blob(self, digest: Digest) -> bool:
        return self._place(digest).is_file()

    def open_blob(self, digest: Digest) -> "BlobFile | None":
        """The blob, to read from; the caller closes it. None if there is no such file."""
        try:
            return BlobFile(os.open(self._place(digest), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    async def read_blob(self, digest: Digest, limit: int) -> bytes | None:
        """All of a small blob; None if there is none or it is longer than `limit` bytes."""
        file = self.open_blob(digest)
        if file is None:
            return None
        with file:
            return await file.read(0, file.size) if file.size <= limit else None

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

    async def settle(self, upload: UploadFile, digest: Digest) -> None:
        """Turn the upload, which is sealed, into a blob: durable when this returns. Raise FileNotFoundError."""
        await upload.settle(self._place(digest))

    async def remove_blob(self, digest: Digest) -> None:
        """Delete the blob's file, if there is one. Whoever calls it holds the digest and knows that nobody needs it."""
        await asyncio.to_thread(self._place(digest).unlink, missing_ok=True)

    async def list_blobs(self, before: datetime) -> AsyncIterator[Sequence[Digest]]:
        """The blobs whose files are older than that, some at a time."""
        for algorithm in ALGORITHMS:
            for number in range(256):
                folder = self._blobs / algorithm / f"{number:02x}"
                yield await asyncio.to_thread(_digests_in, folder, algorithm, before)

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

    def _place(self, digest: Digest) -> Path:
        return self._blobs / digest.algorithm / digest.hex[:2] / digest.hex

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


def _digests_in(folder: Path, algorithm: str, before: datetime) -> Sequence[Digest]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, DigestError):
                if entry.stat().st_mtime < before.timestamp():
                    found.append(Digest.of(f"{algorithm}:{entry.name}"))
    return found


class BlobFile:
    """A blob that is open for reading. Close it, or use it as a context."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._descriptor)

    async def read(self, start: int, length: int) -> bytes:
        """The bytes from memory if the system has them there, else from the disk in a thread."""
        buffer = bytearray(length)
        try:
            count = os.preadv(self._descriptor, [buffer], start, os.RWF_NOWAIT)
        except OSError:  # not in memory, or a file system that cannot tell
            count = 0
        if count == length:
            return bytes(buffer)
        rest = await asyncio.to_thread(self._read, start + count, length - count)
        return bytes(buffer[:count]) + rest

    def _read(self, start: int, length: int) -> bytes:
        pieces = []
        while length > 0 and (piece := os.pread(self._descriptor, length, start)):
            pieces.append(piece)
            start += len(piece)
            length -= len(piece)
        return b"".join(pieces)
