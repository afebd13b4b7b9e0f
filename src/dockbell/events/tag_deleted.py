"""The event `tag_deleted`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class TagDeleted:
    """A tag is gone: deleted, expired, or with its manifest."""

    name = "tag_deleted"
    title = "Tag deleted"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("tag",)

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        tag = one_line(text_of(event.data, "tag"))
        word = "expired" if text_of(event.data, "reason") == "expired" else "deleted"
        return f"Tag {tag} {word} in repository {event.subject.path}"

    def html(self, event: Event, links: Links) -> str:
        tag = markup.escaped(text_of(event.data, "tag"))
        word = "has expired" if text_of(event.data, "reason") == "expired" else "was deleted"
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"Tag {tag} {word}{by} in repository {markup.repository(event, links)}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "tag": "v1",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "reason": "deleted",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = TagDeleted()
