"""Standings: how a notification is doing, what pauses it, and what its owners are told of that."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from dockbell.domain.deliveries import Decision, PauseReason, State, Trigger
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Delivered, Fault, Outcome, Rejected

# Quay: a notification that failed three times is off and lists so. Pinned by compat/test_notifications.py.
FAILURE_LIMIT = 3
LONGEST_FAILING = timedelta(days=5)
# Owners are warned soon, and when half, seven and nine tenths of the time to the pause are over.
WARNINGS = (timedelta(hours=1), *(LONGEST_FAILING * tenths / 10 for tenths in (5, 7, 9)))
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


class Change(StrEnum):
    """What the owners of a notification are told. The value is the kind of the notice."""

    FAILING = "notification_failing"
    PAUSED = "notification_paused"
    RECOVERED = "notification_recovered"
    SET_ASIDE = "delivery_set_aside"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a notification is doing: deliveries given up in a row, and why it is paused if it is."""

    streak: int
    pause: PauseReason | None = None
    failing_since: datetime | None = (
        None  # the first try that failed since the last that did not
    )
    told_failing_at: datetime | None = None

    def after(
        self, trigger: Trigger, outcome: Outcome, decision: Decision, now: datetime
    ) -> "Standing":
        """The standing once this try was settled.

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
        if outcome.fault not in {Fault.TARGET, Fault.CONFIG}:
            return self
        streak = self.streak + (decision.state is State.DEAD)
        since = self.failing_since or now
        reason = None
        if isinstance(outcome, Rejected) and outcome.gone:
            reason = PauseReason.GONE
        elif streak >= FAILURE_LIMIT:
            reason = PauseReason.FAILURES
        elif now - since >= LONGEST_FAILING:
            reason = PauseReason.NO_SUCCESS
        return replace(self, streak=streak, pause=reason, failing_since=since)

    def change_since(self, before: "Standing", now: datetime) -> Change | None:
        """What there is to tell now, if anything. Who paused by hand knows."""
        if before.pause is None and self.pause is not None:
            return Change.PAUSED
        if self.pause is not None:
            return None
        if self.failing_since is None:
            was_told = before.told_failing_at is not None or before.pause is not None
            return Change.RECOVERED if was_told else None
        reached = [
            self.failing_since + one for one in WARNINGS if self.failing_since + one <= now
        ]
        told_at = self.told_failing_at
        is_due = reached and (told_at is None or told_at < reached[-1])
        return Change.FAILING if is_due else None

    def is_mailed(self, change: Change, before: "Standing", now: datetime) -> bool:
        """Whether the owners hear of it by mail too: of a pause, of one that is near, and of the end of what they got mail about."""
        match change:
            case Change.PAUSED:
                return True
            case Change.FAILING:
                return self.failing_since is not None and _is_near(self.failing_since, now)
            case Change.RECOVERED:
                told_at, since = before.told_failing_at, before.failing_since
                was_near = (
                    told_at is not None and since is not None and _is_near(since, told_at)
                )
                return before.pause is not None or was_near
            case Change.SET_ASIDE:
                return False


def _is_near(failing_since: datetime, now: datetime) -> bool:
    return now - failing_since >= WARNINGS[1]


def sentence_of(
    change: Change,
    reason: PauseReason | None,
    parked: int,
    failing_for: timedelta = WARNINGS[0],
) -> str:
    """What happened, in plain words."""
    if change is Change.SET_ASIDE:
        return (
            "One server process after another stopped while it sent this message, so it is set aside and not tried "
            "again. Tell whoever runs this server. Once the cause is mended, redeliver it."
        )
    if change is Change.RECOVERED:
        return "The target takes messages again. What was parked is on its way."
    if change is Change.FAILING:
        said = f"Nothing has arrived for {_span(failing_for)}. It is tried again; look at the target."
        is_near = failing_for >= WARNINGS[1]
        return f"{said} After five days the notification is paused." if is_near else said
    why = {
        PauseReason.GONE: "The target says that it is gone for good (410).",
        PauseReason.NO_SUCCESS: "Nothing has arrived for five days.",
    }.get(reason or PauseReason.FAILURES, "Three messages in a row could not be delivered.")
    noun = "event is" if parked == 1 else "events are"
    return (
        f"{why} The notification is paused; {parked} {noun} parked and will be sent when it resumes. "
        "Mend the target, then send a test or reset the notification."
    )


def _span(time: timedelta) -> str:
    """The time in whole hours, in words."""
    days, hours = time // _DAY, time % _DAY // _HOUR
    if days == 0:
        return "an hour" if hours <= 1 else f"{hours} hours"
    said = "a day" if days == 1 else f"{days} days"
    if hours == 0:
        return said
    return f"{said} and an hour" if hours == 1 else f"{said} and {hours} hours"
