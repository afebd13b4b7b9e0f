"""When an interruption speaks against its delivery."""

from datetime import timedelta

import pytest

from dockbell.domain.interruptions import (
    LIMIT,
    STEADY_AFTER,
    WAITS,
    Interruption,
    name_of,
    names_of,
    suspects,
    wait_of,
    worker_of,
)

YOUNG = name_of("w1", timedelta(0))


def test_waits_grow_and_leave_time_to_become_steady() -> None:
    waits = [wait_of(times, 0.0) for times in range(1, 9)]

    assert waits == [*WAITS, WAITS[-1]]
    assert waits == sorted(waits)
    assert waits[LIMIT - 2] > STEADY_AFTER
    assert [wait_of(times, 1.0) for times in (1, 2, 4)] == [
        timedelta(0),
        timedelta(seconds=30),
        timedelta(minutes=6),
    ]


def test_a_process_leases_under_a_name_that_tells_whether_it_is_young() -> None:
    steady = name_of("host-1-abc", STEADY_AFTER)
    young = name_of("host-1-abc", STEADY_AFTER - timedelta(seconds=1))

    assert (steady, young != steady) == ("host-1-abc", True)
    assert worker_of(steady) == worker_of(young) == "host-1-abc"
    assert names_of("host-1-abc") == (steady, young)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([("a", LIMIT, "w1")], ["a"]),
        ([("a", LIMIT + 3, "w1")], ["a"]),
        ([("a", LIMIT - 1, "w1")], []),  # not often enough
        ([("a", LIMIT, YOUNG)], []),  # the process had hardly begun
        ([("a", LIMIT, "w1"), ("b", 1, "w1")], ["a"]),  # b is there by chance
        ([("a", LIMIT, "w1"), ("b", 2, "w1")], []),  # it could be b
        ([("a", LIMIT, "w1"), ("b", 2, YOUNG)], []),  # the same process, earlier
        ([("a", LIMIT, "w1"), ("b", LIMIT, "w1")], []),
        ([("a", LIMIT, "w1"), ("b", LIMIT, "w2")], ["a", "b"]),  # each ended its own
    ],
)
def test_a_delivery_is_suspect_that_was_alone_in_a_steady_process(
    held: list[tuple[str, int, str]], expected: list[str]
) -> None:
    found = suspects([Interruption(*one) for one in held])

    assert [one.delivery_id for one in found] == expected
