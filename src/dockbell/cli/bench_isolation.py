"""Benchmarks of slow targets: how busy one is kept (P6), and what others notice of one that hangs (P7)."""

import asyncio
import math
import statistics
import time

import uvloop
from sqlalchemy import Float, cast, select

from dockbell.cli.bench_places import (
    Place,
    application_in,
    check,
    furnish,
    place_for,
    record,
    record_many,
    wait_until_idle,
)
from dockbell.cli.bench_target import Target, receiving
from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.lanes import WIDTH
from dockbell.store.tables import attempts, deliveries
from dockbell.store.transactions import Store

_PAUSE_SECONDS = 0.02
_SLOW_COUNT = 8_000
_ROUNDS = 3
_OTHERS = 100
_EVERY_SECONDS = 0.1
_MICROSECOND = 1e-6


@dataclass(frozen=True, slots=True)
class Busy:
    """P6: deliveries a second to one target that takes 20 ms for each, and what its lane allows at most."""

    rate: float
    highest_rate: float
    percent: float  # of the highest


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """P7: from an event to the start of its first try, for others than the target that hangs."""

    waiting: int  # deliveries for the target that hangs, at the start
    counted: int  # first tries of the others
    p50_milliseconds: float
    p99_milliseconds: float


def measure_slow_target(count: int = _SLOW_COUNT, *, rounds: int = _ROUNDS) -> Busy:
    highest = WIDTH / _PAUSE_SECONDS
    with place_for(None) as place, receiving(pause=_PAUSE_SECONDS) as target:
        rates = [uvloop.run(_keep_busy(place, target, count)) for _ in range(rounds)]
    rate = statistics.median(rates)
    return Busy(rate, highest, 100 * rate / highest)


async def _keep_busy(place: Place, target: Target, count: int) -> float:
    async with application_in(place) as application:
        admin = await furnish(application, target, 1)
        await record_many(application, admin, count)
        await application.assemble()
        began = time.perf_counter()
        await application.deliver()
        await wait_until_idle(application.store)
        spent = time.perf_counter() - began
        await check(application.store)
    return count / spent


def measure_hanging_target(
    database_url: str | None = None, *, waiting: int = 100_000, seconds: float = 20.0
) -> Undisturbed:
    with (
        place_for(database_url) as place,
        receiving(pause=math.inf) as hanging,
        receiving() as target,
    ):
        times = sorted(uvloop.run(_disturb(place, hanging, target, waiting, seconds)))
    if not times:
        raise SetupError("The benchmark delivered nothing beside the target that hangs.")
    return Undisturbed(
        waiting,
        len(times),
        statistics.median(times) * 1000,
        times[int(len(times) * 0.99)] * 1000,
    )


async def _disturb(
    place: Place, hanging: Target, target: Target, waiting: int, seconds: float
) -> list[float]:
    """Deliver to others while everything for one target waits; return the others' seconds until the first try."""
    async with application_in(place) as application:
        hung = await furnish(application, hanging, 1)
        await record_many(application, hung, waiting)
        others = await furnish(application, target, _OTHERS)
        await application.start()
        ends_at = time.monotonic() + seconds
        count = 0
        while time.monotonic() < ends_at:
            await asyncio.sleep(_EVERY_SECONDS)
            await record(application, others)
            count += _OTHERS
        return await _first_tries(application.store, others.repository.id, count)


async def _first_tries(store: Store, repository_id: str, count: int) -> list[float]:
    """How long each had to wait, once there are so many."""
    waited = cast(attempts.c.started_at - deliveries.c.created_at, Float)
    query = (
        select(waited)
        .join_from(attempts, deliveries, attempts.c.delivery_id == deliveries.c.id)
        .where(deliveries.c.place_id == repository_id, attempts.c.number == 1)
    )
    async with asyncio.timeout(60):
        while True:
            async with store.read() as tx:
                rows = await tx.rows(query)
            if len(rows) == count:
                return [row[0] * _MICROSECOND for row in rows]
            await asyncio.sleep(0.2)
