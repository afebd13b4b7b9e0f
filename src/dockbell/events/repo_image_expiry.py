"""The event `repo_image_expiry`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.links import Links
from dockbell.domain.payloads import text_of, texts_of

_DAYS = "days"
_MOST_DAYS = 36_500  # a hundred years: what a date can be moved by without leaving the calendar


class RepoImageExpiry:
    """Tags expire soon."""

    name = "repo_image_expiry"
    title = "Image expiry trigger"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("tags", "expiring_in")

    def level(self, event: Event) -> Level:
        del event
        return Level.INFO

    def summary(self, event: Event) -> str:
        return f"Repository {event.subject.path} image(s) expiring"

    def html(self, event: Event, links: Links) -> str:
        when = text_of(event.data, "expiring_in")
        tags = markup.tags(texts_of(event.data, "tags"), event, links)
        due = f"due to expire in {markup.escaped(when)}" if when else "due to expire"
        return (
            f"The following tags of repository {markup.repository(event, links)} are {due}:"
            f"<br>{tags}"
        )

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject
        # Quay: without days it says "None days". Pinned by unit/events/test_repo_image_expiry.py.
        days = event_config.get(_DAYS)
        return {"tags": ["latest", "v1"], "expiring_in": f"{days} days"}

    def check(self, event_config: Mapping[str, object]) -> None:
        days = event_config.get(_DAYS)
        if days is None:
            return
        if (
            isinstance(days, str)
            and days.isascii()
            and days.isdecimal()
            and len(days) <= len("36500")
        ):
            days = int(days)
        if isinstance(days, bool) or not isinstance(days, int) or not 0 < days <= _MOST_DAYS:
            raise ConfigError(
                f"{_DAYS} must be a whole number from 1 to {_MOST_DAYS}", field=_DAYS
            )

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        # The days choose the tags before there is an event, so nothing is left to filter here.
        del event, event_config
        return True


KIND: EventKind = RepoImageExpiry()
