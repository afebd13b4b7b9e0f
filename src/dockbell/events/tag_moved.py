"""The event `tag_moved`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class TagMoved:
    """A tag points to another manifest than before, by a push or without one."""

    name = "tag_moved"
    title = "Tag moved"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("tag", "digest")

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        tag = one_line(text_of(event.data, "tag"))
        return f"Tag {tag} moved in repository {event.subject.path}"

    def html(self, event: Event, links: Links) -> str:
        tag = markup.tags([text_of(event.data, "tag")], event, links)
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"Tag {tag} was moved{by} in repository {markup.repository(event, links)}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "tag": "latest",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "previous_digest": "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = TagMoved()
