"""The short form of `make soak`: a few kills on each database."""

from pathlib import Path

import pytest

from tests.soak.soak import Plan, Soak

SHORT = Plan(
    seed=20,
    kills=2,
    seconds=4.0,
    workers=1,
    trouble=0.05,
    longest_freeze=0.5,
    long_freezes=0.0,
    longest_gap=0.8,
    ages_leases=True,
)


@pytest.mark.slow
async def test_nothing_is_lost_when_processes_are_killed_under_load(
    tmp_path: Path, database_url: str
) -> None:
    report = await Soak(SHORT, tmp_path, database_url).run()

    assert (report.problems, report.unsettled) == ([], {}), report.text()
    assert report.kills >= 1
    assert report.pushes >= 1
