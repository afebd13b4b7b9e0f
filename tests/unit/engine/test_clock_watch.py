"""The time that goes back is noticed, and nothing else is."""

from datetime import timedelta

from dockbell.engine.clock_watch import LEAST, ClockWatch
from tests.conftest import SetClock

TWO_HOURS = timedelta(hours=2)


class Steady:
    """Seconds that only grow, with the clock or without it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_time_that_passes_is_no_jump(clock: SetClock) -> None:
    steady = Steady()
    watch = ClockWatch(clock, steady)
    seen = []
    for _ in range(5):
        seen.append(watch.gone_back())
        steady.seconds += 3600
        clock.move(hours=1)

    assert seen == [None] * 5


def test_a_jump_back_is_told_until_it_is_dealt_with(clock: SetClock) -> None:
    steady = Steady()
    watch = ClockWatch(clock, steady)
    watch.gone_back()
    steady.seconds += 60
    clock.move(minutes=1, hours=-2)

    seen = [watch.gone_back(), watch.gone_back()]
    watch.begin_anew()

    assert seen == [TWO_HOURS, TWO_HOURS]
    assert watch.gone_back() is None


def test_a_jump_ahead_is_taken_as_it_is(clock: SetClock) -> None:
    watch = ClockWatch(clock, Steady())
    watch.gone_back()
    clock.move(hours=2)

    seen = [watch.gone_back()]
    clock.move(hours=-2)

    assert [*seen, watch.gone_back()] == [None, TWO_HOURS]


def test_a_jump_ahead_is_told_once(clock: SetClock) -> None:
    steady = Steady()
    watch = ClockWatch(clock, steady)
    seen = []
    for span in (timedelta(), timedelta(minutes=1), TWO_HOURS, timedelta(minutes=1)):
        steady.seconds += min(span, timedelta(minutes=1)).total_seconds()
        clock.now += span
        seen.append(watch.gone_ahead())
        watch.gone_back()

    assert seen == [False, False, True, False]


def test_a_clock_that_is_set_right_by_and_by_is_no_jump(clock: SetClock) -> None:
    watch = ClockWatch(clock, Steady())
    watch.gone_back()
    seen = []
    for _ in range(10):
        clock.now -= LEAST / 2
        seen.append(watch.gone_back())

    assert seen == [None] * 10
