"""Benchmarks of the server as a whole: an API call (P8), and what it takes to stand by (P10)."""

import http.client
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from dockbell.cli.own_server import Client, serving
from dockbell.domain.late_dataclasses import dataclass

_NOTIFICATIONS = 100
_CALLS = 300
_WARM_CALLS = 30
_IDLE_SECONDS = 10.0
_SETTLE_SECONDS = 3.0
_STARTS = 3
_CPU_CLOCK = 2  # of a process that is named by its id, as clock_getcpuclockid(3) makes it


@dataclass(frozen=True, slots=True)
class ApiCall:
    """P8: listing a hundred notifications with a token, over HTTP with a kept connection."""

    p50_milliseconds: float
    p99_milliseconds: float


@dataclass(frozen=True, slots=True)
class Idle:
    """P10: a server with nothing to do."""

    resident_megabytes: float
    cpu_percent: float
    ready_seconds: float  # the median of several warm starts
    ready_cpu_seconds: float  # likewise


def measure_api_call(database_url: str | None = None) -> ApiCall:
    settings = {"DOCKBELL_USER_INITIALIZE": "true", "DOCKBELL_LOG_LEVEL": "warning"}
    if database_url is not None:
        settings["DOCKBELL_DATABASE_URL"] = database_url
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder,
        serving(Path(folder), settings) as own,
    ):
        token = furnish(own.base, notifications=_NOTIFICATIONS)
        times = _time_calls(own.base, token)
    ordered = sorted(times)
    return ApiCall(statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000)


def measure_idle() -> Idle:
    with tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder:
        starts, costs = [], []
        with serving(Path(folder), {}):
            pass  # the first start makes the database
        for _ in range(_STARTS):
            with serving(Path(folder), {}) as own:
                starts.append(own.ready_after)
                costs.append(cpu_seconds(own.pid))
        with serving(Path(folder), {}) as own:
            time.sleep(_SETTLE_SECONDS)
            before = cpu_seconds(own.pid)
            time.sleep(_IDLE_SECONDS)
            used = cpu_seconds(own.pid) - before
            resident = _resident_megabytes(own.pid)
    return Idle(
        resident,
        used / _IDLE_SECONDS * 100,
        statistics.median(starts),
        statistics.median(costs),
    )


def furnish(base: str, *, notifications: int) -> str:
    """Make the first user with a repository `bench/web` and so many notifications; return the user's token."""
    first = Client(base).call(
        "POST",
        "/api/v1/user/initialize",
        {
            "username": "bench",
            "password": "bench-bench",
            "email": "b@example.org",
            "access_token": True,
        },
    )
    client = Client(base, first.json()["access_token"])
    client.call(
        "POST",
        "/api/v1/repository",
        {"namespace": "bench", "repository": "web", "visibility": "private", "description": ""},
    )
    for number in range(notifications):
        client.call(
            "POST",
            "/api/v1/repository/bench/web/notification/",
            {
                "event": "repo_push",
                "method": "quay_notification",
                "config": {"target": {"kind": "user", "name": "bench"}},
                "eventConfig": {},
                "title": f"number {number}",
            },
        )
    return str(client.token)


def _time_calls(base: str, token: str) -> list[float]:
    address = urlsplit(base)
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    times = []
    for _ in range(_WARM_CALLS + _CALLS):
        began = time.perf_counter()
        connection.request(
            "GET",
            "/api/v1/repository/bench/web/notification/",
            headers={"Authorization": f"Bearer {token}"},
        )
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    return times[_WARM_CALLS:]


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in all its threads, to the nanosecond: /proc counts in hundredths."""
    return time.clock_gettime((~pid << 3) | _CPU_CLOCK)


def _resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0
