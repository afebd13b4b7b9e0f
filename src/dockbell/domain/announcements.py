"""Announcements: what superusers tell everybody who uses the server. Quay calls them messages."""

from datetime import datetime
from enum import StrEnum

from dockbell.domain.late_dataclasses import dataclass

LONGEST = 10_000  # characters
MOST = 100  # at the same time


class Severity(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class MediaType(StrEnum):
    """How its text is to be read."""

    PLAIN = "text/plain"
    MARKDOWN = "text/markdown"


@dataclass(frozen=True, slots=True)
class Announcement:
    id: str
    uuid: str  # the id that API v1 shows
    severity: Severity
    media_type: MediaType
    content: str
    created_at: datetime
