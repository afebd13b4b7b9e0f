"""What follows from an outcome."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.deliveries import Decision, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Rejected
from dockbell.engine.retry import DEFAULT, WAITS, Policy, decide, hand_back

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
DOWN = Failed(Code.HTTP_5XX, "503")
OURS = Failed(Code.DNS_FAILED, "No name server.", fault=Fault.OURS)
BUG = Failed(Code.INTERNAL_ERROR, "A bug.", fault=Fault.OURS)


def test_the_waits_are_those_of_the_product_page() -> None:
    seconds = [wait.total_seconds() for wait in WAITS]

    assert seconds == [5, 30, 120, 600, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def test_a_delivered_one_is_done() -> None:
    assert decide(Delivered(), 0, NOON, 0.0) == Decision(State.DELIVERED)


def test_a_rejected_one_is_dead_at_once() -> None:
    outcome = Rejected(Code.HTTP_410, "410", gone=True)

    assert decide(outcome, 0, NOON, 0.0) == Decision(State.DEAD)


def test_tries_follow_the_whole_list_and_then_end() -> None:
    decisions = [decide(DOWN, tries, NOON, 0.0) for tries in range(len(WAITS) + 1)]

    assert decisions == [
        *(Decision(State.WAITING, NOON + wait) for wait in WAITS),
        Decision(State.DEAD),
    ]


def test_no_waits_mean_one_try() -> None:
    assert decide(DOWN, 0, NOON, 0.5, Policy(waits=())) == Decision(State.DEAD)


@given(tries=st.integers(0, len(WAITS) - 1), chance=st.floats(0, 1))
def test_jitter_only_lengthens_a_wait_by_a_fifth_at_most(tries: int, chance: float) -> None:
    decision = decide(DOWN, tries, NOON, chance)

    assert decision.due_at is not None
    assert WAITS[tries] <= decision.due_at - NOON <= WAITS[tries] * 1.2


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (timedelta(seconds=120), timedelta(seconds=120)),
        (timedelta(seconds=1), timedelta(seconds=5)),  # only later
        (timedelta(0), timedelta(seconds=5)),
        (timedelta(seconds=-5), timedelta(seconds=5)),
        (timedelta(days=400), timedelta(hours=10)),  # capped
    ],
)
def test_what_a_target_asks_only_pushes_later(asked: timedelta, expected: timedelta) -> None:
    outcome = Failed(Code.HTTP_429, "429", retry_after=asked)

    assert decide(outcome, 0, NOON, 0.0).due_at == NOON + expected


def test_a_test_is_tried_once() -> None:
    for outcome in (DOWN, OURS):
        assert decide(outcome, 0, NOON, 0.0, trigger=Trigger.TEST) == Decision(State.DEAD)


def test_a_redelivery_follows_the_list() -> None:
    decision = decide(DOWN, 0, NOON, 0.0, trigger=Trigger.REDELIVER)

    assert decision == Decision(State.WAITING, NOON + WAITS[0])


@pytest.mark.parametrize("fault", [Fault.OURS, Fault.PROXY])
def test_what_is_not_the_targets_fault_is_not_charged(fault: Fault) -> None:
    outcome = Failed(Code.PROXY_ERROR, "The proxy does not answer.", fault=fault)

    decisions = [decide(outcome, 3, NOON, 0.0, postponed=n) for n in (0, 1, 500)]

    assert decisions == [
        Decision(State.WAITING, NOON + wait, is_charged=False)
        for wait in (WAITS[0], WAITS[1], DEFAULT.longest_postponed)
    ]


def test_our_own_network_is_waited_for_even_without_a_list() -> None:
    decision = decide(OURS, 0, NOON, 0.0, Policy(waits=()))

    assert decision == Decision(State.WAITING, NOON + WAITS[0], is_charged=False)


def test_a_bug_is_tried_as_often_as_the_list_is_long() -> None:
    last, over = (decide(BUG, 0, NOON, 0.0, postponed=n) for n in (10, 11))

    assert last.state is State.WAITING
    assert over == Decision(State.DEAD, is_charged=False)


def test_a_config_fault_counts_as_a_try() -> None:
    outcome = Failed(Code.CONFIG_INVALID, "No URL.", fault=Fault.CONFIG)

    assert decide(outcome, 0, NOON, 0.0) == Decision(State.WAITING, NOON + WAITS[0])


def test_a_try_handed_back_is_due_at_once() -> None:
    assert hand_back(NOON) == Decision(State.WAITING, NOON, is_charged=False)
