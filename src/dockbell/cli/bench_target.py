"""What the benchmarks send to, and what they are compared with: nginx and wrk, or parts of our own."""

import asyncio
import contextlib
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

from dockbell.cli.own_server import free_port
from dockbell.domain.errors import SetupError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.net.connections import Connection

BODY = b"x" * 1024
_START_SECONDS = 10.0
_IN_FLIGHT = 64
_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_buffer_size 64k; keepalive_requests 1000000000; keepalive_timeout 3600;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 204; }} }}
}}
"""
_WRK = 'wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\nwrk.headers["Content-Type"] = "application/json"\n'


@contextlib.contextmanager
def on_processor(number: int) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, on one processor, if there are two."""
    before = os.sched_getaffinity(0)
    if len(before) > 1:
        os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver in a process of its own that answers 2xx at once."""

    url: str
    about: str


@contextlib.contextmanager
def receiving(
    *, tells_time: bool = False, processor: int | None = None, pause: float = 0.0
) -> Iterator[Target]:
    """A receiver on that processor, until the block ends: nginx if it is installed, else a small one of our own.

    With a `pause` it is ours too, and answers only after so many seconds; never, if they are infinite.

    With `tells_time` it is ours, and the body of each answer is the moment at which the request's first byte
    came, in nanoseconds of the machine's monotonic clock, which all processes share.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder:
        nginx = (
            None
            if tells_time or pause
            else shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
        )
        if nginx is not None:
            config = Path(folder) / "nginx.conf"
            config.write_text(_NGINX.format(folder=folder, port=port))
            command, about = [nginx, "-c", str(config), "-p", folder], "nginx, `return 204`"
        else:
            command = [sys.executable, "-m", "dockbell.cli.bench_target", str(port), str(pause)]
            about = "our own receiver (install nginx for figures that can be compared)"
        with contextlib.nullcontext() if processor is None else on_processor(processor):
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 -- arguments made here
        try:
            await_port(port, process, "The benchmark's receiver")
            yield Target(f"http://127.0.0.1:{port}", about)
        finally:
            process.terminate()
            process.wait(timeout=_START_SECONDS)


def await_port(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    """Return when the process listens there; raise SetupError if it ends or takes too long."""
    ends_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends_at and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise SetupError(f"{name} did not start.")


@dataclass(frozen=True, slots=True)
class Reference:
    """How many plain POSTs a second reach the target, and by which program."""

    rate: float
    about: str


def reference(target: Target, seconds: float) -> Reference:
    """POST 1 KiB over and over, 64 at a time: wrk with one thread if it is installed, else our own connections."""
    return post(target.url, seconds, script=_WRK, bodies=repeat(BODY))


def post(  # noqa: PLR0913 -- what is sent, and how
    url: str,
    seconds: float,
    *,
    bodies: Iterator[bytes],
    script: str | None = None,
    headers: Sequence[str] = ("Content-Type: application/json",),
    in_flight: int = _IN_FLIGHT,
) -> Reference:
    """POST as fast as it goes: by wrk with this script if both are there, else these bodies by connections of our own.

    Raise SetupError if anything is answered with another status than 2xx.
    """
    wrk = shutil.which("wrk")
    if wrk is not None and script is not None:
        return Reference(
            _post_with_wrk(wrk, url, seconds, script), "wrk, 1 thread, 64 connections"
        )
    rate = uvloop.run(_post_bare(url, seconds, bodies, headers, in_flight))
    advice = "" if script is None else " (install wrk for figures that can be compared)"
    return Reference(rate, f"our own connections{advice}")


def _post_with_wrk(wrk: str, url: str, seconds: float, text: str) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(text)
        script.flush()
        arguments = [
            "-t1",
            f"-c{_IN_FLIGHT}",
            f"-d{max(1, round(seconds))}",
            "-s",
            script.name,
            url,
        ]
        done = subprocess.run([wrk, *arguments], capture_output=True, text=True, check=True)  # noqa: S603 -- made here
    if "Non-2xx" in done.stdout:
        raise SetupError(f"Not everything that the benchmark sent was taken: {done.stdout}")
    for line in done.stdout.splitlines():
        if line.startswith("Requests/sec:"):
            return float(line.split()[1])
    raise SetupError(f"wrk said nothing of use: {done.stdout}")


async def _post_bare(
    url: str, seconds: float, bodies: Iterator[bytes], headers: Sequence[str], in_flight: int
) -> float:
    """The same with our own connections, and nothing around them."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", *headers]
    start = "\r\n".join(lines)
    done, began = 0, time.perf_counter()

    async def connect() -> Connection:
        _, connection = await loop.create_connection(
            lambda: Connection(parts.netloc, lambda _: None),
            parts.hostname or "",
            parts.port or 80,
        )
        return connection

    async def post_on_one() -> None:
        nonlocal done
        connection = await connect()
        while time.perf_counter() - began < seconds:
            body = next(bodies)
            waiter = loop.create_future()
            head = f"{start}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.begin(head, body, waiter.set_result)
            await waiter
            status = connection.answer.status
            if not 200 <= status < 300:  # noqa: PLR2004 -- HTTP's class of success
                raise SetupError(f"The benchmark's receiver answered {status or 'nothing'}.")
            done += 1
            if not connection.answer.lasts:  # it was long, and its end would be the next answer
                connection.abort()
                connection = await connect()
        connection.abort()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(post_on_one())
    except* (OSError, SetupError) as failed:
        raise SetupError(str(failed.exceptions[0])) from failed
    return done / (time.perf_counter() - began)


class _Receiver(asyncio.Protocol):
    """Just enough HTTP to take in POSTs with a Content-Length, one after the other on a connection."""

    def __init__(self, pause: float) -> None:
        self._pause = pause

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._data = b""
        self._began = 0

    def data_received(self, data: bytes) -> None:
        if not self._data:
            self._began = time.monotonic_ns()
        self._data += data
        while (length := self._complete()) is not None:
            self._data = self._data[length:]
            body = b"%d" % self._began
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            if not self._pause:
                self._transport.write(answer)
            elif self._pause < math.inf:
                loop = asyncio.get_running_loop()
                loop.call_later(self._pause, self._transport.write, answer)
            self._began = time.monotonic_ns()

    def _complete(self) -> int | None:
        """The length of the first request, if all of it has come."""
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = end + 4
        for line in self._data[:end].split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length += int(value)
        return length if len(self._data) >= length else None


async def _receive(port: int, pause: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Receiver(pause), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_receive(int(sys.argv[1]), float(sys.argv[2])))
