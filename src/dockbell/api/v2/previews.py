"""Previews: which of the last events would match, and what would be sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from dockbell.api.v2.deliveries import Header
from dockbell.domain.masks import unmasked
from dockbell.services import repositories
from dockbell.services.notifications import NewNotification
from dockbell.services.previews import Preview as PreviewOf
from dockbell.services.previews import Previews
from dockbell.web.calls import ApiCall, Call

_USUAL_LAST = 20
Last = Annotated[int, msgspec.Meta(ge=1, le=100)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class PreviewOfNew(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notification that is not made yet; `last` is how many events are held against it."""

    repository: Annotated[str, msgspec.Meta(min_length=3, max_length=512)]
    event: Name
    method: Name
    config: dict[str, Any]
    event_config: dict[str, Any] = msgspec.field(default_factory=dict)
    last: Last = _USUAL_LAST


class PreviewOfChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What would be changed; what is left out stays."""

    method: Name | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    event_config: dict[str, Any] | UnsetType = UNSET
    last: Last = _USUAL_LAST


class PreviewedEvent(msgspec.Struct, frozen=True):
    id: str
    summary: str
    occurred_at: datetime
    matches: bool


class RenderedMessage(msgspec.Struct, frozen=True):
    """What would be sent, of the newest event that matches or of the sample. It is not signed."""

    event_id: str | None
    is_sample: bool
    level: str
    summary: str
    html: str
    headers: Sequence[Header]
    body: str | None
    problem: str | None


class Preview(msgspec.Struct, frozen=True):
    events: Sequence[PreviewedEvent]
    rendered: RenderedMessage


async def _make(call: ApiCall, new: NewNotification, last: int, *, path: str) -> Preview:
    faces = call.faces
    previews = Previews(faces.kinds, faces.methods, faces.links)
    async with call.read() as tx:
        admin = await repositories.admin_of(tx, await call.actor(tx), path)
        found = await previews.make(tx, admin, new, last)
    return _shown(call, found)


def _shown(call: ApiCall, found: PreviewOf) -> Preview:
    kinds, rendered = call.faces.kinds, found.rendered
    return Preview(
        events=[
            PreviewedEvent(
                event.id, kinds[event.kind].summary(event), event.occurred_at, matches
            )
            for event, matches in found.events
        ],
        rendered=RenderedMessage(
            event_id=None if rendered.is_sample else rendered.event.id,
            is_sample=rendered.is_sample,
            level=rendered.level.value,
            summary=rendered.summary,
            html=rendered.html,
            headers=[Header(name, value) for name, value in rendered.headers],
            body=None if rendered.body is None else rendered.body.decode("utf-8", "replace"),
            problem=rendered.problem,
        ),
    )


@post("/notifications/preview", status_code=200)
async def preview_new(call: Call, data: JSONBody[PreviewOfNew]) -> Preview:
    """Which of the repository's last events a notification would get if it were made, and what it would send."""
    new = NewNotification(data.event, data.method, data.config, data.event_config)
    return await _make(call, new, data.last, path=data.repository)


@post("/notifications/{notification_id:str}/preview", status_code=200)
async def preview_change(
    call: Call, notification_id: FromPath[str], data: JSONBody[PreviewOfChange]
) -> Preview:
    """The same for a notification as it is, or as it would be after a change."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin, found = await call.notifications.load(tx, actor, notification_id)
    config: Mapping[str, Any] = found.config
    if data.config is not UNSET:
        config = unmasked(data.config, found.config)
    new = NewNotification(
        kind=found.kind,
        method=found.method if data.method is UNSET else data.method,
        config=config,
        event_config=found.event_config if data.event_config is UNSET else data.event_config,
    )
    return await _make(call, new, data.last, path=admin.repository.path)


HANDLERS = [preview_new, preview_change]
