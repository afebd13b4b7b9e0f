"""Blobs in an object store: put there whole before their rows are written, read in large pieces."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from dockbell.domain.digests import Digest, DigestError
from dockbell.registry.places import CollectedError
from dockbell.registry.upload_files import UploadFile

_PIECE = 4 << 20  # read at once: each reading is a request
_PREFIX = "blobs/"


class ObjectStore(Protocol):
    """The way out to an object store. Raises UnavailableError when it does not answer."""

    async def size(self, key: str) -> int | None: ...
    async def read(self, key: str, start: int, length: int) -> bytes: ...
    async def put(self, key: str, descriptor: int) -> None: ...
    async def delete(self, key: str) -> None: ...
    def list(self, prefix: str) -> AsyncIterator[Sequence[tuple[str, datetime]]]: ...


class Bucket:
    """Keeps blobs as `blobs/<algorithm>/<first two digits>/<hex>` in an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def has(self, digest: Digest) -> bool:
        return await self._store.size(_key(digest)) is not None

    async def open(self, digest: Digest) -> "BucketBlob | None":
        size = await self._store.size(_key(digest))
        return None if size is None else BucketBlob(self._store, _key(digest), size)

    async def prepare(self, upload: UploadFile, digest: Digest) -> None:
        """Put the content there, unless it is there already. It may take as long as the upload did."""
        if await self._store.size(_key(digest)) != upload.size:
            with upload.reader() as descriptor:
                await self._store.put(_key(digest), descriptor)

    async def settle(self, upload: UploadFile, digest: Digest) -> None:
        """See that it is still there now that nobody can take it away, and let go of the upload."""
        if await self._store.size(_key(digest)) != upload.size:
            raise CollectedError
        upload.discard()

    async def remove(self, digest: Digest) -> None:
        await self._store.delete(_key(digest))

    async def list(self, before: datetime) -> AsyncIterator[Sequence[Digest]]:
        async for entries in self._store.list(_PREFIX):
            yield [
                digest
                for key, changed_at in entries
                if changed_at < before and (digest := _digest_of(key)) is not None
            ]


class BucketBlob:
    """A blob in an object store. What is read next to what was read just now comes from memory."""

    def __init__(self, store: ObjectStore, key: str, size: int) -> None:
        self._store = store
        self._key = key
        self.size = size
        self._start = 0
        self._piece = b""

    def close(self) -> None:
        self._piece = b""

    async def read(self, start: int, length: int) -> bytes:
        length = min(length, self.size - start)
        if length <= 0:
            return b""
        offset = start - self._start
        if not 0 <= offset <= len(self._piece) - length:
            wanted = min(max(length, _PIECE), self.size - start)
            self._piece = await self._store.read(self._key, start, wanted)
            self._start, offset = start, 0
        return self._piece[offset : offset + length]


def _key(digest: Digest) -> str:
    return f"{_PREFIX}{digest.algorithm}/{digest.hex[:2]}/{digest.hex}"


def _digest_of(key: str) -> Digest | None:
    """The digest that an object is named by; None for an object that is not ours."""
    parts = key.removeprefix(_PREFIX).split("/")
    try:
        digest = Digest.of(f"{parts[0]}:{parts[-1]}")
    except DigestError:
        return None
    return digest if _key(digest) == key else None
