"""Tags of repositories, now and earlier, with Quay's addresses, shapes and statuses."""

import math
from datetime import UTC, datetime
from typing import Any

from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from dockbell.api.v1.views import date
from dockbell.domain import manifests as rules
from dockbell.domain.digests import Digest, DigestError
from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.tags import TagVersion
from dockbell.services import mirrors, repositories, tags
from dockbell.services.tags import History
from dockbell.web.bodies import Property, Schema
from dockbell.web.calls import Call

_MOST = 100  # on a page
_LAST_PAGE = 10_000_000
_PAGE_ABOUT = "Page index for the results. Default 1. (int)"
_LIMIT_ABOUT = "Limit to the number of results to return per page. Max 100. (int)"
_LONGEST_DIGEST = 255
_LONGEST_FILTER = 255

_CHANGE = Schema(
    properties=(
        Property("manifest_digest", "string", nullable=True, most=_LONGEST_DIGEST),
        Property("expiration", "number", nullable=True),
    )
)
_RESTORE = Schema(properties=(Property("manifest_digest", "string", most=_LONGEST_DIGEST),))
_ALL = "/repository/{repository:str}/tag"
_ONE = f"{_ALL}/{{tag:str}}"


def digest_of(text: str | None) -> Digest:
    """The digest; what cannot be one is not there either."""
    try:
        return Digest.of(text or "")
    except DigestError:
        raise NotFoundError from None


def _shown(version: TagVersion) -> dict[str, object]:
    # Quay: an end is there only if there is one. Pinned by compat/test_tags.py.
    manifest = rules.parse(version.body, version.media_type)
    shown: dict[str, object] = {
        "name": version.name,
        "reversion": version.is_reversion,
        "start_ts": int(version.started_at.timestamp()),
    }
    if version.ended_at is not None:
        shown["end_ts"] = int(version.ended_at.timestamp())
    shown["manifest_digest"] = version.digest
    shown["is_manifest_list"] = manifest.is_index
    shown["size"] = None if manifest.is_index else manifest.layers_size
    shown["last_modified"] = date(version.started_at)
    if version.ended_at is not None:
        shown["expiration"] = date(version.ended_at)
    return shown


def _filters(call: Call) -> tuple[str | None, str | None]:
    """The name that is asked for, and the part of names."""
    specific = call.text("specificTag") or None
    text = call.text("filter_tag_name")
    if not text:
        return specific, None
    operation, colon, name = text.partition(":")
    if (
        not colon
        or operation not in {"like", "eq"}
        or len(name) > _LONGEST_FILTER
        or "\0" in name
    ):
        raise InvalidRequestError(
            "filter_tag_name must be `like:` or `eq:` and a part of a name"
        )
    return (specific or name, None) if operation == "eq" else (specific, name)


@get(_ALL)
async def list_tags(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with a page of the tags and what they were, the newest first."""
    page = min(max(1, call.number("page", 1, _PAGE_ABOUT)), _LAST_PAGE)
    limit = min(max(1, call.number("limit", 50, _LIMIT_ABOUT)), _MOST)
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, call.path(repository))
        name, part = _filters(call)
        wanted = History(name, part, call.flag("onlyActiveTags"), page, limit)
        found, has_more = await tags.list_history(tx, reader, wanted)
    return call.reply(
        200,
        {
            "tags": [_shown(version) for version in found],
            "page": page,
            "has_additional": has_more,
        },
    )


@put(_ONE, status_code=201)
async def change_tag(
    call: Call, repository: FromPath[str], tag: FromPath[str]
) -> Response[bytes]:
    """201: the tag points to another manifest, or expires at another time, or both."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, call.path(repository))
        mirrors.check_pushable(writer)
        body = call.json(_CHANGE)
        if "manifest_digest" in body:
            await tags.move(
                tx, writer, call.faces.intake, tag, digest_of(body["manifest_digest"])
            )
        if "expiration" in body:
            await tags.set_expiry(tx, writer, tag, _moment_of(body["expiration"]))
    # Quay: a bare word. Pinned by compat/test_tags.py.
    return call.reply(201, "Updated")


@delete(_ONE, status_code=200)
async def delete_tag(
    call: Call, repository: FromPath[str], tag: FromPath[str]
) -> Response[bytes]:
    """204: the tag is gone. It can be restored, unless `skipRecoveryPeriod` was asked for."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, call.path(repository))
        mirrors.check_pushable(writer)
        await tags.delete(
            tx, writer, call.faces.intake, tag, for_good=call.flag("skipRecoveryPeriod")
        )
    return call.reply(204)


@post(f"{_ONE}/restore", status_code=200)
async def restore_tag(
    call: Call, repository: FromPath[str], tag: FromPath[str]
) -> Response[bytes]:
    """200: the tag points to the manifest again."""
    async with call.begin() as tx:
        actor = await call.actor(tx)
        writer = await repositories.writer_of(tx, actor, call.path(repository))
        mirrors.check_pushable(writer)
        body = call.json(_RESTORE)
        if "manifest_digest" not in body:
            raise InvalidRequestError("Missing manifest_digest")
        await tags.restore(
            tx, writer, call.faces.intake, tag, digest_of(body["manifest_digest"])
        )
    return call.reply(200, {})


def _moment_of(seconds: Any) -> datetime | None:
    if seconds is None:
        return None
    try:
        if math.isfinite(seconds):
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise InvalidRequestError("'expiration' must be seconds since 1970, in the future")


HANDLERS = [list_tags, change_tag, delete_tag, restore_tag]
