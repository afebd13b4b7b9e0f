"""Deliveries: one event on its way to one notification, and the tries it took."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Outcome


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
    NO_SUCCESS = "no_success"  # five days without a try that succeeded
    GONE = "gone"  # the target answered 410
    PERSON = "person"


class Order(NamedTuple):
    """A leased delivery: all that the engine needs to make one try.

    A tuple, as thousands are made in a second: a frozen dataclass takes four times as long to make.
    """

    delivery_id: str
    notification_id: str
    event_id: str
    lane_id: str
    trigger: Trigger
    tries: int  # tries that count, made before this one
    attempts: int  # attempt rows written before this one, counted or not
    created_at: datetime
    lease: str  # the token that settle compares; a new one for every lease
    attempts_before: int = 0  # of `attempts`, those of earlier series: a redelivery begins one

    @property
    def postponed(self) -> int:
        """How many tries of this series were made before this one and do not count."""
        return self.attempts - self.attempts_before - self.tries


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an outcome."""

    state: State
    due_at: datetime | None = None  # of the next try, when the state is `waiting`
    is_charged: bool = True  # the try counts against the retry waits


class Result(NamedTuple):
    """A try that is over: what came of it, and what follows. A tuple, as an order is."""

    order: Order
    outcome: Outcome
    decision: Decision
    started_at: datetime
    duration: timedelta
    host: str | None = None  # that the try went to
    method: str | None = None  # by which it was made, if that is installed
