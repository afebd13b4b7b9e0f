"""Times are whole microseconds of UTC: nothing that clocks do to people shifts them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.outcomes import Code, Failed
from dockbell.engine.retry import WAITS, decide
from dockbell.store.tables import of_micros, to_micros

BERLIN = ZoneInfo("Europe/Berlin")
DOWN = Failed(Code.HTTP_5XX, "503")


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_as_it_was(moment: datetime) -> None:
    assert of_micros(to_micros(moment)) == moment


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 29, 1, 59, 58, tzinfo=BERLIN),  # summer time begins
        datetime(2026, 10, 25, 2, 59, 58, tzinfo=BERLIN),  # and ends
        datetime(2016, 12, 31, 23, 59, 58, tzinfo=UTC),  # a leap second follows
        datetime(2038, 1, 19, 3, 14, 6, tzinfo=UTC),  # seconds no longer fit into 32 bits
        datetime(2100, 2, 28, 23, 59, 58, tzinfo=UTC),
    ],
)
def test_a_wait_is_as_long_as_ever_whatever_the_date(moment: datetime) -> None:
    started_at = of_micros(to_micros(moment))

    due_at = decide(DOWN, 0, started_at, 0.0).due_at

    assert due_at is not None
    assert to_micros(due_at) - to_micros(moment) == WAITS[0] // timedelta(microseconds=1)
    assert due_at.utcoffset() == timedelta(0)
