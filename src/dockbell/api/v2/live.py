"""The live stream: events and deliveries, told as they happen."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.params import HeaderParameter, QueryParameter

from dockbell.api.v2 import deliveries, events
from dockbell.api.v2.areas import RepositoryPath
from dockbell.domain.errors import NotFoundError
from dockbell.domain.live import Position
from dockbell.domain.records import DeliveryRecord, EventRecord
from dockbell.services import authentication, live
from dockbell.web.calls import ApiCall, Call
from dockbell.web.live import Hub
from dockbell.web.streams import MEDIA_TYPE, EventStream, Listening


@get("/live", media_type=MEDIA_TYPE)
async def stream_live(
    call: Call,
    repository: RepositoryPath = None,
    namespace: Annotated[
        str | None, QueryParameter(description="All repositories of this namespace instead.")
    ] = None,
    last_id: Annotated[
        str | None, QueryParameter(description="Go on after this id of an earlier stream.")
    ] = None,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(
            name="last-event-id", description="The same, as browsers send it; it goes first."
        ),
    ] = None,
) -> EventStream:
    """200 with server-sent events until you hang up: `event` and `delivery`, as the lists show them, as they happen."""
    given = last_event_id or last_id
    position = Position.of(given) if given else None
    async with call.read() as tx:
        actor = await call.actor(tx)
        right = await live.right_of(tx, actor, repository=repository, namespace=namespace)
        await live.check_size(tx, right)

    async def check() -> None:
        async with call.read() as tx:
            again = call.faces.powers.of(await authentication.renew(tx, actor))
            now = await live.right_of(tx, again, repository=repository, namespace=namespace)
            if live.key_of(now) != live.key_of(right):  # it is another one of the same name
                raise NotFoundError

    hub: Hub = call.request.app.state.live

    def render(record: EventRecord | DeliveryRecord) -> bytes:
        return msgspec.json.encode(_shown(call, record))

    stream = await hub.open(right, render)
    start, missed = stream.position, None
    if position is not None:
        start = str(position)
        missed = hub.catch_up(right, render, position, stream.position)
    listening = Listening(
        stream, start, missed, check, lambda: hub.close(right, stream), hub.beat_seconds
    )
    return EventStream(listening, is_head=call.request.scope.get("dockbell_verb") == "HEAD")


def _shown(
    call: ApiCall, record: EventRecord | DeliveryRecord
) -> events.Event | deliveries.Delivery:
    if isinstance(record, EventRecord):
        return events.shown(call, record)
    return deliveries.shown(record)


HANDLERS = [stream_live]
