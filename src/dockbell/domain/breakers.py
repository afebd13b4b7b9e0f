"""Breakers: what is known of a host that does not answer."""

from datetime import datetime

from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breaker:
    """An open breaker: its host is tried by nobody until then, and afterwards by one trial at a time."""

    host: str  # name:port
    open_until: datetime
    failed_trials: int
    trial_until: datetime | None  # somebody makes the trial; when this has passed, it was lost
    code: str  # why it opened
