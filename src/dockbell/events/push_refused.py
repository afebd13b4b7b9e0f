"""The event `push_refused`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class PushRefused:
    """A push was refused by a rule of the server, such as an immutable tag."""

    name = "push_refused"
    title = "Push refused"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("reference", "reason")

    def level(self, event: Event) -> Level:
        del event
        return Level.WARNING

    def summary(self, event: Event) -> str:
        reference = one_line(text_of(event.data, "reference"))
        return f"Push of {reference} to repository {event.subject.path} refused"

    def html(self, event: Event, links: Links) -> str:
        reference = markup.escaped(text_of(event.data, "reference"))
        message = markup.escaped(text_of(event.data, "message"))
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"A push of {reference}{by} to repository {markup.repository(event, links)} was refused: {message}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "reference": "v1",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "reason": "tag_immutable",
            "message": "The tag v1 is immutable.",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = PushRefused()
