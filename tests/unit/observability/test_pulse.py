"""The pulse of the event loop."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from structlog.testing import capture_logs

from dockbell.observability import pulse
from dockbell.observability.metrics import Metrics


@contextlib.asynccontextmanager
async def felt(metrics: Metrics) -> AsyncIterator[None]:
    feeling = asyncio.create_task(pulse.feel(metrics, every=0.01))
    try:
        yield
    finally:
        feeling.cancel()
        await asyncio.wait([feeling])


def delays(metrics: Metrics) -> dict[str, float]:
    """How many were at most so long, how many there were, and all of them together."""
    (family,) = [
        one for one in metrics.families() if one.name == "dockbell_event_loop_delay_seconds"
    ]
    return {
        one.labels.get("le", one.suffix): one.value
        for one in family.samples
        if one.labels.get("le") in {None, "1", "2.5"}
    }


async def test_a_loop_that_stands_still_is_seen_and_told() -> None:
    metrics = Metrics()

    with capture_logs() as lines:
        async with felt(metrics):
            await asyncio.sleep(0.05)
            time.sleep(1.2)  # noqa: ASYNC251 -- that it blocks is the point
            await asyncio.sleep(0.05)

    found = delays(metrics)
    assert found["2.5"] - found["1"] == 1
    assert found["_sum"] > 1.1
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("everything stood still", "warning")
    assert 1.0 <= line["seconds"] < 2.5


async def test_a_loop_that_is_free_is_in_time() -> None:
    metrics = Metrics()

    with capture_logs() as lines:
        async with felt(metrics):
            await asyncio.sleep(0.2)

    found = delays(metrics)
    assert found["_count"] == found["1"] >= 1
    assert lines == []
