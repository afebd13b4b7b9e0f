"""What follows from an outcome: done, again at a later time, or given up. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dockbell.domain.deliveries import Decision, State, Trigger
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected

WAITS = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long to wait before each further try. No waits mean one try only."""

    waits: Sequence[timedelta] = WAITS
    jitter: float = 0.2  # a wait is longer by up to this share, never shorter
    longest_asked: timedelta = timedelta(hours=10)  # what a target's Retry-After can ask for
    longest_postponed: timedelta = timedelta(minutes=30)  # when it is not the target's fault


DEFAULT = Policy()

DELIVERED = Decision(State.DELIVERED)


def decide(  # noqa: PLR0913, PLR0917 -- each is one fact of the case
    outcome: Outcome,
    tries: int,
    now: datetime,
    chance: float,
    policy: Policy = DEFAULT,
    trigger: Trigger = Trigger.EVENT,
    *,
    postponed: int = 0,
) -> Decision:
    """Say what follows from a try, after `tries` earlier ones that count and `postponed` that do not.

    `chance` is between 0 and 1. A test is tried once, whatever comes of it.
    """
    match outcome:
        case Delivered():
            return DELIVERED
        case Rejected():
            return Decision(State.DEAD)
        case Failed():
            if trigger is Trigger.TEST:
                return Decision(State.DEAD)
            if outcome.fault in {Fault.OURS, Fault.PROXY}:
                return _postpone(outcome, postponed, now, chance, policy)
            return _again(outcome, tries, now, chance, policy)


def hand_back(now: datetime) -> Decision:
    """What follows when we stop a try ourselves: somebody else makes it at once, and it is not charged."""
    return Decision(State.WAITING, now, is_charged=False)


def _again(
    outcome: Failed, tries: int, now: datetime, chance: float, policy: Policy
) -> Decision:
    if tries >= len(policy.waits):
        return Decision(State.DEAD)
    due = now + policy.waits[tries] * (1 + policy.jitter * chance)
    if outcome.retry_after is not None:
        due = max(due, now + min(outcome.retry_after, policy.longest_asked))
    return Decision(State.WAITING, due)


def _postpone(
    outcome: Failed, postponed: int, now: datetime, chance: float, policy: Policy
) -> Decision:
    """Our own network comes back some time, so we keep trying; a bug of ours does not mend itself."""
    if outcome.code is Code.INTERNAL_ERROR and postponed >= len(policy.waits):
        return Decision(State.DEAD, is_charged=False)
    waits = policy.waits or WAITS
    wait = min(waits[min(postponed, len(waits) - 1)], policy.longest_postponed)
    return Decision(State.WAITING, now + wait * (1 + policy.jitter * chance), is_charged=False)
