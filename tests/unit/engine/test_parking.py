"""What is leased beyond the places of its lane: who may, who comes next, and who goes back."""

from datetime import UTC, datetime, timedelta

import pytest

from dockbell.domain.deliveries import Decision, Order, Result, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Failed, Outcome
from dockbell.engine.attempt import Job
from dockbell.engine.parking import Parking, ahead_of
from dockbell.store.lanes import WIDTH

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def order(name: str, lane_id: str = "ntf_a") -> Order:
    return Order(name, "ntf_a", "evt", lane_id, Trigger.EVENT, 0, 0, NOON, "lse")


def result(outcome: Outcome, lane_id: str = "ntf_a") -> Result:
    decision = Decision(State.DELIVERED)
    return Result(order("dlv", lane_id), outcome, decision, NOON, timedelta())


def jobs(lane_id: str, count: int) -> list[Job]:
    return [Job(order(f"{lane_id}-{number}", lane_id), None, None) for number in range(count)]


def names(found: list[tuple[Job, float]]) -> list[str]:
    return [job.order.delivery_id for job, _ in found]


@pytest.mark.parametrize(("ended", "more"), [(1, 4), (30, 120), (64, 2 * WIDTH)])
def test_the_faster_a_lane_is_the_more_is_leased_ahead(ended: int, more: int) -> None:
    assert ahead_of([result(Delivered())] * ended) == {"ntf_a": more}


def test_nothing_is_leased_ahead_of_what_fails_or_is_tried_again() -> None:
    failed = result(Failed(Code.HTTP_5XX, "No."))
    retried = result(Delivered(), "ntf_a/retries")
    assert ahead_of([failed, retried]) == {}


def test_each_place_of_a_lane_goes_to_the_one_that_waited_longest() -> None:
    parking = Parking()
    others = parking.take([*jobs("ntf_a", 3), *jobs("ntf_b", 1)], {"ntf_a": 3}, 7.0)
    assert names(others) == ["ntf_b-0"]
    assert names(parking.fill({"ntf_a": WIDTH - 1})) == ["ntf_a-0"]
    assert names(parking.fill({"ntf_a": WIDTH + 5})) == []
    # Whatever comes later is behind what is here already.
    assert parking.take(jobs("ntf_a", 1), {}, 8.0) == []
    following = [parking.next_of("ntf_a") for _ in range(4)]
    assert [None if one is None else one[0].order.delivery_id for one in following] == [
        "ntf_a-1",
        "ntf_a-2",
        "ntf_a-0",
        None,
    ]
    assert not parking


def test_all_of_a_lane_leave_together() -> None:
    parking = Parking()
    parking.take([*jobs("ntf_a", 2), *jobs("ntf_b", 1)], {"ntf_a": 2, "ntf_b": 1}, 7.0)
    assert [job.order.delivery_id for job in parking.leave("ntf_a")] == ["ntf_a-0", "ntf_a-1"]
    assert parking.leave("ntf_a") == []
    assert [job.order.delivery_id for job in parking] == ["ntf_b-0"]


def test_what_waited_too_long_is_given_up() -> None:
    parking = Parking()
    parking.take(jobs("ntf_a", 1), {"ntf_a": 2}, 7.0)
    parking.take([*jobs("ntf_a", 1), *jobs("ntf_b", 1)], {"ntf_b": 1}, 9.0)
    assert len(parking.give_up(8.0)) == 1
    assert len(list(parking)) == 2
    assert len(parking.give_up(10.0)) == 2
    assert not parking
