"""How many uncharged tries a delivery has behind it, with and without a redelivery."""

from datetime import UTC, datetime

import pytest

from dockbell.domain.deliveries import Decision, Order, State, Trigger
from dockbell.engine.postponements import Postponements

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
POSTPONED = Decision(State.WAITING, NOON, is_charged=False)


def order_of(trigger: Trigger, *, tries: int, attempts: int, name: str = "dlv_1") -> Order:
    return Order(name, "ntf_1", "evt_1", "ntf_1", trigger, tries, attempts, NOON, "lse_1")


@pytest.mark.parametrize("trigger", [Trigger.EVENT, Trigger.TEST])
def test_without_a_redelivery_it_is_what_was_not_charged(trigger: Trigger) -> None:
    postponements = Postponements()
    order = order_of(trigger, tries=2, attempts=7)
    postponements.note(order, POSTPONED)

    assert postponements.count(order) == 5


def test_the_tries_before_a_redelivery_are_not_its_own() -> None:
    postponements = Postponements()
    seen = []
    for attempts in range(12, 15):
        order = order_of(Trigger.REDELIVER, tries=0, attempts=attempts)
        seen.append(postponements.count(order))
        postponements.note(order, POSTPONED)

    assert seen == [0, 1, 2]


@pytest.mark.parametrize("decision", [Decision(State.WAITING, NOON), Decision(State.DEAD)])
def test_a_try_that_counts_or_is_the_last_ends_the_count(decision: Decision) -> None:
    postponements = Postponements()
    order = order_of(Trigger.REDELIVER, tries=0, attempts=12)
    other = order_of(Trigger.REDELIVER, tries=0, attempts=12, name="dlv_2")
    postponements.note(order, POSTPONED)
    postponements.note(other, POSTPONED)

    postponements.note(order, decision)

    assert (postponements.count(order), postponements.count(other)) == (0, 1)
