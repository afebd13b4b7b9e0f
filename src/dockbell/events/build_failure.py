"""The event `build_failure`."""

from collections.abc import Mapping

from dockbell.domain import builds
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links


class BuildFailure:
    """A build has failed."""

    name = "build_failure"
    title = "Image build failed"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("build_id",)

    def level(self, event: Event) -> Level:
        del event
        return Level.ERROR

    def summary(self, event: Event) -> str:
        return builds.summary("failure", event)

    def html(self, event: Event, links: Links) -> str:
        return builds.html("failure", event, links)

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return builds.failure_sample()

    def check(self, event_config: Mapping[str, object]) -> None:
        builds.check(event_config)

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        return builds.accepts(event, event_config)


KIND: EventKind = BuildFailure()
