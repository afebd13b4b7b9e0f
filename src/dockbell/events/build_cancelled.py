"""The event `build_cancelled`."""

from collections.abc import Mapping

from dockbell.domain import builds
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links


class BuildCancelled:
    """A build was cancelled."""

    name = "build_cancelled"
    title = "Image build cancelled"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("build_id",)

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        return builds.summary("cancelled", event)

    def html(self, event: Event, links: Links) -> str:
        # Quay: one l here, two in the name of the event. Pinned by unit/events/test_builds.py.
        return builds.html("canceled", event, links)

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return builds.sample(image_id="1245657346")

    def check(self, event_config: Mapping[str, object]) -> None:
        builds.check(event_config)

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        return builds.accepts(event, event_config)


KIND: EventKind = BuildCancelled()
