"""What a settled try means for its notification, and what its owners are told."""

from datetime import timedelta

import pytest

from dockbell.domain.deliveries import Decision, PauseReason, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.domain.standings import Change, Standing, sentence_of
from tests.conftest import NOON

DONE = Decision(State.DELIVERED)
DEAD = Decision(State.DEAD)
AGAIN = Decision(State.WAITING)
DOWN = Failed(Code.HTTP_5XX, "503")
GONE = Rejected(Code.HTTP_410, "410", gone=True)
EARLIER = NOON - timedelta(hours=1)
FIVE_DAYS_AGO = NOON - timedelta(days=5)


@pytest.mark.parametrize(
    ("before", "trigger", "outcome", "decision", "after"),
    [
        (Standing(2), Trigger.EVENT, Delivered(), DONE, Standing(0)),
        (Standing(1, failing_since=EARLIER), Trigger.EVENT, Delivered(), DONE, Standing(0)),
        (Standing(1), Trigger.EVENT, DOWN, AGAIN, Standing(1, failing_since=NOON)),
        (Standing(1, failing_since=EARLIER), Trigger.EVENT, DOWN, AGAIN, Standing(1, failing_since=EARLIER)),
        (Standing(0), Trigger.EVENT, DOWN, DEAD, Standing(1, failing_since=NOON)),
        (Standing(2), Trigger.EVENT, DOWN, DEAD, Standing(3, PauseReason.FAILURES, NOON)),
        (Standing(2), Trigger.REDELIVER, DOWN, DEAD, Standing(3, PauseReason.FAILURES, NOON)),
        (Standing(0), Trigger.EVENT, GONE, DEAD, Standing(1, PauseReason.GONE, NOON)),
        (Standing(0, None, FIVE_DAYS_AGO), Trigger.EVENT, DOWN, AGAIN, Standing(0, PauseReason.NO_SUCCESS, FIVE_DAYS_AGO)),
        (Standing(0), Trigger.EVENT, Failed(Code.INTERNAL_ERROR, "", fault=Fault.OURS), DEAD, Standing(0)),
        (Standing(0), Trigger.EVENT, Rejected(Code.TEMPLATE_ERROR, "", fault=Fault.CONFIG), DEAD, Standing(1, failing_since=NOON)),
        # While it is paused, what was under way changes nothing.
        (Standing(3, PauseReason.FAILURES), Trigger.EVENT, DOWN, DEAD, Standing(3, PauseReason.FAILURES)),
        (Standing(1, PauseReason.GONE), Trigger.EVENT, Delivered(), DONE, Standing(1, PauseReason.GONE)),
        # Tests change nothing, except that a delivered one resumes.
        (Standing(2), Trigger.TEST, DOWN, DEAD, Standing(2)),
        (Standing(2), Trigger.TEST, GONE, DEAD, Standing(2)),
        (Standing(2), Trigger.TEST, Delivered(), DONE, Standing(2)),
        (Standing(3, PauseReason.FAILURES), Trigger.TEST, DOWN, DEAD, Standing(3, PauseReason.FAILURES)),
        (Standing(3, PauseReason.FAILURES), Trigger.TEST, Delivered(), DONE, Standing(0)),
    ],
)  # fmt: skip
def test_standing_follows_the_result(
    before: Standing, trigger: Trigger, outcome: Outcome, decision: Decision, after: Standing
) -> None:
    assert before.after(trigger, outcome, decision, NOON) == after


FAILING = Standing(0, failing_since=EARLIER)
TOLD = Standing(0, None, EARLIER, NOON)
PAUSED = Standing(3, PauseReason.FAILURES, EARLIER, NOON)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (Standing(0), Standing(0), None),
        (Standing(0), Standing(0, failing_since=NOON), None),
        (FAILING, FAILING, Change.FAILING),
        (TOLD, TOLD, None),
        (TOLD, PAUSED, Change.PAUSED),
        (PAUSED, PAUSED, None),
        (PAUSED, Standing(0), Change.RECOVERED),
        (TOLD, Standing(0), Change.RECOVERED),
        (Standing(0, failing_since=NOON), Standing(0), None),  # nobody had heard of it
    ],
)
def test_owners_are_told_once_of_each_turn(
    before: Standing, after: Standing, change: Change | None
) -> None:
    assert after.change_since(before, NOON) == change


@pytest.mark.parametrize(
    ("change", "reason", "parked", "said"),
    [
        (Change.FAILING, None, 0, "Nothing has arrived for an hour. It is tried again; look at the target."),
        (Change.RECOVERED, None, 0, "The target takes messages again. What was parked is on its way."),
        (
            Change.PAUSED, PauseReason.GONE, 1,
            ("The target says that it is gone for good (410). The notification is paused; 1 event is parked and will "
            "be sent when it resumes. Mend the target, then send a test or reset the notification."),
        ),
        (
            Change.PAUSED, PauseReason.FAILURES, 12,
            ("Three messages in a row could not be delivered. The notification is paused; 12 events are parked and "
            "will be sent when it resumes. Mend the target, then send a test or reset the notification."),
        ),
    ],
)  # fmt: skip
def test_what_happened_is_said_in_plain_words(
    change: Change, reason: PauseReason | None, parked: int, said: str
) -> None:
    assert sentence_of(change, reason, parked) == said
