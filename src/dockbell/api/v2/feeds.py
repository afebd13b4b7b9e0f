"""Feeds: where build systems send their own webhooks to."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from dockbell.domain import feeds as rules
from dockbell.domain import signing
from dockbell.domain.sources import Inbound
from dockbell.services import feeds, repositories
from dockbell.web import large_bodies
from dockbell.web.bodies import WrongContentTypeError, is_json
from dockbell.web.calls import ApiCall, Call
from dockbell.web.large_bodies import Room

_FEEDS = "/repositories/{repository:str}/feeds"
_FEED = f"{_FEEDS}/{{feed_id:str}}"
MOST_BYTES = 4 << 20  # of one webhook
_AT_ONCE = Room(8 * MOST_BYTES)


class NewFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A build system that tells of the repository. `pipelines`: globs of the names of pipelines or workflows."""

    source: Annotated[str, Meta(min_length=1, max_length=64)]
    pipelines: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=256)]], Meta(max_length=50)
    ] = []


class Feed(msgspec.Struct, frozen=True):
    """A feed. `url` is where it sends to; without `received_at` it has told nothing yet.

    Until `previous_secret_ends_at` the secret that was replaced is taken too.
    """

    id: str
    source: str
    pipelines: Sequence[str]
    url: str
    created_by: str
    created_at: datetime
    received_at: datetime | None
    previous_secret_ends_at: datetime | None


class FeedRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the secret before is taken beside the new one: a day if it is left out."""

    keep_seconds: int | None = None


class MadeFeed(msgspec.Struct, frozen=True):
    """The feed, and its secret, which is shown this once."""

    feed: Feed
    secret: str


class ReceivedBuild(msgspec.Struct, frozen=True):
    """A build that a webhook was about, and the event that it made; null if it told nothing new."""

    build: str
    event_id: str | None


class Received(msgspec.Struct, frozen=True):
    """What came of a webhook. Without builds it was about something else."""

    builds: Sequence[ReceivedBuild]


def _shown(call: ApiCall, feed: rules.Feed) -> Feed:
    return Feed(
        id=feed.id,
        source=feed.source,
        pipelines=feed.pipelines,
        url=f"{call.faces.links.public_url}/api/v2/feeds/{feed.id}",
        created_by=feed.created_by,
        created_at=feed.created_at,
        received_at=feed.received_at,
        previous_secret_ends_at=feed.previous_ends_at,
    )


@get(_FEEDS)
async def list_feeds(call: Call, repository: FromPath[str]) -> Sequence[Feed]:
    """The repository's feeds, in the order they were made; never with their secrets."""
    path = call.path(repository)
    async with call.read() as tx:
        viewer = await repositories.viewer_of(tx, await call.actor(tx), path)
        found = await feeds.list_of(tx, viewer)
    return [_shown(call, one) for one in found]


@post(_FEEDS, status_code=201)
async def create_feed(
    call: Call, repository: FromPath[str], data: JSONBody[NewFeed]
) -> MadeFeed:
    """The feed with its address and, this once, its secret: both are for the build system."""
    path = call.path(repository)
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        made, secret = await call.faces.feeds.create(tx, admin, data.source, data.pipelines)
    return MadeFeed(_shown(call, made), secret)


@post(f"{_FEED}/rotate", status_code=201)
async def rotate_feed_secret(
    call: Call,
    repository: FromPath[str],
    feed_id: FromPath[str],
    data: JSONBody[FeedRotation | None] = None,
) -> MadeFeed:
    """The feed with a new secret, shown in this answer only; the one before is taken for a while longer. The body may be left out."""
    path = call.path(repository)
    keep = signing.span_of(None if data is None else data.keep_seconds)
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        feed, secret = await feeds.rotate(tx, admin, feed_id, keep)
    return MadeFeed(_shown(call, feed), secret)


@delete(f"{_FEED}/previous-secret", status_code=204)
async def end_previous_feed_secret(
    call: Call, repository: FromPath[str], feed_id: FromPath[str]
) -> None:
    """Nothing: the secret that was replaced is taken no more. 404 if there is none."""
    path = call.path(repository)
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        await feeds.end_previous(tx, admin, feed_id)


@delete(_FEED, status_code=204)
async def delete_feed(call: Call, repository: FromPath[str], feed_id: FromPath[str]) -> None:
    """Nothing: it is gone, and what its peer still sends is refused."""
    path = call.path(repository)
    async with call.begin() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        await feeds.delete(tx, admin, feed_id)


@post(
    "/feeds/{feed_id:str}",
    status_code=202,
    before_request=large_bodies.leave,
    request_max_body_size=None,  # it is read piece by piece, up to a limit of its own
)
async def receive_webhook(
    request: Request[Any, Any, State], feed_id: FromPath[str]
) -> Received:
    """What came of a webhook of a feed's peer, after the commit. It carries the feed's secret, and no token."""
    call = large_bodies.call_of(request)
    if not is_json(request.headers.get("content-type", "")):
        raise WrongContentTypeError
    with _AT_ONCE.taken(MOST_BYTES):
        body = await large_bodies.read(request, MOST_BYTES)
        inbound = Inbound(
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            secret=request.query_params.get("secret") or "",
        )
        async with call.begin() as tx:
            reported = await call.faces.feeds.receive(tx, feed_id, inbound)
    return Received([ReceivedBuild(one.build.id, one.event_id) for one in reported])


HANDLERS = [
    list_feeds,
    create_feed,
    rotate_feed_secret,
    end_previous_feed_secret,
    delete_feed,
    receive_webhook,
]
