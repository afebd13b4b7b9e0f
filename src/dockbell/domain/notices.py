"""Notices: lines in the in-app inboxes of users and organizations."""

from collections.abc import Mapping
from datetime import datetime

from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notice:
    """What somebody is told in the application; its metadata is the event's body."""

    uuid: str
    organization: str | None  # its name, if all its admins share the notice
    kind: str  # of the event
    metadata: Mapping[str, object]
    is_dismissed: bool
    created_at: datetime
