"""Deliveries: one event on its way to one notification, and the tries it took."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dockbell.domain.outcomes import Delivered, Fault, Outcome, Rejected


class State(StrEnum):
    """Where a delivery stands. `waiting` with a due time covers new, retrying and parked ones."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Trigger(StrEnum):
    """Why a delivery exists."""

    EVENT = "event"
    TEST = "test"
    REDELIVER = "redeliver"


class PauseReason(StrEnum):
    """Why a notification is paused."""

    FAILURES = "failures"  # three deliveries given up in a row
    GONE = "gone"  # the target answered 410
    PERSON = "person"


# Quay: a notification that failed three times is off and lists so. Pinned by compat/test_notifications.py.
FAILURE_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Order:
    """A leased delivery: all that the engine needs to make one try."""

    delivery_id: str
    notification_id: str
    event_id: str
    lane_id: str
    trigger: Trigger
    tries: int  # tries that count, made before this one
    attempts: int  # attempt rows written before this one, counted or not
    created_at: datetime
    lease: str  # the token that settle compares; a new one for every lease


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an outcome."""

    state: State
    due_at: datetime | None = None  # of the next try, when the state is `waiting`
    is_charged: bool = True  # the try counts against the retry waits


@dataclass(frozen=True, slots=True)
class Result:
    """A try that is over: what came of it, and what follows."""

    order: Order
    outcome: Outcome
    decision: Decision
    started_at: datetime
    duration: timedelta
    host: str | None = None  # that the try went to


@dataclass(frozen=True, slots=True)
class Standing:
    """How a notification is doing: deliveries given up in a row, and why it is paused if it is."""

    streak: int
    pause: PauseReason | None = None

    def after(self, trigger: Trigger, outcome: Outcome, decision: Decision) -> "Standing":
        """The standing once this delivery was settled.

        A test changes nothing, except that a delivered one resumes a paused notification. While it is paused,
        tries that were already under way change nothing either.
        """
        if trigger is Trigger.TEST:
            is_back = self.pause is not None and isinstance(outcome, Delivered)
            return Standing(streak=0) if is_back else self
        if self.pause is not None:
            return self
        if isinstance(outcome, Delivered):
            return Standing(streak=0)
        if decision.state is not State.DEAD or outcome.fault not in {
            Fault.TARGET,
            Fault.CONFIG,
        }:
            return self
        streak = self.streak + 1
        if isinstance(outcome, Rejected) and outcome.gone:
            return Standing(streak, PauseReason.GONE)
        return Standing(streak, PauseReason.FAILURES if streak >= FAILURE_LIMIT else None)
