"""Manifests over HTTP, and who refers to them."""

from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from dockbell.domain import manifests as rules
from dockbell.domain.digests import Digest
from dockbell.domain.errors import DockbellError, NotFoundError, RefusedError
from dockbell.domain.manifests import ImageConfig, Manifest, Reference
from dockbell.domain.names import is_tag
from dockbell.registry import access
from dockbell.registry.blobs import is_match
from dockbell.registry.errors import Refusal
from dockbell.registry.parts import Parts
from dockbell.registry.requests import Reply, Request
from dockbell.registry.routes import Route
from dockbell.services import manifests
from dockbell.services.registry_tokens import Claim

_log = structlog.get_logger("dockbell.registry")
_CONFIG_LIMIT = 1 << 20
_MOST_TAGS = 50  # in one push by digest
_PAGE = 500  # referrers in one answer


async def get_manifest(parts: Parts, request: Request, route: Route) -> Reply:
    """The manifest's exact bytes, by tag or digest."""
    claim = await access.identify(parts, request)
    reference = rules.reference_of(route.reference)
    async with parts.read() as tx:
        reader = await access.reader(tx, claim, route.path)
        found = await manifests.load(tx, reader, reference)
    headers = {
        "content-type": found.media_type,
        "docker-content-digest": found.digest,
        "etag": f'"{found.digest}"',
    }
    if is_match(request, Digest.of(found.digest)):
        return Reply(304, headers)
    if request.verb == "HEAD":
        return Reply(200, headers, length=len(found.body))
    await _tell_of_pull(parts, claim, route, found)
    return Reply(200, headers, found.body)


async def _tell_of_pull(parts: Parts, claim: Claim, route: Route, found: Any) -> None:
    """Of as many pulls as the server is set to tell of. The pull does not fail for it."""
    if not parts.pulls.is_chosen():
        return
    try:
        async with parts.begin() as tx:
            reader = await access.reader(tx, claim, route.path)
            await manifests.note_pull(
                tx,
                reader,
                parts.intake,
                route.reference,
                found=found,
                percent=parts.pulls.percent,
            )
    except DockbellError as error:
        _log.warning("pull not told of", repository=route.path, reason=error.detail)


async def put_manifest(parts: Parts, request: Request, route: Route) -> Reply:
    """Push a manifest. By tag, this is the push that people are told of."""
    claim = await access.identify(parts, request)
    reference = rules.reference_of(route.reference)
    tags = _tags_of(request, reference)
    async with parts.read() as tx:
        writer = await access.writer(tx, claim, route.path)
        room = await parts.quotas.room(tx, writer)
        if room is not None:
            # Quay: a namespace that stores too much takes no manifest either. Pinned by integration/test_quotas.py.
            room.check(0)
    body = await request.body(rules.SIZE_LIMIT)
    manifest = rules.parse(body, request.header(b"content-type"))
    config = await _config_of(parts, manifest)
    try:
        async with parts.begin() as tx:
            writer = await access.writer(tx, claim, route.path)
            pushed = await manifests.put(
                tx,
                writer,
                parts.intake,
                reference,
                manifest,
                tags=tags,
                config=config,
                is_indexed=parts.are_indexed,
            )
    except RefusedError as error:
        digest = Digest.of_body(body)
        async with parts.begin() as tx:
            writer = await access.writer(tx, claim, route.path)
            await manifests.note_refusal(
                tx, writer, parts.intake, route.reference, digest=digest, error=error
            )
        raise
    headers = {
        "location": f"/v2/{route.path}/manifests/{pushed.digest}",
        "docker-content-digest": str(pushed.digest),
        "content-type": "text/plain; charset=utf-8",
    }
    if manifest.subject is not None:
        headers["oci-subject"] = str(manifest.subject.digest)
    if tags:
        headers["oci-tag"] = ", ".join(tags)
    # Quay: the body is `OK`. Pinned by compat/test_oci_push.py.
    return Reply(201, headers, b"OK")


def _tags_of(request: Request, reference: Reference) -> tuple[str, ...]:
    """The tags that a push by digest asks for too (the standard's next version): any digest can have some so."""
    if not isinstance(reference, Digest):
        return ()
    tags = tuple(dict.fromkeys(request.queries("tag")))
    if len(tags) > _MOST_TAGS:
        raise Refusal(414, "TAG_INVALID", f"At most {_MOST_TAGS} tags can be pushed at once.")
    if not all(is_tag(tag) for tag in tags):
        raise Refusal(400, "TAG_INVALID", "Each `tag` must be a valid tag.")
    return tags


async def delete_manifest(parts: Parts, request: Request, route: Route) -> Reply:
    """Delete a manifest with its tags, or by tag that one tag."""
    claim = await access.identify(parts, request)
    reference = rules.reference_of(route.reference)
    async with parts.begin() as tx:
        writer = await access.writer(tx, claim, route.path, "delete")
        await manifests.delete(tx, writer, parts.intake, reference)
    return Reply(202)


async def list_referrers(parts: Parts, request: Request, route: Route) -> Reply:
    """An index of the manifests that name this digest as their subject; an empty one if there are none."""
    claim = await access.identify(parts, request)
    subject = Digest.of(route.reference)
    artifact_type = request.query("artifactType") or None
    after = request.query("last") or ""
    async with parts.read() as tx:
        try:
            reader = await access.reader(tx, claim, route.path)
        except NotFoundError:
            reader = None  # the standard: where referrers are kept, none are no 404 (end-12a)
        found = await manifests.referrers(
            tx,
            reader,
            subject,
            artifact_type=artifact_type,
            after=after,
            limit=_PAGE + 1,
        )
    shown = found[:_PAGE]
    headers = {"content-type": rules.OCI_INDEX}
    if artifact_type is not None:
        headers["oci-filters-applied"] = "artifactType"
    if len(found) > _PAGE:
        query = f"last={quote(shown[-1].digest)}"
        if artifact_type is not None:
            query += f"&artifactType={quote(artifact_type, safe='')}"
        headers["link"] = f'</v2/{route.path}/referrers/{subject}?{query}>; rel="next"'
    descriptors = [
        {
            "mediaType": referrer.media_type,
            "digest": referrer.digest,
            "size": referrer.size,
            **({"artifactType": referrer.artifact_type} if referrer.artifact_type else {}),
            **({"annotations": referrer.annotations} if referrer.annotations else {}),
        }
        for referrer in shown
    ]
    index = {"schemaVersion": 2, "mediaType": rules.OCI_INDEX, "manifests": descriptors}
    return Reply(200, headers, msgspec.json.encode(index))


async def _config_of(parts: Parts, manifest: Manifest) -> ImageConfig:
    """What an image's config says. A config that is not here is found missing later."""
    config = manifest.image_config
    if config is None or config.size > _CONFIG_LIMIT:
        return ImageConfig()
    content = await parts.files.read_blob(config.digest, _CONFIG_LIMIT)
    return ImageConfig() if content is None else rules.config_of(content)
