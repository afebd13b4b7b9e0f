"""Until when a target that asks for time is left alone."""

from datetime import UTC, datetime, timedelta

import pytest

from dockbell.domain.deliveries import Decision, Order, Result, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Failed, Outcome
from dockbell.engine.retry import DEFAULT
from dockbell.engine.throttle import UNTOLD, holds_of

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def result_of(
    outcome: Outcome, lane_id: str = "ntf_a", trigger: Trigger = Trigger.EVENT
) -> Result:
    order = Order("dlv_1", "ntf_a", "evt_1", lane_id, trigger, 0, 0, NOON, "lse_1")
    return Result(order, outcome, Decision(State.WAITING, NOON), NOON, timedelta())


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Failed(Code.HTTP_429, "429", retry_after=MINUTE), {"ntf_a": NOON + MINUTE}),
        (Failed(Code.HTTP_5XX, "503", retry_after=MINUTE), {"ntf_a": NOON + MINUTE}),
        (Failed(Code.HTTP_429, "429"), {"ntf_a": NOON + UNTOLD}),
        (
            Failed(Code.HTTP_429, "429", retry_after=timedelta(days=9)),
            {"ntf_a": NOON + DEFAULT.longest_asked},
        ),
        (Failed(Code.HTTP_5XX, "503"), {}),
        (Failed(Code.HTTP_4XX, "404"), {}),
        (Delivered(), {}),
    ],
)
def test_a_target_is_left_alone_for_as_long_as_it_asks(
    outcome: Outcome, expected: dict[str, datetime]
) -> None:
    assert holds_of([result_of(outcome)], NOON, DEFAULT) == expected


def test_of_several_answers_the_longest_wait_counts() -> None:
    asked = [Failed(Code.HTTP_429, "429", retry_after=MINUTE * factor) for factor in (1, 3, 2)]

    holds = holds_of([result_of(one) for one in asked], NOON, DEFAULT)

    assert holds == {"ntf_a": NOON + 3 * MINUTE}


def test_a_test_holds_nothing_up() -> None:
    refused = Failed(Code.HTTP_429, "429", retry_after=MINUTE)

    assert holds_of([result_of(refused, "ntf_a:test", Trigger.TEST)], NOON, DEFAULT) == {}
