"""Feeds: one peer that tells of one repository in its own words."""

from collections.abc import Sequence
from datetime import datetime

from dockbell.domain.late_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feed:
    """A configured source. `pipelines`: globs, one of which the name of a pipeline must fit; none is all.

    Until `previous_ends_at` a secret that was replaced is taken beside the new one; None if there is none such.
    """

    id: str
    repository_id: str
    source: str
    pipelines: Sequence[str]
    created_by: str
    created_at: datetime
    received_at: datetime | None
    previous_ends_at: datetime | None = None
