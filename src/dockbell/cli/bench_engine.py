"""Benchmarks of the engine: how fast it delivers (P1, P2), and how soon when it is idle (P5)."""

import asyncio
import resource
import statistics
import time

import uvloop
from sqlalchemy import select

from dockbell.cli.bench_places import (
    Place,
    application_in,
    check,
    furnish,
    place_for,
    record,
    wait_until_idle,
)
from dockbell.cli.bench_target import Target, on_processor, receiving, reference
from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import attempts
from dockbell.store.transactions import Store

_NOTIFICATIONS = 100
_ROUNDS = 3
_REFERENCE_SECONDS = 2.0
_IDLE_EVENTS = 200
_IDLE_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class Throughput:
    """P1 or P2: deliveries from the lease to the settled attempt, against plain POSTs to the same receiver."""

    rate: float  # deliveries a second, the median of the rounds
    reference_rate: float
    percent: float  # of the reference, the median of the rounds' own ratios
    cpu_microseconds: float  # of this process, for one delivery
    receiver: str
    compared_with: str


@dataclass(frozen=True, slots=True)
class Latency:
    """P5: from handing in an event to its first byte at the receiver, with nothing else to do."""

    p50_milliseconds: float
    p99_milliseconds: float


def measure_throughput(database_url: str | None = None, *, count: int = 20_000) -> Throughput:
    """On a fresh SQLite file, or on a database made on that PostgreSQL server and dropped afterwards.

    The engine and what it is compared with get the first processor, the receiver the second, if there are two.
    """
    with place_for(database_url) as place, receiving(processor=1) as target, on_processor(0):
        rounds = []
        compared = reference(target, _REFERENCE_SECONDS)
        for number in range(_ROUNDS + 1):
            compared = reference(target, _REFERENCE_SECONDS)
            warming_up = number == 0
            rate, processor = uvloop.run(
                _deliver(place, target, count // 10 if warming_up else count)
            )
            if not warming_up:
                rounds.append((compared.rate, rate, processor))
    return Throughput(
        rate=statistics.median(rate for _, rate, _ in rounds),
        reference_rate=statistics.median(plain for plain, _, _ in rounds),
        percent=statistics.median(100 * rate / plain for plain, rate, _ in rounds),
        cpu_microseconds=statistics.median(processor for _, _, processor in rounds),
        receiver=target.about,
        compared_with=compared.about,
    )


def measure_latency(database_url: str | None = None) -> Latency:
    """The same places, with a receiver of our own that tells when the first byte came."""
    with place_for(database_url) as place, receiving(tells_time=True) as target:
        times = sorted(uvloop.run(_time_events(place, target)))
    return Latency(
        p50_milliseconds=statistics.median(times) / 1e6,
        p99_milliseconds=times[int(len(times) * 0.99)] / 1e6,
    )


async def _deliver(place: Place, target: Target, count: int) -> tuple[float, float]:
    """Deliver so many; return how many a second, and the microseconds of processor time for each."""
    events_count = max(1, count // _NOTIFICATIONS)
    async with application_in(place) as application:
        admin = await furnish(application, target, _NOTIFICATIONS)
        for _ in range(events_count):
            await record(application, admin)
        await application.assemble()
        began, used = time.perf_counter(), _processor_seconds()
        await application.deliver()
        await wait_until_idle(application.store)
        spent, used = time.perf_counter() - began, _processor_seconds() - used
        await check(application.store)
    delivered = events_count * _NOTIFICATIONS
    return delivered / spent, used / delivered * 1e6


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _time_events(place: Place, target: Target) -> list[int]:
    """For each event, the nanoseconds until its first byte."""
    times = []
    async with application_in(place) as application:
        admin = await furnish(application, target, 1)
        await application.start()
        for _ in range(_IDLE_EVENTS):
            await asyncio.sleep(_IDLE_SECONDS)
            began = time.monotonic_ns()
            await record(application, admin)
            await wait_until_idle(application.store)
            times.append(await _first_byte(application.store) - began)
        await check(application.store)
    return times


async def _first_byte(store: Store) -> int:
    """When the last request's first byte came, as the receiver said in its answer."""
    newest = select(attempts.c.response_body).order_by(attempts.c.started_at.desc()).limit(1)
    async with store.read() as tx:
        row = await tx.first(newest)
    if row is None or not row.response_body:
        raise SetupError("The benchmark's receiver did not say when a request came.")
    return int(row.response_body)
