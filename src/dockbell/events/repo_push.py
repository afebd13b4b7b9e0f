"""The event `repo_push`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import texts_of


class RepoPush:
    """An image was pushed under a tag."""

    name = "repo_push"
    title = "Push to Repository"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("updated_tags",)

    def level(self, event: Event) -> Level:
        del event
        return Level.PRIMARY

    def summary(self, event: Event) -> str:
        return f"Repository {event.subject.path} updated"

    def html(self, event: Event, links: Links) -> str:
        who = markup.performer(event.performer)
        tags = markup.tags(texts_of(event.data, "updated_tags"), event, links)
        parts = (
            f"{who} pushed" if who else "Push of",
            f"{tags} in" if tags else "",
            f"repository {markup.repository(event, links)}",
        )
        return " ".join(part for part in parts if part)

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject, event_config
        # Quay: only the sample has the count. Pinned by contract/test_events.py.
        return {"updated_tags": ["latest", "foo"], "pruned_image_count": 3}

    def check(self, event_config: Mapping[str, object]) -> None:
        del event_config  # this kind has no filter

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = RepoPush()
