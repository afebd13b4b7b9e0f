"""The event `event_missing`."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, EventKind, EventScope, Level, Subject
from dockbell.domain.expectations import EXPECTS, HOURS, MOST_HOURS
from dockbell.domain.links import Links
from dockbell.domain.payloads import one_line, text_of


class EventMissing:
    """An event that was expected did not come in time."""

    name = "event_missing"
    title = "Expected event missing"
    scope = EventScope.REPOSITORY
    needs: tuple[str, ...] = ("expected", "hours")

    def level(self, event: Event) -> Level:
        del event
        return Level.WARNING

    def summary(self, event: Event) -> str:
        expected = one_line(text_of(event.data, "expected"))
        hours = one_line(text_of(event.data, "hours"))
        return f"No {expected} for {event.subject.path} in {hours} hours"

    def html(self, event: Event, links: Links) -> str:
        expected = markup.escaped(text_of(event.data, "expected"))
        hours = markup.escaped(text_of(event.data, "hours"))
        place = event.subject.path
        if event.subject.repository is not None:
            place = markup.repository(event, links)
        else:
            place = markup.escaped(place)
        return f"There was no {expected} for {place} in {hours} hours"

    def sample(
        self, subject: Subject, event_config: Mapping[str, object]
    ) -> Mapping[str, object]:
        del subject
        return {
            "expected": str(event_config.get(EXPECTS) or "repo_push"),
            "hours": event_config.get(HOURS, 24),
            "last_event_at": None,
        }

    def check(self, event_config: Mapping[str, object]) -> None:
        expects, hours = event_config.get(EXPECTS), event_config.get(HOURS)
        if expects is not None and (not isinstance(expects, str) or not expects):
            raise ConfigError(f"{EXPECTS} must be the name of an event", field=EXPECTS)
        if hours is None:
            return
        if isinstance(hours, bool) or not isinstance(hours, int) or not 0 < hours <= MOST_HOURS:
            raise ConfigError(
                f"{HOURS} must be a whole number from 1 to {MOST_HOURS}", field=HOURS
            )

    def accepts(self, event: Event, event_config: Mapping[str, object]) -> bool:
        del event, event_config
        return True


KIND: EventKind = EventMissing()
