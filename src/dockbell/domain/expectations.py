"""What the notification of a missing event expects: which event, and how often."""

from collections.abc import Mapping
from datetime import timedelta

from dockbell.domain.late_dataclasses import dataclass

EXPECTS = "expects"
HOURS = "hours"
MOST_HOURS = 8760  # a year
_USUAL_EVENT = "repo_push"
_USUAL_HOURS = 24


@dataclass(frozen=True, slots=True)
class Expectation:
    """An event of this kind, at least once in this time."""

    kind: str
    hours: int

    @property
    def span(self) -> timedelta:
        return timedelta(hours=self.hours)


def expectation_of(event_config: Mapping[str, object]) -> Expectation:
    """What a notification with this filter expects: a push a day, if it says nothing. Never raises."""
    kind, hours = event_config.get(EXPECTS), event_config.get(HOURS)
    is_sound = (
        isinstance(hours, int) and not isinstance(hours, bool) and 0 < hours <= MOST_HOURS
    )
    return Expectation(
        kind if isinstance(kind, str) and kind else _USUAL_EVENT,
        hours if is_sound and isinstance(hours, int) else _USUAL_HOURS,
    )
