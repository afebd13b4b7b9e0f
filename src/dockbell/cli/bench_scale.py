"""Benchmarks of size: two engine processes on one database (P11), and a lease beside a long history (P12)."""

import asyncio
import contextlib
import statistics
import time
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import uvloop
from sqlalchemy import func, select, text

from dockbell.cli.bench_places import (
    Place,
    administer,
    application_in,
    check,
    furnish,
    place_for,
    record,
    wait_until_idle,
)
from dockbell.cli.bench_target import Target, receiving
from dockbell.cli.failures import say
from dockbell.cli.own_server import running
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store import deliveries as delivery_rows
from dockbell.store.tables import attempts
from dockbell.store.transactions import Store

_NOTIFICATIONS = 100
_ROUNDS = 3
_CLAIMS = 200
_CLAIM = 100  # deliveries in one lease
_TRIES_EACH = 5  # of those kept
_ROWS_AT_ONCE = 200_000
_LEASE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Together:
    """P11: deliveries a second of one `dockbell worker` and of two, each delivery made once."""

    one: float
    two: float
    percent: float  # what two do, of what one does: the median of the rounds' own ratios
    log_bytes: float  # that PostgreSQL wrote to its write-ahead log for one delivery, its event's share included
    stored_bytes: float  # by which the database grew for one delivery, likewise


@dataclass(frozen=True, slots=True)
class _Run:
    rate: float
    log_bytes: float
    stored_bytes: float


@dataclass(frozen=True, slots=True)
class Claims:
    """P12: the 95th percentile of a lease of a hundred deliveries, with nothing else in the tables and with a history."""

    kept: int  # attempts in the tables
    empty_milliseconds: float
    full_milliseconds: float
    ratio: float


def measure_two_workers(
    database_url: str, *, count: int = 20_000, rounds: int = _ROUNDS
) -> Together:
    with place_for(database_url) as place, receiving() as target:
        done = []
        for _ in range(rounds):
            one = uvloop.run(_share(place, target, count, workers=1))
            two = uvloop.run(_share(place, target, count, workers=2))
            done.append((one, two))
    return Together(
        one=statistics.median(one.rate for one, _ in done),
        two=statistics.median(two.rate for _, two in done),
        percent=statistics.median(100 * two.rate / one.rate for one, two in done),
        log_bytes=statistics.median(one.log_bytes for one, _ in done),
        stored_bytes=statistics.median(one.stored_bytes for one, _ in done),
    )


async def _share(place: Place, target: Target, count: int, *, workers: int) -> _Run:
    """Let so many workers deliver; the rate goes from the first try to the last."""
    async with application_in(place) as application:
        admin = await furnish(application, target, _NOTIFICATIONS)
        log_before, stored_before, began = await _size(application.store)
        for _ in range(count // _NOTIFICATIONS):
            await record(application, admin)
        with contextlib.ExitStack() as stack:
            for _ in range(workers):
                stack.enter_context(_worker(place))
            await wait_until_idle(application.store)
        await check(application.store)
        log_after, stored_after, _ = await _size(application.store)
        made = select(
            func.min(attempts.c.started_at), func.max(attempts.c.started_at), func.count()
        ).where(attempts.c.started_at >= began)
        async with application.store.read() as tx:
            first, last, tries = tuple((await tx.rows(made))[0])
    seconds: float = (last - first).total_seconds()
    return _Run(
        rate=tries / seconds,
        log_bytes=(log_after - log_before) / tries,
        stored_bytes=(stored_after - stored_before) / tries,
    )


async def _size(store: Store) -> tuple[int, int, datetime]:
    """The bytes of log written so far, those the database takes, and what time it is."""
    asked = text(
        "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn, pg_database_size(current_database())"
    )
    async with store.read() as tx:
        log, stored = tuple((await tx.rows(asked))[0])
        return int(log), int(stored), tx.now


def _worker(place: Place) -> AbstractContextManager[object]:
    """A `dockbell worker` on that database, ended when the block ends."""
    settings = {
        "DOCKBELL_DATABASE_URL": place.database_url or "",
        "DOCKBELL_EGRESS_ALLOW": "loopback",
        "DOCKBELL_LOG_LEVEL": "error",
    }
    return running(["worker", "--data", str(place.folder)], place.folder, settings)


def measure_claims(
    database_url: str | None = None, *, kept: int = 10_000_000, claims: int = _CLAIMS
) -> Claims:
    """Two databases take turns, so that a machine whose speed moves treats both alike."""
    with (
        place_for(database_url) as empty,
        place_for(database_url) as full,
        receiving() as target,
    ):
        return asyncio.run(_time_claims(empty, full, target, kept, claims))


async def _time_claims(
    empty: Place, full: Place, target: Target, kept: int, claims: int
) -> Claims:
    async with application_in(empty) as one, application_in(full) as other:
        for application in (one, other):
            admin = await furnish(application, target, _NOTIFICATIONS)
            for _ in range(_CLAIM):
                await record(application, admin)
        await _fill(other.store, kept)
        for place, application in ((empty, one), (full, other)):
            await _tidy(place, application.store)
        times = [(await _claim(one.store), await _claim(other.store)) for _ in range(claims)]
    without = _percentile_95([seconds for seconds, _ in times])
    beside = _percentile_95([seconds for _, seconds in times])
    return Claims(kept, without * 1000, beside * 1000, beside / without)


def _percentile_95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def _claim(store: Store) -> float:
    """The seconds that a lease takes. It is given back at once."""
    began = time.perf_counter()
    async with store.begin() as tx:
        leased = await delivery_rows.lease(tx, "bench", tx.now + _LEASE, _CLAIM)
    seconds = time.perf_counter() - began
    async with store.begin() as tx:
        await delivery_rows.release(tx, leased.orders)
    return seconds


_NUMBERS_ON_SQLITE = "WITH RECURSIVE numbers (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}) "
_NUMBERS_ON_POSTGRESQL = "WITH numbers (n) AS (SELECT generate_series({first}, {last})) "
# Old rows look like those that are there: the same columns, spread over the same lanes, long ended.
_OLD_DELIVERIES = """
INSERT INTO deliveries (id, event_id, notification_id, repository_id, lane_id, "trigger", state, tries, attempts,
                        interruptions, due_at, code, created_at, finished_at)
{series}
SELECT 'dlv_0' || n, 'evt_0' || (n / {lanes}), l.notification_id, 'old', l.id, 'event', 'delivered', 1, {tries}, 0, n, 'ok', n, n
FROM numbers JOIN (SELECT id, notification_id, row_number() OVER (ORDER BY id) AS place FROM lanes) AS l
  ON l.place = n % {lanes} + 1
"""
_OLD_ATTEMPTS = """
INSERT INTO attempts (delivery_id, number, outcome, code, detail, status, address, started_at, duration_micros)
{series}
SELECT 'dlv_0' || n, t.number, 'failed', 'http_status', 'The target answered 500.', 500, '127.0.0.1', n, 1000
FROM numbers CROSS JOIN ({numbers}) AS t
"""


async def _fill(store: Store, kept: int) -> None:
    count = kept // _TRIES_EACH
    counting = _NUMBERS_ON_SQLITE if store.is_sqlite else _NUMBERS_ON_POSTGRESQL
    numbers = " UNION ALL ".join(
        f"SELECT {number} AS number" for number in range(1, _TRIES_EACH + 1)
    )
    for first in range(0, count, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, count) - 1
        series = counting.format(first=first, last=last)
        async with store.begin() as tx:
            for statement in (_OLD_DELIVERIES, _OLD_ATTEMPTS):
                await tx.run(
                    text(
                        statement.format(
                            series=series,
                            lanes=_NOTIFICATIONS,
                            tries=_TRIES_EACH,
                            numbers=numbers,
                        )
                    )
                )
        say(f"  {(last + 1) * _TRIES_EACH:,} of {kept:,} attempts are kept …")


async def _tidy(place: Place, store: Store) -> None:
    """What PostgreSQL does by itself in time."""
    if place.database_url is not None:
        await administer(place.database_url, "VACUUM ANALYZE")
        return
    async with store.begin() as tx:
        await tx.run(text("ANALYZE"))
