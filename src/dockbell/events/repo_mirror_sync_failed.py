"""The event `repo_mirror_sync_failed`."""

from collections.abc import Mapping

from dockbell.domain import mirrors
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links


class RepoMirrorSyncFailed:
    """A mirror could not fetch."""

    name = "repo_mirror_sync_failed"
    title = "Repository mirror unsuccessful"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("message",)

    def level(self, event: Event) -> Level:
        del event
        return Level.ERROR

    def summary(self, event: Event) -> str:
        return mirrors.summary("failed", event)

    def html(self, event: Event, links: Links) -> str:
        return mirrors.html(event, links)

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        return {"message": "TEST NOTIFICATION"}

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = RepoMirrorSyncFailed()
