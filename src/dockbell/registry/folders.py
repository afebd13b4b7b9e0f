"""Blobs in a folder: nothing half-written is ever visible, and nothing acknowledged is lost."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

from dockbell.domain.digests import ALGORITHMS, Digest, DigestError
from dockbell.registry.upload_files import UploadFile


class Folder:
    """A folder of blobs, in `<algorithm>/<first two digits>/<hex>`. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def has(self, digest: Digest) -> bool:
        return self._path(digest).is_file()

    async def open(self, digest: Digest) -> "BlobFile | None":
        try:
            return BlobFile(os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            return None

    async def prepare(self, upload: UploadFile, digest: Digest) -> None:
        del upload, digest  # renaming a file is quick

    async def settle(self, upload: UploadFile, digest: Digest) -> None:
        await upload.settle(self._path(digest))

    async def remove(self, digest: Digest) -> None:
        await asyncio.to_thread(self._path(digest).unlink, missing_ok=True)

    async def list(self, before: datetime) -> AsyncIterator[Sequence[Digest]]:
        for algorithm in ALGORITHMS:
            for number in range(256):
                folder = self._folder / algorithm / f"{number:02x}"
                yield await asyncio.to_thread(_digests_in, folder, algorithm, before)

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest.algorithm / digest.hex[:2] / digest.hex


def _digests_in(folder: Path, algorithm: str, before: datetime) -> Sequence[Digest]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, DigestError):
                if entry.stat().st_mtime < before.timestamp():
                    found.append(Digest.of(f"{algorithm}:{entry.name}"))
    return found


class BlobFile:
    """A blob in a file that is open for reading."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

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
