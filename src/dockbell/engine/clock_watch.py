"""Notices that the time has jumped, by a clock that never does. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from dockbell.domain.ids import Clock

# Less is what setting a clock right by and by comes to, and delays nothing that matters.
LEAST = timedelta(seconds=5)


class ClockWatch:
    """Compares two clocks: the time that rows are written by, and seconds that only ever grow."""

    def __init__(self, clock: Clock, steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._start: datetime | None = None  # the time when the steady clock stood at 0

    def gone_ahead(self) -> bool:
        """Whether the time has jumped ahead since the last question of either kind. Ask it before `gone_back`."""
        return self._start is not None and self._start_now() - self._start >= LEAST

    def gone_back(self) -> timedelta | None:
        """By how much the time has gone back, if it has. It is said until `begin_anew`; the first question only begins."""
        start = self._start_now()
        if self._start is None or self._start - start < LEAST:
            self._start = start
            return None
        return self._start - start

    def begin_anew(self) -> None:
        """Take the time as it is now for right."""
        self._start = self._start_now()

    def _start_now(self) -> datetime:
        return self._clock() - timedelta(seconds=self._steady())
