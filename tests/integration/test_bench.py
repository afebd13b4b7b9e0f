"""The parts that `dockbell bench` measures with."""

import http.client
import time

import pytest
from typer.testing import CliRunner

from dockbell.cli import bench, bench_engine
from dockbell.cli.bench import Figure
from dockbell.cli.bench_target import receiving, reference

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
def test_a_small_run_delivers_everything() -> None:
    done = bench_engine.measure_throughput(count=200)

    assert done.rate > 10
    assert done.percent == pytest.approx(100 * done.rate / done.reference_rate, rel=0.9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "P99"], "Expected some of P1, P2, P3, P4, P5, P8, P10."),
        (["--only", ","], "Expected some of P1, P2, P3, P4, P5, P8, P10."),
        (["--only", "P2"], "P2 needs a PostgreSQL server."),
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
