"""CloudEvents 1.0 as they come in, in either of their two HTTP modes."""

from collections.abc import Mapping

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.sources import Inbound, SourceError, line, object_in

_STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class CloudEvent:
    id: str
    source: str
    type: str
    data: Mapping[str, object]


def read(inbound: Inbound) -> CloudEvent:
    """The event of a request, or SourceError."""
    body = object_in(inbound.body)
    content_type = inbound.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == _STRUCTURED:
        data = body.get("data")
        if not isinstance(data, Mapping):
            raise SourceError("data must be an object", field="data")
        return _made(body.get("id"), body.get("source"), body.get("type"), data)
    headers = inbound.headers
    return _made(headers.get("ce-id"), headers.get("ce-source"), headers.get("ce-type"), body)


def _made(
    given_id: object, source: object, kind: object, data: Mapping[str, object]
) -> CloudEvent:
    for name, value in (("id", given_id), ("source", source), ("type", kind)):
        if line(value) is None:
            raise SourceError(
                f"{name} is missing: send it in the header ce-{name}, or the event as {_STRUCTURED}",
                field=name,
            )
    return CloudEvent(str(given_id), str(source), str(kind), data)
