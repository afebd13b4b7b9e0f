"""What the three kinds of mirror events share: one field, the message (quay-compat 3.3)."""

from dockbell.domain import markup
from dockbell.domain.events import Event
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


def summary(what: str, event: Event) -> str:
    return one_line(f"Repository Mirror {what} for {text_of(event.data, 'message')}")


def html(event: Event, links: Links) -> str:
    parts = (
        markup.performer(event.performer),
        markup.escaped(text_of(event.data, "message")),
    )
    said = " ".join(part for part in parts if part)
    return said or f"Repository {markup.repository(event, links)}"
