"""The file of one upload: written piece by piece, hashed on the way, and settled as a blob at the end."""

import asyncio
import contextlib
import fcntl
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from dockbell.domain.digests import Digest, DigestMismatchError, Hash, new_hash

_BATCH = (
    1 << 20
)  # bytes gathered before one call to write: larger ones cost less, but others wait meanwhile
_PIECES_AT_ONCE = 1024  # what one vectored write takes on Linux
_READ = 1 << 20
_HASHES_KEPT = 1024
_UPLOAD_ID = re.compile(r"[a-z]+_[0-9a-z]{26}")


class BusyError(Exception):
    """Another request is writing to this upload."""


def is_upload_id(text: str) -> bool:
    """Whether this can be an upload's id, so that it is safe in a file name and in a statement."""
    return _UPLOAD_ID.fullmatch(text) is not None


# What changes when anybody replaces a file or writes to it: device, inode, size, and when it last changed.
Stamp = tuple[int, int, int, int]


class Hashes:
    """Running hashes of uploads that are between two requests. What is forgotten is hashed again from the file."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, Stamp, Hash]] = OrderedDict()

    def keep(self, upload_id: str, algorithm: str, stamp: Stamp, running: Hash) -> None:
        self._kept[upload_id] = (algorithm, stamp, running)
        if len(self._kept) > _HASHES_KEPT:
            self._kept.popitem(last=False)

    def take(self, upload_id: str, algorithm: str, stamp: Stamp) -> Hash | None:
        """The hash over exactly these bytes, if it is still here. Whoever takes it may change it."""
        kept = self._kept.pop(upload_id, None)
        return kept[2] if kept is not None and kept[:2] == (algorithm, stamp) else None

    def forget(self, upload_id: str) -> None:
        self._kept.pop(upload_id, None)


def open_alone(path: Path, flags: int) -> int:
    """A descriptor with the lock on the file that the path names now; raise BusyError if another holds it.

    Whoever holds the lock may move or delete the file, and nobody else does.
    """
    while True:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise BusyError from None
        except BaseException:
            os.close(descriptor)
            raise
        # Between the two calls another process finished the upload: this is a blob now, not to be touched.
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the path names the file that is open here."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


class UploadFile:
    """An upload that one request alone writes to. Made by `Files.upload`; raises BusyError if it is not alone."""

    def __init__(self, path: Path, hashes: Hashes, algorithm: str) -> None:
        self._path = path
        self._hashes = hashes
        self._algorithm = algorithm
        self._running: Hash | None = None  # None: not known, to be made from the file
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._descriptor = open_alone(path, os.O_RDWR | os.O_CREAT)
        self._written = os.lseek(self._descriptor, 0, os.SEEK_END)

    @property
    def size(self) -> int:
        """Bytes so far, those of earlier requests included."""
        return self._written + self._waiting

    async def recall(self) -> None:
        """Take up the hash where the last request left it, or make it anew from the file."""
        self._running = self._hashes.take(self._path.name, self._algorithm, self._stamp())
        if self._running is None:
            self._running = await self._hash(self._algorithm)

    def write(self, piece: bytes) -> None:
        """Append. Pieces are gathered, so that a fast client costs few calls to the system."""
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= _BATCH:
            self.flush()

    def cut(self, size: int) -> None:
        """Take back the bytes beyond `size`."""
        self._pieces, self._waiting, self._running = [], 0, None
        os.ftruncate(self._descriptor, size)
        self._written = os.lseek(self._descriptor, size, os.SEEK_SET)

    async def seal(self, digest: Digest) -> None:
        """Make the bytes durable; raise DigestMismatchError if the digest is not theirs."""
        self.flush()
        running = self._running if digest.algorithm == self._algorithm else None
        if running is None:
            running = await self._hash(digest.algorithm)
        if running.hexdigest() != digest.hex:
            raise DigestMismatchError
        await asyncio.to_thread(os.fsync, self._descriptor)
        self._running = None  # nothing more is written

    async def settle(self, place: Path) -> None:
        """Make the bytes, which are durable, visible at `place`.

        Raise FileNotFoundError if the file was taken away or replaced, by whoever does not ask for the lock.
        """
        await asyncio.to_thread(_settle, self._descriptor, self._path, place)

    @contextlib.contextmanager
    def reader(self) -> Iterator[int]:
        """A descriptor that the bytes can be read from, all of which are written."""
        self.flush()
        position = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        try:
            yield self._descriptor
        finally:
            os.lseek(self._descriptor, position, os.SEEK_SET)

    def discard(self) -> None:
        """Delete what came."""
        self._running = None
        if _is_at(self._path, self._descriptor):
            self._path.unlink()

    def close(self) -> None:
        """Keep what came, so that the upload can be resumed. What a full disk refuses was never acknowledged."""
        try:
            with contextlib.suppress(OSError):
                self.flush()
            if self._running is not None and self._written:
                self._hashes.keep(
                    self._path.name, self._algorithm, self._stamp(), self._running
                )
        finally:
            os.close(self._descriptor)

    def flush(self) -> None:
        """Hand everything to the system; raise OSError if the disk takes it not. Only then acknowledge it."""
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        running, self._running = self._running, None  # if the disk fails, the hash is not right
        for first in range(0, len(pieces), _PIECES_AT_ONCE):
            batch = pieces[first : first + _PIECES_AT_ONCE]
            self._written += _write_all(self._descriptor, batch)
            if running is not None:
                for piece in batch:
                    running.update(piece)
        self._running = running

    def _stamp(self) -> Stamp:
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino, found.st_size, found.st_ctime_ns

    async def _hash(self, algorithm: str) -> Hash:
        running = new_hash(algorithm)
        if self._written:
            await asyncio.to_thread(self._hash_file, running)
        return running

    def _hash_file(self, running: Hash) -> None:
        position = 0
        while piece := os.pread(self._descriptor, _READ, position):
            running.update(piece)
            position += len(piece)


def _write_all(descriptor: int, pieces: list[bytes]) -> int:
    total = sum(map(len, pieces))
    count = os.writev(descriptor, pieces)
    if count < total:  # a disk that is nearly full takes a part
        rest = memoryview(b"".join(pieces))[count:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return total


def _settle(descriptor: int, source: Path, place: Path) -> None:
    _make_folder(place.parent)
    if not _is_at(source, descriptor):
        raise FileNotFoundError(source)
    source.replace(place)
    _sync_folder(place.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder that survives a power cut."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
