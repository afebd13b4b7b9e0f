"""The parts that `dockbell bench` measures with."""

import http.client
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dockbell.cli import bench, bench_blobs, bench_engine, bench_isolation, bench_scale
from dockbell.cli.bench import Figure
from dockbell.cli.bench_target import receiving, reference
from dockbell.domain.errors import SetupError

pytestmark = pytest.mark.usefixtures("own_logging")


def test_the_receiver_tells_when_a_request_came() -> None:
    told = []
    with receiving(tells_time=True) as target:
        connection = http.client.HTTPConnection(target.url.removeprefix("http://"), timeout=5)
        for _ in range(2):
            before = time.monotonic_ns()
            connection.request("POST", "/a", body=b"x" * 100_000)
            came = int(connection.getresponse().read())
            told.append(before <= came <= time.monotonic_ns())
        connection.close()

    assert told == [True, True]


def test_the_reference_counts_posts() -> None:
    with receiving() as target:
        counted = reference(target, 1.0)

    assert counted.rate > 100


@pytest.mark.slow
def test_a_small_run_delivers_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    # What it is compared with keeps both processors busy for this long in each round, and before the first.
    monkeypatch.setattr(bench_engine, "_ROUNDS", 1)
    monkeypatch.setattr(bench_engine, "_REFERENCE_SECONDS", 1.0)

    done = bench_engine.measure_throughput(count=200)

    assert done.rate > 10
    assert done.percent == pytest.approx(100 * done.rate / done.reference_rate, rel=0.9)


@pytest.mark.slow
def test_a_target_that_hangs_and_a_slow_one_are_measured() -> None:
    busy = bench_isolation.measure_slow_target(count=200, rounds=1)
    undisturbed = bench_isolation.measure_hanging_target(waiting=200, seconds=0.5)

    assert 0 < busy.rate <= busy.highest_rate
    assert undisturbed.waiting == 200
    assert undisturbed.counted % 100 == 0
    assert 0 < undisturbed.p50_milliseconds <= undisturbed.p99_milliseconds


@pytest.mark.slow
def test_workers_that_share_send_everything_once(postgresql_database: str) -> None:
    together = bench_scale.measure_two_workers(postgresql_database, count=500, rounds=1)

    assert min(together.one, together.two, together.log_bytes) > 0


@pytest.mark.slow
def test_a_lease_is_measured_beside_a_history() -> None:
    claims = bench_scale.measure_claims(kept=1000, claims=20)

    assert claims.ratio == pytest.approx(claims.full_milliseconds / claims.empty_milliseconds)


def test_uploads_are_measured_in_both_ways(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    done = bench_blobs.measure_uploads(size=300_000, rounds=1)

    assert min(done.own.lesser, done.limit) > 0
    assert done.percent == bench_blobs.Ways(
        100 * done.own.streamed / done.limit, 100 * done.own.at_once / done.limit
    )
    assert (done.peer, done.times) == (None, None)


def test_a_peer_that_does_not_start_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "docker-registry"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SetupError, match=r"^docker-registry did not start\.$"):
        bench_blobs.measure_uploads(size=1000, rounds=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--only", "P99"],
            "Expected some of P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12.",
        ),
        (
            ["--only", ","],
            "Expected some of P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12.",
        ),
        (["--only", "P2"], "P2 needs a PostgreSQL server."),
        (["--only", "P1,P11"], "P11 needs a PostgreSQL server."),
    ],
)
def test_bench_says_what_it_cannot_measure(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(bench.app, arguments)

    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_a_figure_knows_whether_it_is_kept() -> None:
    more = Figure("P1", "", 5.0, "%", 5.0, is_more_better=True, details={})
    less = Figure("P5", "", 25.1, "ms", 25.0, is_more_better=False, details={})

    assert (more.is_kept, less.is_kept) == (True, False)
