"""The event `build_start`."""

from collections.abc import Mapping

from dockbell.domain import builds
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links


class BuildStart:
    """A build has begun."""

    name = "build_start"
    title = "Image build started"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("build_id",)

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        return builds.summary("started", event)

    def html(self, event: Event, links: Links) -> str:
        return builds.html("started", event, links)

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return builds.sample()

    def check(self, event_config: Mapping[str, object]) -> None:
        builds.check(event_config)

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        return builds.accepts(event, event_config)


KIND: EventKind = BuildStart()
