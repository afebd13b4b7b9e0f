"""What a settled delivery means for its notification."""

import pytest

from dockbell.domain.deliveries import Decision, PauseReason, Standing, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected

DONE = Decision(State.DELIVERED)
DEAD = Decision(State.DEAD)
AGAIN = Decision(State.WAITING)
DOWN = Failed(Code.HTTP_5XX, "503")
GONE = Rejected(Code.HTTP_410, "410", gone=True)


@pytest.mark.parametrize(
    ("before", "trigger", "outcome", "decision", "after"),
    [
        (Standing(2), Trigger.EVENT, Delivered(), DONE, Standing(0)),
        (Standing(1), Trigger.EVENT, DOWN, AGAIN, Standing(1)),
        (Standing(0), Trigger.EVENT, DOWN, DEAD, Standing(1)),
        (Standing(2), Trigger.EVENT, DOWN, DEAD, Standing(3, PauseReason.FAILURES)),
        (Standing(2), Trigger.REDELIVER, DOWN, DEAD, Standing(3, PauseReason.FAILURES)),
        (Standing(0), Trigger.EVENT, GONE, DEAD, Standing(1, PauseReason.GONE)),
        (Standing(0), Trigger.EVENT, Failed(Code.INTERNAL_ERROR, "", fault=Fault.OURS), DEAD, Standing(0)),
        (Standing(0), Trigger.EVENT, Rejected(Code.TEMPLATE_ERROR, "", fault=Fault.CONFIG), DEAD, Standing(1)),
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
    assert before.after(trigger, outcome, decision) == after
