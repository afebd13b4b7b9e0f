"""The event `repo_pull`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class RepoPull:
    """A manifest was pulled; of many pulls as large a share as the server is set to tell of."""

    name = "repo_pull"
    title = "Pull from Repository"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("reference", "digest")

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        reference = one_line(text_of(event.data, "reference"))
        return f"{reference} pulled from repository {event.subject.path}"

    def html(self, event: Event, links: Links) -> str:
        reference = markup.escaped(text_of(event.data, "reference"))
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"{reference} was pulled{by} from repository {markup.repository(event, links)}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "reference": "latest",
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "media_type": "application/vnd.oci.image.index.v1+json",
            "sampled_percent": 100,
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = RepoPull()
