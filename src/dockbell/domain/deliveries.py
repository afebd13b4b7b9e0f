"""Deliveries: one event on its way to one notification, and the tries it took."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
