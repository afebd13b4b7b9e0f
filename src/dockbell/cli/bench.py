"""`dockbell bench`: how fast dockbell is on this machine, as ratios that can be compared between machines."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from dockbell.cli import (
    bench_blobs,
    bench_engine,
    bench_intake,
    bench_isolation,
    bench_scale,
    bench_server,
)
from dockbell.cli.apps import examples, new_command
from dockbell.cli.failures import say
from dockbell.cli.output import Output, is_json, show_json
from dockbell.domain.late_dataclasses import dataclass

app = new_command()

_ON_POSTGRESQL = {"P11", "P2"}
_LONG = {"P12"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure with what the product promises."""

    name: str
    about: str
    value: float
    unit: str
    must: float
    is_more_better: bool
    details: dict[str, Any]

    @property
    def is_kept(self) -> bool:
        return self.value >= self.must if self.is_more_better else self.value <= self.must


def _throughput(
    name: str, database: str, database_url: str | None, count: int, must: float
) -> Iterator[Figure]:
    done = bench_engine.measure_throughput(database_url, count=count)
    about = (
        f"of {done.compared_with} ({done.reference_rate:,.0f}/s): deliveries end to end on {database},"
        f" {done.rate:,.0f}/s, {done.cpu_microseconds:.0f} µs of processor each; receiver: {done.receiver}"
    )
    yield Figure(
        name, about, done.percent, "%", must, is_more_better=True, details=asdict(done)
    )


def _singles() -> Iterator[Figure]:
    done = bench_intake.measure_singles()
    about = (
        f"of {done.compared_with} ({done.reference_rate:,.0f}/s) to {done.receiver}: single events taken in on SQLite"
        f" (synchronous=FULL), {done.rate:,.0f}/s, {done.cpu_microseconds:.0f} µs of processor each"
    )
    yield Figure("P3", about, done.percent, "%", 6.0, is_more_better=True, details=asdict(done))


def _batches() -> Iterator[Figure]:
    done = bench_intake.measure_batches()
    about = (
        f"of writing the same rows with executemany ({done.raw_rate:,.0f} events/s): events taken in 500 at a time,"
        f" {done.rate:,.0f}/s, {done.cpu_microseconds:.0f} µs of processor each"
    )
    yield Figure(
        "P4", about, done.percent, "%", 35.0, is_more_better=True, details=asdict(done)
    )


def _latency(database: str, database_url: str | None) -> Iterator[Figure]:
    done = bench_engine.measure_latency(database_url)
    for part, value, must in (
        ("p50", done.p50_milliseconds, 25.0),
        ("p99", done.p99_milliseconds, 100.0),
    ):
        about = f"{part} from an event to its first byte at the receiver, idle, on {database}"
        yield Figure("P5", about, value, "ms", must, is_more_better=False, details=asdict(done))


def _slow_target() -> Iterator[Figure]:
    done = bench_isolation.measure_slow_target()
    about = (
        f"of the most that one target can take that answers after 20 ms ({done.highest_rate:,.0f}/s):"
        f" {done.rate:,.0f} deliveries/s on SQLite"
    )
    yield Figure(
        "P6", about, done.percent, "%", 75.0, is_more_better=True, details=asdict(done)
    )


def _hanging_target() -> Iterator[Figure]:
    done = bench_isolation.measure_hanging_target()
    about = (
        f"p99 from an event to its first try for others, while one target hangs with {done.waiting:,} waiting"
        f" (p50 {done.p50_milliseconds:.0f} ms, {done.counted:,} tries), on SQLite"
    )
    yield Figure(
        "P7",
        about,
        done.p99_milliseconds,
        "ms",
        2000.0,
        is_more_better=False,
        details=asdict(done),
    )


def _two_workers(database_url: str) -> Iterator[Figure]:
    done = bench_scale.measure_two_workers(database_url)
    about = (
        f"of one `dockbell worker` ({done.one:,.0f}/s): two of them on one PostgreSQL, {done.two:,.0f}/s,"
        f" everything sent once; receiver and database share the {os.cpu_count()} processors; for each delivery"
        f" {done.log_bytes:,.0f} bytes of write-ahead log, and {done.stored_bytes:,.0f} stored"
    )
    yield Figure(
        "P11", about, done.percent, "%", 100.0, is_more_better=True, details=asdict(done)
    )


def _claims(database: str, database_url: str | None, kept: int) -> Iterator[Figure]:
    done = bench_scale.measure_claims(database_url, kept=kept)
    about = (
        f"times as long is the p95 of a lease of 100 with {done.kept:,} attempts kept ({done.full_milliseconds:.1f} ms)"
        f" as with none ({done.empty_milliseconds:.1f} ms), on {database}"
    )
    yield Figure("P12", about, done.ratio, "x", 2.0, is_more_better=False, details=asdict(done))


def _api_call() -> Iterator[Figure]:
    done = bench_server.measure_api_call()
    about = f"an API call with a token that lists 100 notifications, p50 (p99 {done.p99_milliseconds:.1f} ms)"
    yield Figure(
        "P8",
        about,
        done.p50_milliseconds,
        "ms",
        5.0,
        is_more_better=False,
        details=asdict(done),
    )


def _uploads() -> Iterator[Figure]:
    done = bench_blobs.measure_uploads()
    about = (
        f"of writing, hashing and syncing the same bytes ({done.limit:,.0f} MB for a second of processor): a blob of 200 MB that is"
        f" uploaded, {done.own.streamed:,.0f} MB by PATCH ({done.percent.streamed:.0f} %), {done.own.at_once:,.0f} by one PUT"
        f" ({done.percent.at_once:.0f} %)"
    )
    yield Figure(
        "P9", about, done.percent.lesser, "%", 50.0, is_more_better=True, details=asdict(done)
    )
    if done.peer is None or done.times is None:
        say("P9 is not compared with docker-registry, which is not installed here.")
        return
    about = (
        f"times as much as Debian's docker-registry, which takes {done.peer.streamed:,.0f} MB by PATCH"
        f" ({done.times.streamed:.1f} x), {done.peer.at_once:,.0f} by one PUT ({done.times.at_once:.1f} x)"
    )
    yield Figure(
        "P9", about, done.times.lesser, "x", 1.8, is_more_better=True, details=asdict(done)
    )


def _idle() -> Iterator[Figure]:
    done = bench_server.measure_idle()
    for about, value, unit, must in (
        ("memory of an idle server", done.resident_megabytes, "MB", 120.0),
        ("processor of an idle server", done.cpu_percent, "%", 1.0),
        (
            f"from the start until ready, warm ({done.ready_cpu_seconds:.2f} s of processor)",
            done.ready_seconds,
            "s",
            1.5,
        ),
    ):
        yield Figure(
            "P10", about, value, unit, must, is_more_better=False, details=asdict(done)
        )


Only = Annotated[
    str | None,
    typer.Option(
        help="The figures to measure, such as `P1,P5`. Default: all.", show_default=False
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        help="A PostgreSQL server for P2, P11 and P12. A database is made there and dropped afterwards; no other is touched.",
        show_default=False,
    ),
]
Count = Annotated[
    int, typer.Option(min=1000, help="Deliveries in each of three rounds of P1 and P2.")
]
Kept = Annotated[
    int, typer.Option(min=1000, help="Attempts in the tables for P12, about 400 bytes each.")
]
Check = Annotated[
    bool, typer.Option("--check", help="Exit with 1 if a figure misses its mark.")
]


@app.command(
    epilog=examples(
        "dockbell bench",
        "dockbell bench --only P1,P5",
        "dockbell bench --only P2,P11 --database-url postgresql://postgres@localhost/postgres",
        "dockbell bench --only P12 --kept 1000000",
    )
)
def bench(  # noqa: PLR0913 -- one for each flag
    *,
    only: Only = None,
    database_url: DatabaseUrl = None,
    count: Count = 20_000,
    kept: Kept = 10_000_000,
    check: Check = False,
    output: Output = None,
) -> None:
    """Measure this machine. It takes about six minutes, loads all of it and leaves nothing behind.

    P12 is measured only when it is named: filling the tables takes many minutes more.
    """
    known: dict[str, Callable[[], Iterator[Figure]]] = {
        "P1": lambda: _throughput("P1", "SQLite (synchronous=FULL)", None, count, 15.0),
        "P2": lambda: _throughput("P2", "PostgreSQL", database_url, count, 10.0),
        "P3": _singles,
        "P4": _batches,
        "P5": lambda: _latency("SQLite (synchronous=FULL)", None),
        "P6": _slow_target,
        "P7": _hanging_target,
        "P8": _api_call,
        "P9": _uploads,
        "P10": _idle,
        "P11": lambda: _two_workers(database_url or ""),
        "P12": lambda: _claims(
            "SQLite" if database_url is None else "PostgreSQL", database_url, kept
        ),
    }
    figures = []
    for name in _chosen(only, list(known), database_url):
        say(f"measuring {name} …")
        for figure in known[name]():
            figures.append(figure)
            if not is_json(output):
                typer.echo(_line(figure))
    if is_json(output):
        show_json([{**asdict(figure), "is_kept": figure.is_kept} for figure in figures])
    if check and not all(figure.is_kept for figure in figures):
        raise typer.Exit(1)


def _chosen(only: str | None, known: list[str], database_url: str | None) -> list[str]:
    if only is None:
        left_out = _LONG if database_url is not None else _LONG | _ON_POSTGRESQL
        if database_url is None:
            say(
                f"{' and '.join(sorted(_ON_POSTGRESQL))} are left out: they need --database-url."
            )
        return [name for name in known if name not in left_out]
    chosen = [name.strip().upper() for name in only.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        raise typer.BadParameter(f"Expected some of {', '.join(known)}.", param_hint="'--only'")
    for name in chosen:
        if name in _ON_POSTGRESQL and database_url is None:
            raise typer.BadParameter(
                f"{name} needs a PostgreSQL server.", param_hint="'--database-url'"
            )
    return chosen


def _line(figure: Figure) -> str:
    sign = "≥" if figure.is_more_better else "≤"
    mark = "ok  " if figure.is_kept else "MISS"
    value = f"{figure.value:.2f} {figure.unit}"
    return f"{mark} {figure.name:3} {value:28} (must {sign} {figure.must:g})  {figure.about}"
