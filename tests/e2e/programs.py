"""dockbell as a process of its own, as its users run it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dockbell import bootstrap
from dockbell.cli import exporting
from dockbell.domain.inventories import Document
from dockbell.settings import Settings

ROOT = Path(__file__).parents[2]
LIMIT = 55.0  # seconds; a test itself has 60


def environment_of(**more: str) -> dict[str, str]:
    """This process's environment without settings of dockbell and of Python's own output, plus these."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DOCKBELL_") and name != "PYTHONUNBUFFERED"
    }
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", **more}


def run(folder: Path, *words: str, given: str = "", **environment: str) -> tuple[int, str, str]:
    """Run a command to its end in that folder: exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "dockbell", *words],
        cwd=folder, env=environment_of(**environment), input=given,
        capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@dataclass(slots=True)
class Program:
    """A running `serve` or `worker`."""

    process: subprocess.Popen[bytes]
    log: Path
    address: str = ""

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first place of the output that matches, once it is there."""
        until = time.monotonic() + LIMIT
        while (found := re.search(pattern, self.said)) is None:
            if self.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"never said {pattern!r}, but:\n{self.said}")
            time.sleep(0.01)
        return found

    def wait_until_ready(self) -> None:
        """Until it answers, for a program that cannot say so."""
        until = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(OSError):
                if self.call("GET", "/readyz")[0] == HTTPStatus.OK:
                    return
            assert self.process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)

    def call(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """One request; its status and JSON answer."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=LIMIT)
        with contextlib.closing(connection):
            content = None if body is None else json.dumps(body)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(
                verb, path, content, {"Content-Type": "application/json", **sent}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code."""
        self.send(number)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def running(
    folder: Path, *words: str, log: Path | None = None, **environment: str
) -> Iterator[Program]:
    """Start `dockbell` with these words; killed at the end if it still runs."""
    log = log or folder / f"log-{time.monotonic_ns()}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dockbell", *words],
            cwd=folder, env=environment_of(**environment), stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield Program(process, log)
    finally:
        process.kill()
        process.wait(LIMIT)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def serving(folder: Path, *words: str, **environment: str) -> Iterator[Program]:
    """A server on a free port, ready to be called; its data is in that folder unless `words` say otherwise."""
    with running(folder, "serve", "--port", "0", *words, **environment) as program:
        program.address = program.wait_for(r"(?:ready at |\"address\": \")(http://[\w.:]+)")[1]
        yield program


def processor_seconds_of(program: Program) -> float:
    """What all its threads have used so far."""
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def unheard(folder: Path, **environment: str) -> Iterator[Program]:
    """A server, ready to be called, none of whose lines can be written: the disk of its log is full."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    full = Path("/dev/full")
    with running(folder, "serve", "--port", port, log=full, **environment) as program:
        program.address = f"http://127.0.0.1:{port}"
        program.wait_until_ready()
        yield program


# What follows is done in this process, where what a command does is not what a test is about: a process of its own
# takes two seconds of the processor before it begins.


def _settings_in(folder: Path, environment: Mapping[str, str]) -> Settings:
    here = {"DOCKBELL_DATA": str(folder / "dockbell-data"), **environment}
    return Settings.load(environment=here, folder=folder)


async def prepare(folder: Path, **settings: str) -> None:
    """What `dockbell db migrate` does in that folder."""
    application = bootstrap.build(_settings_in(folder, settings))
    try:
        await application.prepare()
    finally:
        await application.close()


async def held_in(folder: Path, *namespaces: str, **settings: str) -> dict[str, Any]:
    """What `dockbell export --with-secrets` prints there."""
    document: dict[str, Any] = {"format": 1, "users": [], "namespaces": [], "repositories": []}
    lists = {"user": "users", "namespace": "namespaces", "repository": "repositories"}

    def take(kind: str, record: Document) -> None:
        document[lists[kind]].append(record)

    await exporting.each(_settings_in(folder, settings), namespaces, take, with_secrets=True)
    read: dict[str, Any] = json.loads(json.dumps(document))
    return read
