"""Benchmarks of taking in events: single ones over HTTP (P3), and many at a time (P4)."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dockbell.cli import bench_server
from dockbell.cli.bench_target import on_processor, post, receiving
from dockbell.cli.own_server import Own, serving
from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.reports import MOST_AT_ONCE
from dockbell.store.schema import migrate
from dockbell.store.seals import Seal, new_key
from dockbell.store.transactions import Store

_ROUNDS = 3
_SECONDS = 3.0
_BATCHES_IN_FLIGHT = 4
_ROWS = 20_000
# A body of about 900 bytes, as a CI system sends.
_EVENT = {
    "event": "repo_push",
    "repository": "bench/web",
    "data": {"updated_tags": [f"release-{number}" for number in range(50)]},
}
_REST = json.dumps(_EVENT)[1:]
# Every event has an id of its own: looking for repeats is part of what is measured.
_WRK = """
local n = 0
local rest = %(rest)s
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %(token)s"
request = function()
  n = n + 1
  return wrk.format("POST", nil, nil, '{"id": "%(round)d-' .. n .. '", ' .. rest)
end
"""


@dataclass(frozen=True, slots=True)
class Singles:
    """P3: events that came one in a request, were answered after the commit, and made one delivery each."""

    rate: float
    reference_rate: float
    percent: float  # of the reference, the median of the rounds' own ratios
    cpu_microseconds: float  # of the server, for one event
    receiver: str
    compared_with: str


@dataclass(frozen=True, slots=True)
class Batches:
    """P4: the same, five hundred in a request, against writing the same rows with nothing around it."""

    rate: float
    raw_rate: float
    percent: float
    cpu_microseconds: float


@dataclass(frozen=True, slots=True)
class _Server:
    own: Own
    token: str
    database: Path

    @property
    def url(self) -> str:
        return f"{self.own.base}/api/v2/events"

    @property
    def headers(self) -> Sequence[str]:
        return ("Content-Type: application/json", f"Authorization: Bearer {self.token}")


@contextlib.contextmanager
def _server() -> Iterator[_Server]:
    """A server on the first processor that takes in and does not send, with one notification."""
    settings = {
        "DOCKBELL_USER_INITIALIZE": "true",
        "DOCKBELL_LOG_LEVEL": "warning",
        "DOCKBELL_ENGINE": "false",
    }
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder,
        contextlib.ExitStack() as stack,
    ):
        with on_processor(0):
            own = stack.enter_context(serving(Path(folder), settings))
        token = bench_server.furnish(own.base, notifications=1)
        yield _Server(own, token, Path(folder) / "data" / "dockbell.db")


def measure_singles() -> Singles:
    """The server and what it is compared with get the first processor, who sends the second, if there are two."""
    rounds = []
    about = ""
    with _server() as server, receiving(processor=0) as target, on_processor(1):
        for number in range(_ROUNDS):
            script = _WRK % {"rest": f"[==[{_REST}]==]", "token": server.token, "round": number}
            plain = post(
                target.url,
                _SECONDS,
                script=script,
                bodies=itertools.repeat(b"{" + _REST.encode()),
                headers=server.headers,
            )
            before, used = _events(server.database), bench_server.cpu_seconds(server.own.pid)
            done = post(
                server.url,
                _SECONDS,
                script=script,
                bodies=itertools.repeat(b"{" + _REST.encode()),
                headers=server.headers,
            )
            used = bench_server.cpu_seconds(server.own.pid) - used
            count = _events(server.database) - before
            if count < done.rate * _SECONDS * 0.9:
                raise SetupError(f"Only {count} events of those that were taken are there.")
            about = done.about
            rounds.append((done.rate, plain.rate, used / count * 1e6))
    return Singles(
        rate=statistics.median(rate for rate, _, _ in rounds),
        reference_rate=statistics.median(plain for _, plain, _ in rounds),
        percent=statistics.median(100 * rate / plain for rate, plain, _ in rounds),
        cpu_microseconds=statistics.median(used for _, _, used in rounds),
        receiver=target.about,
        compared_with=about,
    )


def measure_batches() -> Batches:
    with _server() as server:
        rounds = []
        for number in range(_ROUNDS):
            before, used = _events(server.database), bench_server.cpu_seconds(server.own.pid)
            with on_processor(1):
                done = post(
                    server.url,
                    _SECONDS,
                    bodies=_batches(number),
                    headers=server.headers,
                    in_flight=_BATCHES_IN_FLIGHT,
                )
            used = bench_server.cpu_seconds(server.own.pid) - used
            count = _events(server.database) - before
            with on_processor(0):
                raw = _write_raw(server.database)
            rounds.append((done.rate * MOST_AT_ONCE, raw, used / count * 1e6))
    return Batches(
        rate=statistics.median(rate for rate, _, _ in rounds),
        raw_rate=statistics.median(raw for _, raw, _ in rounds),
        percent=statistics.median(100 * rate / raw for rate, raw, _ in rounds),
        cpu_microseconds=statistics.median(used for _, _, used in rounds),
    )


def _batches(number: int) -> Iterator[bytes]:
    """Made beforehand as far as that goes: the sender is not what is measured."""
    counter = itertools.count()
    while True:
        first = next(counter) * MOST_AT_ONCE
        events = ", ".join(
            f'{{"id": "b{number}-{first + place}", {_REST}' for place in range(MOST_AT_ONCE)
        )
        yield b'{"events": [' + events.encode() + b"]}"


def _events(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        count: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        return count


def _write_raw(database: Path) -> float:
    """Events a second if the same rows are written to the same tables by `executemany`, as durably, 500 in each commit."""
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder,
        contextlib.closing(sqlite3.connect(database)) as source,
    ):
        events = source.execute(
            "SELECT * FROM events ORDER BY id DESC LIMIT ?", (_ROWS,)
        ).fetchall()
        deliveries = source.execute(
            "SELECT d.* FROM deliveries AS d JOIN events AS e ON e.id = d.event_id ORDER BY e.id DESC LIMIT ?",
            (_ROWS,),
        ).fetchall()
        path = Path(folder) / "raw.db"
        asyncio.run(_make_tables(path))
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
            raw.execute("PRAGMA synchronous = FULL")
            raw.execute("PRAGMA cache_size = -16000")
            began = time.perf_counter()
            for first in range(0, len(events), MOST_AT_ONCE):
                raw.execute("BEGIN IMMEDIATE")
                _insert(raw, "events", events[first : first + MOST_AT_ONCE])
                _insert(raw, "deliveries", deliveries[first : first + MOST_AT_ONCE])
                raw.execute("COMMIT")
            return len(events) / (time.perf_counter() - began)


def _insert(
    connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]
) -> None:
    places = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608 -- our own table


async def _make_tables(path: Path) -> None:
    store = Store.open(
        f"sqlite:///{path}",
        clock=lambda: datetime.now(UTC),
        new_id=_no_id,
        seal=Seal(new_key()),
    )
    try:
        await migrate(store)
    finally:
        await store.close()


def _no_id(prefix: str) -> str:
    raise AssertionError(prefix)  # a database without rows needs none
