"""A dockbell of one's own on loopback, for the demo and the benchmarks: a server process and a client for it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from dockbell.domain.errors import DockbellError
from dockbell.domain.late_dataclasses import dataclass

_START_SECONDS = 20.0
_WAIT_SECONDS = 15.0


class StepError(DockbellError):
    """A step did not go as it should."""


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Client:
    """A plain HTTP client for a server on loopback."""

    base: str
    token: str | None = None

    def call(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        expect: tuple[int, ...] = (200, 201, 202, 204),
    ) -> Answer:
        sent = dict(headers or {})
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        address = urlsplit(urljoin(self.base, path))
        connection = http.client.HTTPConnection(address.netloc, timeout=_WAIT_SECONDS)
        with contextlib.closing(connection):
            target = f"{address.path}?{address.query}" if address.query else address.path
            connection.request(verb, target, body=body, headers=sent)
            reply = connection.getresponse()
            answer = Answer(
                reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
            )
        if answer.status not in expect:
            raise StepError(
                f"{verb} {path} answered {answer.status}: {answer.body[:300].decode(errors='replace')}"
            )
        return answer


@dataclass(frozen=True, slots=True)
class Own:
    """A running server: its address, its process, and the seconds from its start until it was ready."""

    base: str
    pid: int
    ready_after: float


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, settings: Mapping[str, str]) -> Iterator["Own"]:
    """`dockbell serve` on a free port with its data in `folder`; ended when the block ends.

    `settings` are environment variables; those of the caller's own dockbell are left out.
    """
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    log = folder / "server.log"
    words = ["serve", "--port", str(port), "--data", str(folder / "data")]
    started = time.perf_counter()
    with log.open("wb") as output, running(words, folder, settings, output) as process:
        while True:
            with contextlib.suppress(OSError, StepError, http.client.HTTPException):
                Client(base).call("GET", "/readyz")
                break
            if process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                raise StepError(
                    f"The server did not start:\n{log.read_text(errors='replace')[-2000:]}"
                )
            time.sleep(0.02)
        yield Own(base, process.pid, time.perf_counter() - started)


@contextlib.contextmanager
def running(
    words: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    output: IO[bytes] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """`dockbell` with these words, in `folder`; ended when the block ends. It writes where we do unless told otherwise."""
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            # A start with compiled files at hand is what users have, whatever this shell was told.
            if not name.startswith(("DOCKBELL_", "PYTHONDONTWRITEBYTECODE"))
        },
        **settings,
    }
    process = subprocess.Popen(  # noqa: S603 -- our own program, with arguments made here
        [sys.executable, "-m", "dockbell", *words],
        stdout=output,
        stderr=output,
        env=environment,
        cwd=folder,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
