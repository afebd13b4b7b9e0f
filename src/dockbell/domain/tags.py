"""Tags: names that point to manifests, now and earlier."""

from datetime import datetime

from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tag:
    """What a tag points to, and until when."""

    name: str
    digest: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TagVersion:
    """A stretch of time in which a tag pointed to one manifest."""

    name: str
    digest: str
    is_reversion: bool
    started_at: datetime
    ended_at: datetime | None
    media_type: str
    body: bytes
