"""The event `manifest_deleted`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class ManifestDeleted:
    """A manifest was deleted by its digest, and its tags with it."""

    name = "manifest_deleted"
    title = "Manifest deleted"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("digest",)

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        digest = one_line(text_of(event.data, "digest"))
        return f"Manifest {digest} deleted in repository {event.subject.path}"

    def html(self, event: Event, links: Links) -> str:
        digest = markup.escaped(text_of(event.data, "digest"))
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return (
            f"Manifest {digest} was deleted{by} in repository {markup.repository(event, links)}"
        )

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {
            "digest": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "media_type": "application/vnd.oci.image.manifest.v1+json",
            "tags": ["v1", "latest"],
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = ManifestDeleted()
