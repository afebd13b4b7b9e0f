"""Benchmark of taking in blobs (P9): how much of a large upload a second of the server's processor takes."""

import contextlib
import hashlib
import http.client
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from dockbell.cli import bench_server
from dockbell.cli.bench_target import await_port, on_processor
from dockbell.cli.own_image import digest_of, log_in
from dockbell.cli.own_server import StepError, free_port, serving
from dockbell.domain.late_dataclasses import dataclass

_BYTES = 200_000_000
_ROUNDS = 4
_BLOCK = 256 << 10
_PATIENCE_SECONDS = 60
_REPOSITORY = "bench/web"
_SETTINGS = {
    "DOCKBELL_USER_INITIALIZE": "true",
    "DOCKBELL_LOG_LEVEL": "warning",
    "DOCKBELL_ENGINE": "false",
}
_PEER = "docker-registry"
_PEER_CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{folder}"}}, cache: {{blobdescriptor: inmemory}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(frozen=True, slots=True)
class Ways:
    """A figure for each way in which clients upload a blob."""

    streamed: float  # POST, PATCH with all of it, PUT
    at_once: float  # POST, PUT with all of it

    @property
    def lesser(self) -> float:
        return min(self.streamed, self.at_once)


@dataclass(frozen=True, slots=True)
class Uploads:
    """P9: megabytes for each second of processor. Each ratio is the median of the rounds' own ones."""

    own: Ways
    limit: float  # writing, hashing and syncing the same bytes, with nothing around it
    percent: Ways  # of the limit
    peer: Ways | None  # None if Debian's docker-registry is not installed
    times: Ways | None  # as much as the peer


@dataclass(frozen=True, slots=True)
class _Round:
    limit: float
    own: Ways
    peer: Ways | None


@dataclass(frozen=True, slots=True)
class _Server:
    base: str
    pid: int
    data: Path
    token: str | None = None


class _Content:
    """A blob that is another one each time it is sent: what a server has already, it could take for less."""

    def __init__(self, size: int) -> None:
        self.all = bytearray(os.urandom(size))

    def renew(self) -> str:
        """Make it another one; return its digest."""
        self.all[:8] = os.urandom(8)
        return digest_of(self.all)


def measure_uploads(size: int = _BYTES, rounds: int = _ROUNDS) -> Uploads:
    """The servers and what they are compared with get the first processor, the client the second, if there are two.

    The first round is not counted: it pays for what is done once.
    """
    content = _Content(size)
    with (
        tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder,
        _own(Path(folder)) as own,
        _peer(Path(folder)) as peer,
    ):
        done = [_measure(Path(folder), own, peer, content) for _ in range(1 + rounds)][1:]
    pairs = [(one.own, one.peer) for one in done if one.peer is not None]
    return Uploads(
        own=_median([one.own for one in done]),
        limit=statistics.median(one.limit for one in done),
        percent=_median(
            [
                Ways(100 * one.own.streamed / one.limit, 100 * one.own.at_once / one.limit)
                for one in done
            ]
        ),
        peer=_median([theirs for _, theirs in pairs]) if pairs else None,
        times=_median(
            [
                Ways(ours.streamed / theirs.streamed, ours.at_once / theirs.at_once)
                for ours, theirs in pairs
            ]
        )
        if pairs
        else None,
    )


def _median(ways: list[Ways]) -> Ways:
    return Ways(
        statistics.median(one.streamed for one in ways),
        statistics.median(one.at_once for one in ways),
    )


@contextlib.contextmanager
def _own(folder: Path) -> Iterator[_Server]:
    with contextlib.ExitStack() as stack:
        with on_processor(0):
            own = stack.enter_context(serving(folder, _SETTINGS))
        bench_server.furnish(own.base, notifications=0)
        client = log_in(own.base, _REPOSITORY, ("bench", "bench-bench"))
        yield _Server(own.base, own.pid, folder / "data", client.token)


@contextlib.contextmanager
def _peer(folder: Path) -> Iterator[_Server | None]:
    """Debian's docker-registry with its data in that folder, if it is installed."""
    program = shutil.which(_PEER)
    if program is None:
        yield None
        return
    port = free_port()
    data = folder / "peer"
    data.mkdir()
    config = folder / "peer.yml"
    config.write_text(_PEER_CONFIG.format(folder=data, port=port))
    # Its settings can also come from the environment, where they would be somebody's own.
    settings = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
    with on_processor(0):
        process = subprocess.Popen(  # noqa: S603 -- arguments made here
            [program, "serve", str(config)],
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        await_port(port, process, _PEER)
        yield _Server(f"http://127.0.0.1:{port}", process.pid, data)
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_SECONDS)


def _measure(folder: Path, own: _Server, peer: _Server | None, content: _Content) -> _Round:
    """Each once, in turns: what else the machine does then hits all of them."""
    with on_processor(0):
        _touch_memory(folder / "warm", content)
        limit = _write(folder / "plain", content)
    with on_processor(1):
        streamed = _upload(own, content, is_streamed=True)
        theirs_streamed = peer and _upload(peer, content, is_streamed=True)
        at_once = _upload(own, content, is_streamed=False)
        theirs_at_once = peer and _upload(peer, content, is_streamed=False)
    theirs = (
        Ways(theirs_streamed, theirs_at_once) if theirs_streamed and theirs_at_once else None
    )
    return _Round(limit, Ways(streamed, at_once), theirs)


def _touch_memory(path: Path, content: _Content) -> None:
    """Use the memory that is going to hold the next file, and free it again.

    A virtual machine gives back memory that nobody used for seconds, and the first to use it again pays for that.
    """
    with path.open("wb", buffering=0) as file:
        file.write(content.all)
        file.write(content.all)
    path.unlink()


def _write(path: Path, content: _Content) -> float:
    """Megabytes for a second of processor if they are only written, hashed and synced."""
    before = time.process_time()
    view, running = memoryview(content.all), hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        for first in range(0, len(view), _BLOCK):
            block = view[first : first + _BLOCK]
            file.write(block)
            running.update(block)
        os.fsync(file.fileno())
    used = time.process_time() - before
    path.unlink()
    return len(view) / 1e6 / used


def _upload(server: _Server, content: _Content, *, is_streamed: bool) -> float:
    """The same for a server, from its first byte to its answer that it has the blob."""
    connection = http.client.HTTPConnection(
        urlsplit(server.base).netloc, timeout=_PATIENCE_SECONDS
    )
    digest = content.renew()
    _touch_memory(server.data / "warm", content)
    with contextlib.closing(connection):
        before = bench_server.cpu_seconds(server.pid)
        place = f"/v2/{_REPOSITORY}/blobs/uploads/"
        place = _ask(connection, server, "POST", place, b"", expect=202)
        if is_streamed:
            place = _ask(connection, server, "PATCH", place, content.all, expect=202)
        place += f"{'&' if '?' in place else '?'}{urlencode({'digest': digest})}"
        last = b"" if is_streamed else content.all
        _ask(connection, server, "PUT", place, last, expect=201)
        used = bench_server.cpu_seconds(server.pid) - before
    _remove_blobs(server.data, len(content.all))
    return len(content.all) / 1e6 / used


def _remove_blobs(folder: Path, size: int) -> None:
    """Make room on the disk: whose processor time that takes is nobody's."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size == size:
            path.unlink()


def _ask(  # noqa: PLR0913 -- a request and what is to come of it
    connection: http.client.HTTPConnection,
    server: _Server,
    verb: str,
    path: str,
    body: bytes | bytearray,
    *,
    expect: int,
) -> str:
    """Where the server says to go on; raise StepError if it answers something else than is expected."""
    headers = {"Content-Type": "application/octet-stream"}
    if server.token is not None:
        headers["Authorization"] = f"Bearer {server.token}"
    connection.request(verb, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != expect:
        raise StepError(
            f"{verb} {path} answered {answer.status}: {said[:300].decode(errors='replace')}"
        )
    location = urlsplit(answer.getheader("Location", ""))
    return f"{location.path}?{location.query}" if location.query else location.path
