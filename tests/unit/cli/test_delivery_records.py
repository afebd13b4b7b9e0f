"""Deliveries as a terminal shows them."""

from datetime import UTC, datetime

import pytest

from dockbell.cli.delivery_records import short

NOW = datetime(2026, 11, 30, 20, 18, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (NOW, "20:18:20"),
        (NOW.replace(hour=0, second=7), "00:18:07"),
        (NOW.replace(day=29), "11-29 20:18"),
        (NOW.replace(year=2025), "2025-11-30"),
    ],
)
def test_a_time_is_as_short_as_it_can_be_understood(moment: datetime, shown: str) -> None:
    assert short(moment, NOW) == shown
