"""Where a live stream stands: what a client hands back to go on after it lost the connection."""

import re
from datetime import UTC, datetime, timedelta

from dockbell.domain import ids
from dockbell.domain.errors import ConfigError
from dockbell.domain.late_dataclasses import dataclass

_TEXT = re.compile(r"(\d{1,15})\.([0-9a-z]{26})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DELIVERY = "dlv"


@dataclass(frozen=True, slots=True)
class Position:
    """All that happened before `at` has been told. `oldest` is the lowest id of the deliveries that were not over.

    A delivery that changes later has that id or a higher one, or is sent again by somebody, which is on record.
    """

    at: datetime
    oldest: str

    @classmethod
    def of(cls, text: str) -> "Position":
        """The position that this text was made of, or ConfigError."""
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ConfigError("This is not an id of this stream", field="last_id")
        at = _EPOCH + int(found[1]) * _MILLISECOND
        return cls(at, f"{_DELIVERY}_{found[2]}")

    @classmethod
    def without_open(cls, at: datetime) -> "Position":
        """A position at which every delivery is over."""
        return cls(at, ids.compose(_DELIVERY, at, 0))

    def __str__(self) -> str:
        milliseconds = (self.at - _EPOCH) // _MILLISECOND
        return f"{milliseconds}.{self.oldest.removeprefix(f'{_DELIVERY}_')}"
