"""What a rate limit lets out now."""

from datetime import UTC, datetime, timedelta

import pytest

from dockbell.domain.deliveries import Order, Trigger
from dockbell.domain.notifications import Notification
from dockbell.engine.attempt import Job
from dockbell.engine.pace import sift

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def jobs(
    count: int, rate: float | None, name: str = "ntf_a", trigger: Trigger = Trigger.EVENT
) -> list[Job]:
    order = Order("dlv", name, "evt", name, trigger, 0, 0, NOON, "lse")
    notification = Notification(
        name, "", "nsp", "rep", "repo_push", "webhook", None, {}, {}, 0, None, None, NOON,
        rate_limit=rate,
    )  # fmt: skip
    return [
        Job(order._replace(delivery_id=f"{name}-{number}"), None, notification)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("rate", "out", "rest"),
    [(5.0, 5, 1.0), (2.5, 2, 0.8), (1.0, 1, 1.0), (0.5, 1, 2.0), (100.0, 8, 0.08)],
)
def test_what_a_second_allows_goes_out_and_then_it_rests(
    rate: float, out: int, rest: float
) -> None:
    good, too_many, rests = sift(jobs(8, rate))

    assert [job.order.delivery_id for job in good] == [f"ntf_a-{n}" for n in range(out)]
    assert [order.delivery_id for order in too_many] == [f"ntf_a-{n}" for n in range(out, 8)]
    assert rests == {"ntf_a": timedelta(seconds=rest)}


def test_what_has_no_limit_is_left_alone() -> None:
    found = jobs(8, None)

    assert sift(found) == (found, [], {})


def test_each_notification_has_its_own_limit() -> None:
    good, too_many, rests = sift([*jobs(3, 2.0), *jobs(3, 1.0, "ntf_b")])

    assert [job.order.delivery_id for job in good] == ["ntf_a-0", "ntf_a-1", "ntf_b-0"]
    assert len(too_many) == 3
    assert rests == {"ntf_a": timedelta(seconds=1), "ntf_b": timedelta(seconds=1)}


def test_tests_go_out_whatever_the_limit() -> None:
    found = jobs(8, 1.0, trigger=Trigger.TEST)

    assert sift(found) == (found, [], {})
