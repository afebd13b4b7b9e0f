"""Blobs over HTTP: download with byte ranges, and deletion."""

import structlog

from dockbell.domain.digests import Digest
from dockbell.domain.manifests import BlobUnknownError
from dockbell.registry import access, ranges
from dockbell.registry.errors import refusal
from dockbell.registry.parts import Parts
from dockbell.registry.places import Blob
from dockbell.registry.requests import Part, Reply, Request
from dockbell.registry.routes import Route
from dockbell.services import blobs

_log = structlog.get_logger("dockbell.registry")


async def get_blob(parts: Parts, request: Request, route: Route) -> Reply:
    """The bytes, or the part that a Range header asks for. For HEAD, what a GET would announce."""
    claim = await access.identify(parts, request)
    digest = Digest.of(route.reference)
    async with parts.read() as tx:
        reader = await access.reader(tx, claim, route.path)
        await blobs.load_size(tx, reader, digest)
        # Who only looks whether it is there is going to leave it out of a push.
        is_fading = request.verb == "HEAD" and await blobs.is_fading(tx, reader, digest)
    if is_fading:
        async with parts.begin() as tx:
            await blobs.renew(tx, reader, digest)
    headers = {
        "content-type": "application/octet-stream",
        "docker-content-digest": str(digest),
        "etag": f'"{digest}"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",
    }
    if is_match(request, digest):
        return Reply(304, headers)
    file = await parts.files.blobs.open(digest)
    if file is None:
        # The row is there and the file is not: say so to the operator; a client that pushes again mends it.
        _log.error("blob_file_missing", digest=str(digest), repository=route.path)
        raise BlobUnknownError
    try:
        reply = _part(request, file, headers)
    except BaseException:
        file.close()
        raise
    if not isinstance(reply.body, Part):
        file.close()
    return reply


async def delete_blob(parts: Parts, request: Request, route: Route) -> Reply:
    claim = await access.identify(parts, request)
    digest = Digest.of(route.reference)
    async with parts.begin() as tx:
        writer = await access.writer(tx, claim, route.path, "delete")
        await blobs.delete(tx, writer, digest)
    return Reply(202)


def is_match(request: Request, digest: Digest) -> bool:
    """Whether the client says it has exactly this already (If-None-Match)."""
    wanted = request.header(b"if-none-match")
    if wanted is None:
        return False
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in wanted.split(",")}
    return str(digest) in tags or "*" in tags


def _part(request: Request, file: Blob, headers: dict[str, str]) -> Reply:
    if request.verb == "HEAD":
        return Reply(200, headers, length=file.size)
    condition = request.header(b"if-range")
    wanted = request.header(b"range") if condition in {None, headers["etag"]} else None
    try:
        found = ranges.of_download(wanted, file.size)
    except ranges.UnsatisfiableError:
        return refusal(
            416,
            "SIZE_INVALID",
            "The range lies outside of the blob.",
            headers={"content-range": f"bytes */{file.size}"},
        )
    if found is None:
        return Reply(200, headers, Part(file, 0, file.size))
    start, length = found
    headers["content-range"] = f"bytes {start}-{start + length - 1}/{file.size}"
    return Reply(206, headers, Part(file, start, length))
