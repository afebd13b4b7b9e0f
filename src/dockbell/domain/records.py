"""What is on record: deliveries, their tries and events, as lists and pages show them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from dockbell.domain.accounts import ActorKind, Namespace
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.events import Event
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.notifications import Notification


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery with what it is about and where it goes.

    What comes from the event is None when it is no longer kept, what comes from the notification when it is gone.
    """

    id: str
    event_id: str
    notification_id: str
    place_id: str | None  # of the repository or namespace of its notification, or INSTANCE
    trigger: Trigger
    state: State
    tries: int  # those that count, since the last redelivery
    attempts: int
    due_at: datetime
    code: str | None  # of the last attempt
    created_at: datetime
    finished_at: datetime | None
    request_key: str | None
    kind: str | None
    namespace: str | None
    repository: str | None  # without the namespace
    occurred_at: datetime | None
    method: str | None
    title: str | None
    is_paused: bool  # its notification is
    held_until: datetime | None = None  # nothing of its lane is sent before
    held_by: str | None = None  # the host whose breaker it is, or a word of store.throttles

    @property
    def has_notification(self) -> bool:
        return self.method is not None

    @property
    def is_parked(self) -> bool:
        """It waits for its notification to be resumed."""
        return (
            self.state is State.WAITING and self.is_paused and self.trigger is not Trigger.TEST
        )

    @property
    def next_attempt_at(self) -> datetime | None:
        if self.state is not State.WAITING or self.is_parked:
            return None
        return self.due_at if self.held_until is None else max(self.due_at, self.held_until)


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries of a place a list holds. What is None or empty asks for nothing."""

    states: Sequence[State] = ()
    kind: str | None = None
    event_id: str | None = None
    notification_id: str | None = None
    codes: Sequence[str] = ()
    trigger: Trigger | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One try: what was sent, what came back, and why it ended so."""

    number: int
    outcome: str  # delivered, rejected, failed, late
    code: str
    detail: str
    fault: str | None
    status: int | None
    address: str | None
    started_at: datetime
    duration: timedelta
    phases: Mapping[str, float]  # seconds from the start until each was over
    request_headers: Sequence[tuple[str, str]]
    response_headers: Sequence[tuple[str, str]]
    response_body: bytes
    worker: str | None


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as it is kept."""

    event: Event
    namespace_id: str | None
    repository_id: str | None
    recorded_at: datetime

    @property
    def is_sample(self) -> bool:
        """The test button made it."""
        return self.event.facts.get("sample") is True


@dataclass(frozen=True, slots=True)
class Health:
    """How a notification has been doing: what its page says above its deliveries."""

    waiting: int
    sending: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_failure_code: str | None
    held_until: datetime | None = None  # nothing of it is sent before
    held_by: str | None = None  # the host whose breaker it is, or a word of store.throttles


class Verdict(StrEnum):
    """Whether a notification got an event, and if not, why."""

    MATCHED = "matched"
    OTHER_EVENT = "other_event"
    FILTERED = "filtered"
    MADE_LATER = "made_later"
    OTHER_TEST = "other_test"
    NOT_SENT = "not_sent"
    PENDING = "pending"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES: Mapping[Verdict, str] = {
    Verdict.MATCHED: "It matched, and a delivery was made.",
    Verdict.OTHER_EVENT: "It is for another kind of event.",
    Verdict.FILTERED: "Its filter does not want this event.",
    Verdict.MADE_LATER: "It was made after the event.",
    Verdict.OTHER_TEST: "The event is the test of another notification.",
    Verdict.NOT_SENT: "It would match now; when the event came, it had another filter.",
    Verdict.PENDING: "It matched, and its delivery is about to be made: the event has very many.",
}


@dataclass(frozen=True, slots=True)
class Consideration:
    """One notification that an event was held against. `notification` is None for one that is gone."""

    notification_id: str
    notification: Notification | None
    verdict: Verdict
    delivery: DeliveryRecord | None
    refused_by: str | None = None  # the filter that does not want the event


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tries that began in one span of time, tests among them."""

    number: int  # from 0
    attempts: int
    failed: int
    median: timedelta
    slow: timedelta  # 19 of 20 were faster


@dataclass(frozen=True, slots=True)
class Statistics:
    """The deliveries made in a span of time, counted by where they stand now."""

    by_state: Mapping[State, int]
    parked: int  # of those that wait
    buckets: Sequence[Bucket]


class JobState(StrEnum):
    """Where a job that sends many deliveries again stands."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class RedeliveryJob:
    """Sending many deliveries of a place again, a few at a time."""

    id: str
    place_id: str
    wanted: DeliveryFilter
    state: JobState
    total: int  # counted when it was made
    sent: int
    skipped: int  # their notification is gone or paused, or they were being sent
    before: str  # the deliveries with a lower id are still to do
    made_by: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which audit entries a list holds: those from `since` on and before `until`, of everybody or of one performer."""

    since: datetime
    until: datetime
    performer: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what, when, from where. What is no longer there has no account to show."""

    id: str
    kind: str
    actor_kind: ActorKind
    actor_name: str
    actor_email: str | None
    namespace: Namespace | None  # whose entry it is, while there is such a namespace
    metadata: Mapping[str, object]
    ip: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditCount:
    """How often something of one kind was done on one day (UTC)."""

    kind: str
    day: datetime
    count: int
