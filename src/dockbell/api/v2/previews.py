"""Previews: which of the last events would match, and what would be sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from dockbell.api.v2.deliveries import Header
from dockbell.api.v2.notifications import Events, Name, WantedNotification, kinds_of
from dockbell.domain.forms import PayloadForm
from dockbell.domain.masks import unmasked
from dockbell.services import areas
from dockbell.services.notifications import NewNotification
from dockbell.services.previews import Preview as PreviewOf
from dockbell.services.previews import Previews
from dockbell.web.calls import ApiCall, Call

_USUAL_LAST = 20
Last = Annotated[int, msgspec.Meta(ge=1, le=100)]


class PreviewOfNew(WantedNotification, frozen=True, kw_only=True):
    """A notification that is not made yet; `last` is how many events are held against it."""

    last: Last = _USUAL_LAST


class PreviewOfChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What would be changed; what is left out stays."""

    event: Name | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    method: Name | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    event_config: dict[str, Any] | UnsetType = UNSET
    filter: dict[str, Any] | UnsetType | None = UNSET
    payload_form: PayloadForm | UnsetType = UNSET
    last: Last = _USUAL_LAST


class PreviewedEvent(msgspec.Struct, frozen=True):
    """One of the last events. `filter`: the one that refuses it, if it does not match."""

    id: str
    event: str
    summary: str
    occurred_at: datetime
    matches: bool
    filter: str | None


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


def _previews(call: ApiCall) -> Previews:
    faces = call.faces
    return Previews(faces.kinds, faces.methods, faces.links)


def _shown(call: ApiCall, found: PreviewOf) -> Preview:
    kinds, rendered = call.faces.kinds, found.rendered
    return Preview(
        events=[
            PreviewedEvent(
                id=event.id,
                event=event.kind,
                summary=kinds[event.kind].summary(event),
                occurred_at=event.occurred_at,
                matches=refused_by is None,
                filter=refused_by,
            )
            for event, refused_by in found.events
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
    """Which of the place's last events a notification would get if it were made, and what it would send."""
    new = data.wanted()
    async with call.read() as tx:
        admin = await areas.admin_of_named(tx, await call.actor(tx), data.place())
        found = await _previews(call).make(tx, admin, new, data.last)
    return _shown(call, found)


@post("/notifications/{notification_id:str}/preview", status_code=200)
async def preview_change(
    call: Call, notification_id: FromPath[str], data: JSONBody[PreviewOfChange]
) -> Preview:
    """The same for a notification as it is, or as it would be after a change."""
    async with call.read() as tx:
        actor = await call.actor(tx)
        admin, known = await call.notifications.load(tx, actor, notification_id)
        config: Mapping[str, Any] = known.config
        if data.config is not UNSET:
            config = unmasked(data.config, known.config)
        kinds = known.kinds
        if data.event is not UNSET or data.events is not UNSET:
            kinds = kinds_of(data.event or None, data.events or None)
        new = NewNotification(
            kind=kinds[0],
            further_kinds=kinds[1:],
            method=known.method if data.method is UNSET else data.method,
            config=config,
            event_config=known.event_config
            if data.event_config is UNSET
            else data.event_config,
            filters=known.filters if data.filter is UNSET else data.filter,
            payload_form=known.payload_form
            if data.payload_form is UNSET
            else data.payload_form,
        )
        found = await _previews(call).make(tx, admin, new, data.last)
    return _shown(call, found)


HANDLERS = [preview_new, preview_change]
