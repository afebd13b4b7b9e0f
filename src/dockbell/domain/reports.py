"""Reports: what a program says has happened, checked and ready to be recorded, and what came of it."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum

from dockbell.domain.errors import ConflictError, DockbellError, InvalidRequestError
from dockbell.domain.events import Performer
from dockbell.domain.values import value

MOST_AT_ONCE = 500  # reports in one request


class ReportError(InvalidRequestError):
    """The report is not valid."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field  # as the program wrote it, with dots for what is inside


class ReusedIdError(ConflictError):
    """Another event has this id."""


@value()
class Report:
    """An event in a program's words. Everything that can be checked without the database has been."""

    kind: str
    namespace: str
    repository: str | None  # without the namespace; None for an event of the namespace itself
    details: bytes  # the event's own fields, a JSON object as it is sent to targets
    homepage: str | None = None  # in place of our own page
    build_id: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    performer: Performer | None = None
    is_by_caller: bool = True  # the caller did it; `performer` is not looked at
    occurred_at: datetime | None = None  # None: now
    producer_id: str | None = None


class Status(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # was accepted earlier
    REFUSED = "refused"


@value()
class Receipt:
    """What came of a report: committed when the sender gets it, or refused with the reason."""

    status: Status
    event_id: str | None = None  # of the first event for a duplicate
    deliveries: int = 0  # that were made because of it
    error: DockbellError | None = None
    field: str | None = None  # of the report, that the error is about

    @classmethod
    def refused(cls, error: DockbellError, field: str | None = None) -> "Receipt":
        return cls(Status.REFUSED, error=error, field=field)
