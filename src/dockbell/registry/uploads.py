"""Uploads over HTTP: at once, in one stream, or in chunks that can be resumed."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.digests import (
    CANONICAL,
    Digest,
    DigestError,
    DigestMismatchError,
    new_hash,
)
from dockbell.domain.errors import DockbellError
from dockbell.domain.manifests import UploadUnknownError
from dockbell.domain.quotas import QuotaExceededError, Room
from dockbell.registry import access, ranges
from dockbell.registry.errors import Refusal
from dockbell.registry.files import Files
from dockbell.registry.parts import Begin, Parts
from dockbell.registry.places import CollectedError
from dockbell.registry.requests import DisconnectedError, Reply, Request, StalledError
from dockbell.registry.routes import Route
from dockbell.registry.upload_files import UploadFile, is_upload_id
from dockbell.services import blobs, uploads
from dockbell.services.registry_tokens import Claim

_SETTLE_TRIES = (
    3  # content may be collected as garbage between its coming to an object store and its rows
)


async def post_upload(parts: Parts, request: Request, route: Route) -> Reply:
    """Begin an upload; or mount a blob from elsewhere; or take a whole blob at once."""
    claim = await access.identify(parts, request)
    mounted = await _mount(parts, request, route, claim)
    if mounted is not None:
        return _created(route, mounted)
    whole = request.query("digest")
    digest = None if whole is None else Digest.of(whole)
    algorithm = _algorithm_of(request)
    async with parts.begin() as tx:
        writer = await access.writer(tx, claim, route.path)
        upload_id = await uploads.start(tx, writer)
        room = None if digest is None else await parts.quotas.room(tx, writer, digest)
    if digest is None:
        return _progress(202, route, upload_id, 0, algorithm)
    try:
        return await _complete(parts, request, route, claim, upload_id, digest, room)
    except (DisconnectedError, StalledError):
        # Nobody was told its id, so nobody can go on with it.
        await _cancel(parts, route, claim, upload_id)
        raise


async def get_upload(parts: Parts, request: Request, route: Route) -> Reply:
    """How much has come: where a client that was interrupted goes on."""
    claim = await access.identify(parts, request)
    upload_id = route.reference
    await _check(parts, route, claim, upload_id)
    size = parts.files.upload_size(upload_id)
    return _progress(204, route, upload_id, size, _algorithm_of(request))


async def patch_upload(parts: Parts, request: Request, route: Route) -> Reply:
    """Take a chunk, or the whole content as one stream without Content-Range."""
    claim = await access.identify(parts, request)
    upload_id = route.reference
    room = await _check(parts, route, claim, upload_id)
    algorithm = _algorithm_of(request)
    async with _open(parts, route, claim, upload_id, algorithm) as upload:
        await _receive(request, route, upload_id, upload, room)
        size = upload.size
        async with parts.begin() as tx:
            writer = await access.writer(tx, claim, route.path)
            await uploads.advance(tx, writer, upload_id, size)
    return _progress(202, route, upload_id, size, algorithm)


async def put_upload(parts: Parts, request: Request, route: Route) -> Reply:
    """Take the last chunk, if there is one, and make the blob."""
    claim = await access.identify(parts, request)
    expected = request.query("digest")
    if expected is None:
        raise DigestError("Give the content's digest in the query: `?digest=sha256:…`.")
    digest = Digest.of(expected)
    upload_id = route.reference
    room = await _check(parts, route, claim, upload_id, digest)
    return await _complete(parts, request, route, claim, upload_id, digest, room)


async def delete_upload(parts: Parts, request: Request, route: Route) -> Reply:
    """Cancel: what came is thrown away."""
    claim = await access.identify(parts, request)
    upload_id = route.reference
    await _check(parts, route, claim, upload_id)
    await _cancel(parts, route, claim, upload_id)
    return Reply(204)


async def purge_stale(begin: Begin, files: Files, now: datetime) -> int:
    """Throw away uploads that got no bytes for a day; return how many. Safe while others upload."""
    swept = await files.sweep(now - uploads.LIFETIME)
    async with begin() as tx:
        forgotten = await uploads.purge(tx, SYSTEM)
    return max(swept, forgotten)


async def _check(
    parts: Parts, route: Route, claim: Claim, upload_id: str, digest: Digest | None = None
) -> Room | None:
    """Raise unless the upload exists and the caller may push to its repository. Return what room there is for it."""
    async with parts.read() as tx:
        writer = await access.writer(tx, claim, route.path)
        if not is_upload_id(upload_id):
            raise UploadUnknownError
        await uploads.check(tx, writer, upload_id)
        return await parts.quotas.room(tx, writer, digest)


async def _cancel(parts: Parts, route: Route, claim: Claim, upload_id: str) -> None:
    async with parts.begin() as tx:
        await uploads.cancel(tx, await access.writer(tx, claim, route.path), upload_id)
    await parts.files.discard(upload_id)


async def _mount(parts: Parts, request: Request, route: Route, claim: Claim) -> Digest | None:
    """The digest of the blob that was mounted; None if an upload is needed, for whatever reason."""
    digest = _digest_or_none(request.query("mount"))
    if digest is None or not await parts.files.blobs.has(digest):
        return None
    source = request.query("from")
    try:
        async with parts.begin() as tx:
            writer = await access.writer(tx, claim, route.path)
            if await blobs.holds(tx, writer, digest):
                return digest
            reader = await access.source(tx, claim, digest, source)
            if reader is None or not await blobs.mount(
                tx, writer, parts.quotas, reader, digest
            ):
                return None  # what the caller may not read is as good as absent
            await parts.quotas.watch(tx, writer.actor, writer.repository.namespace_id)
            return digest
    except QuotaExceededError as error:
        await _note_refusal(parts, route, claim, error)
        raise


def _digest_or_none(text: str | None) -> Digest | None:
    try:
        return None if text is None else Digest.of(text)
    except DigestError:
        return None


async def _note_refusal(
    parts: Parts, route: Route, claim: Claim, error: QuotaExceededError, upload_id: str = ""
) -> None:
    """Tell of a push that was too large for the namespace's quota, and forget its upload."""
    async with parts.begin() as tx:
        writer = await access.writer(tx, claim, route.path)
        await parts.quotas.note_refusal(tx, writer, error.usage)
        if upload_id:
            with contextlib.suppress(UploadUnknownError):
                await uploads.cancel(tx, writer, upload_id)


async def _receive(
    request: Request, route: Route, upload_id: str, upload: UploadFile, room: Room | None
) -> None:
    """Append the body. A chunk that is not the next one, or not as long as it says, leaves no trace.

    Raise QuotaExceededError as soon as it is seen that there is no room for it, at best before it is read.
    """
    start = upload.size
    announced = request.header(b"content-range")
    length = None
    if announced is not None and request.content_length != 0:
        try:
            first, length = ranges.of_chunk(announced)
        except ranges.UnsatisfiableError:
            first = -1
        if first != start:
            reply = _progress(416, route, upload_id, start, _algorithm_of(request))
            raise Refusal(
                416,
                "BLOB_UPLOAD_INVALID",
                f"The next chunk must begin at byte {start}.",
                reply.headers,
            )
        if request.content_length not in {None, length}:
            raise _wrong_length()
    if room is not None:
        room.check(start + (request.content_length or 0))
    await request.pour(upload.write if room is None else _within(room, upload))
    upload.flush()
    if length is not None and upload.size - start != length:
        upload.cut(start)
        raise _wrong_length()


def _within(room: Room, upload: UploadFile) -> Callable[[bytes], None]:
    def write(piece: bytes) -> None:
        room.check(upload.size + len(piece))
        upload.write(piece)

    return write


async def _complete(  # noqa: PLR0913, PLR0917 -- what came, where it goes, who may
    parts: Parts,
    request: Request,
    route: Route,
    claim: Claim,
    upload_id: str,
    digest: Digest,
    room: Room | None,
) -> Reply:
    """Make a blob of the upload: first the file, durable; then its rows; then the answer.

    The file comes to its place while the digest is held, so that nobody who collects garbage takes it away again.
    """
    async with _open(parts, route, claim, upload_id, _algorithm_of(request)) as upload:
        await _receive(request, route, upload_id, upload, room)
        size = upload.size
        if route.reference and request.content_length != 0:
            # The content may have taken hours to come. By one POST it has no address to be cancelled at.
            await _check(parts, route, claim, upload_id)
        try:
            await upload.seal(digest)
        except DigestMismatchError:
            upload.discard()
            async with parts.begin() as tx:
                writer = await access.writer(tx, claim, route.path)
                await uploads.cancel(tx, writer, upload_id)
            raise
        for tries_left in reversed(range(_SETTLE_TRIES)):
            await parts.files.blobs.prepare(upload, digest)
            try:
                async with parts.begin() as tx:
                    writer = await access.writer(tx, claim, route.path)
                    await uploads.check(tx, writer, upload_id)
                    await blobs.hold(tx, writer, digest)
                    await _settle(parts.files, upload, digest)
                    await uploads.finish(tx, writer, parts.quotas, upload_id, digest, size)
                    await parts.quotas.watch(tx, writer.actor, writer.repository.namespace_id)
                break
            except CollectedError:
                if not tries_left:
                    raise
    return _created(route, digest)


@contextlib.asynccontextmanager
async def _open(
    parts: Parts, route: Route, claim: Claim, upload_id: str, algorithm: str
) -> AsyncIterator[UploadFile]:
    """The upload's file, to be written to alone. If the upload was cancelled meanwhile, it goes at the end."""
    async with parts.files.upload(upload_id, algorithm) as upload:
        try:
            yield upload
        except UploadUnknownError:
            upload.discard()
            raise
        except QuotaExceededError as error:
            upload.discard()
            await _note_refusal(parts, route, claim, error, upload_id)
            raise
        except (DisconnectedError, StalledError):
            with contextlib.suppress(DockbellError):
                if not await _is_known(parts, route, claim, upload_id):
                    upload.discard()
            raise


async def _is_known(parts: Parts, route: Route, claim: Claim, upload_id: str) -> bool:
    try:
        await _check(parts, route, claim, upload_id)
    except UploadUnknownError:
        return False
    return True


async def _settle(files: Files, upload: UploadFile, digest: Digest) -> None:
    try:
        await files.blobs.settle(upload, digest)
    except FileNotFoundError:
        raise UploadUnknownError from None


def _algorithm_of(request: Request) -> str:
    """The hash that the client announced, which the Location carries from request to request."""
    algorithm = request.query("digest-algorithm") or CANONICAL
    new_hash(algorithm)
    return algorithm


def _wrong_length() -> Refusal:
    return Refusal(400, "SIZE_INVALID", "The body is not as long as its Content-Range says.")


def _created(route: Route, digest: Digest) -> Reply:
    return Reply(
        201,
        {
            "location": f"/v2/{route.path}/blobs/{digest}",
            "docker-content-digest": str(digest),
        },
    )


def _progress(status: int, route: Route, upload_id: str, size: int, algorithm: str) -> Reply:
    query = "" if algorithm == CANONICAL else f"?digest-algorithm={algorithm}"
    return Reply(
        status,
        {
            "location": f"/v2/{route.path}/blobs/uploads/{upload_id}{query}",
            "range": ranges.progress(size),
            "docker-upload-uuid": upload_id,
        },
    )
