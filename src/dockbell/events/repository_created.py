"""The event `repository_created`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links


class RepositoryCreated:
    """A repository came to be."""

    name = "repository_created"
    title = "Repository created"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ()

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        return f"Repository {event.subject.path} created"

    def html(self, event: Event, links: Links) -> str:
        who = markup.performer(event.performer)
        by = f" by {who}" if who else ""
        return f"Repository {markup.repository(event, links)} was created{by}"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {"visibility": "private"}

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = RepositoryCreated()
