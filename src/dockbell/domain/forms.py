"""Forms of a webhook's body: Quay's own, Quay's with more keys, and CloudEvents 1.0."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote

from dockbell.domain.events import Event
from dockbell.domain.links import Links

TYPE_PREFIX = "dockbell."
# Said first and in this order, if they are known of an event; whatever else is known follows.
_FIRST = ("tag", "digest", "previous_digest", "media_type", "artifact_type", "platforms")


class PayloadForm(StrEnum):
    """What a webhook's body is made of. A template, if there is one, is filled from the same document."""

    QUAY = "quay"
    QUAY_PLUS = "quay+"
    CLOUDEVENTS = "cloudevents"


CONTENT_TYPES: Mapping[PayloadForm, str] = {
    PayloadForm.QUAY: "application/json",
    PayloadForm.QUAY_PLUS: "application/json",
    PayloadForm.CLOUDEVENTS: "application/cloudevents+json",
}


def body_of(event: Event, form: PayloadForm, links: Links) -> bytes:
    """The body in this form: ASCII on one line, the same bytes every time. Made once per event and form."""
    if form is PayloadForm.QUAY:
        return event.body
    made = event.made.get(form.value)
    if made is None:
        made = json.dumps(document_of(event, form, links)).encode()
        event.made[form.value] = made
    return made


def document_of(event: Event, form: PayloadForm, links: Links) -> Mapping[str, object]:
    """What the body in this form says, for templates too."""
    match form:
        case PayloadForm.QUAY:
            return event.data
        case PayloadForm.QUAY_PLUS:
            return _quay_plus(event)
        case PayloadForm.CLOUDEVENTS:
            return _cloud_event(event, links)


def moment(time: datetime) -> str:
    """A time in UTC by RFC 3339, with microseconds."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _quay_plus(event: Event) -> Mapping[str, object]:
    """Quay's keys as they are, in front; then ours, of which none replaces one of Quay's."""
    actor = event.performer
    facts = {key: event.facts[key] for key in _FIRST if key in event.facts} | dict(event.facts)
    more = {
        "event_id": event.id,
        "event": event.kind,
        "occurred_at": moment(event.occurred_at),
        "actor": None if actor is None else {"name": actor.name, "kind": actor.kind},
    }
    # A key stays where it stood first, and says what was said of it last.
    return {**event.data, **more, **facts, **more, **event.data}


def _cloud_event(event: Event, links: Links) -> Mapping[str, object]:
    subject = event.subject
    if subject.repository is not None:
        source = links.repository(subject.path)
    else:
        page = links.user if subject.is_user else links.organization
        source = page(subject.namespace)
    tag = event.facts.get("tag")
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": quote(source, safe=":/?#[]@!$&'()*+,;=%~"),
        "type": TYPE_PREFIX + event.kind,
        "subject": f"{subject.path}:{tag}" if isinstance(tag, str) else subject.path,
        "time": moment(event.occurred_at),
        "datacontenttype": "application/json",
        "data": _quay_plus(event),
    }
