"""Quotas of namespaces: how much they may store, and from where on somebody is told or a push is refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from dockbell.domain.errors import ForbiddenError
from dockbell.domain.late_dataclasses import dataclass

_KIBI = 1024
LARGEST = (1 << 63) // 100  # bytes of a quota, so that percents of it can still be stored
_UNITS = ("KB", "MB", "GB", "TB", "PB")  # Quay: 1024 of the one before, in events
_BINARY_UNITS = ("Byte", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")  # and so in its API


class LimitKind(StrEnum):
    """What happens at a limit, in Quay's words."""

    WARNING = "Warning"
    REJECT = "Reject"


EVENT_OF: Mapping[LimitKind, str] = {
    LimitKind.WARNING: "quota_warning",
    LimitKind.REJECT: "quota_error",
}


class QuotaExceededError(ForbiddenError):
    """Quota has been exceeded on namespace"""  # noqa: D400, D415 -- Quay's literal text

    def __init__(self, usage: int) -> None:
        super().__init__()
        self.usage = usage  # bytes that the namespace would have had with the push


@dataclass(frozen=True, slots=True)
class Room:
    """How much a namespace stores, and the most that it may."""

    used: int
    most: int

    def check(self, size: int) -> None:
        """Raise QuotaExceededError if so many bytes more are too many."""
        if self.used + size > self.most:
            raise QuotaExceededError(self.used + size)


@dataclass(frozen=True, slots=True)
class QuotaLimit:
    """A limit of a quota. `crossed_at`: somebody was told, and the usage has not fallen below it since."""

    id: int
    kind: LimitKind
    percent: int
    crossed_at: datetime | None = None

    def is_reached(self, usage: int, limit_bytes: int) -> bool:
        return usage * 100 >= limit_bytes * self.percent


@dataclass(frozen=True, slots=True)
class Quota:
    """How many bytes a namespace may store, each blob counted once."""

    id: int
    namespace_id: str
    limit_bytes: int
    limits: Sequence[QuotaLimit]

    @property
    def most(self) -> int | None:
        """The bytes beyond which pushes are refused; None if none ever is."""
        percents = [one.percent for one in self.limits if one.kind is LimitKind.REJECT]
        return self.limit_bytes * min(percents) // 100 if percents else None


@dataclass(frozen=True, slots=True)
class Standing:
    """How much a namespace stores, its quota if it has one, and how much it may store by that or by default."""

    used: int
    quota: Quota | None
    configured: int | None


def event_fields(limit: QuotaLimit, usage: int, limit_bytes: int) -> Mapping[str, object]:
    """The event's own fields in Quay's body (quay-compat 3.3). `limit_bytes` is the whole quota."""
    return {
        "threshold_percent": limit.percent,
        "usage_bytes": usage,
        "limit_bytes": limit_bytes,
        "usage_percent": usage * 100 // limit_bytes,
        "usage_bytes_formatted": formatted(usage),
        "limit_bytes_formatted": formatted(limit_bytes),
    }


def formatted(size: int) -> str:
    """As Quay's events say it: `230 bytes`, `819.20 MB`, `1.00 GB`."""
    if size < _KIBI:
        return f"{size} bytes"
    power = _power_of(size, len(_UNITS))
    return f"{size / _KIBI**power:.2f} {_UNITS[power - 1]}"


def formatted_limit(size: int) -> str:
    """As Quay's API says it: `1.0 GiB`."""
    power = _power_of(size, len(_BINARY_UNITS) - 1)
    return f"{size / _KIBI**power:.1f} {_BINARY_UNITS[power]}"


def _power_of(size: int, most: int) -> int:
    power = 0
    while power < most and size >= _KIBI ** (power + 1):
        power += 1
    return power
