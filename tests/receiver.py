"""A local HTTP server that does as it is told and records what came: well-behaved, slow, broken or hostile."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Headers = Sequence[tuple[str, str]]
Drop = Literal["close", "reset", "stall"]
Part = Literal["head", "body"]
Body = bytes | Callable[[], Iterator[bytes]]

_NO_BODY = {204, 304}


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it stood on the wire."""

    verb: str
    path: str  # with the query
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: float  # time.monotonic(), when the last byte was in
    connection: int  # the how-manieth connection it came on, from 1

    def header(self, name: str) -> str | None:
        """The first value of that name, whatever its case."""
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gets. Fields as in `Receiver.answer`."""

    status: int = 200
    headers: Headers = ()
    body: Body = b""
    wait: float | asyncio.Event = 0.0
    drop: Drop | None = None
    cut: int | None = None
    raw: bytes | None = None
    drip: Part | None = None
    pace: float = 0.01


class Receiver:
    """`async with Receiver() as receiver:` listens on a free port of `host` until the block ends.

    `at_accept` ends ("close", "reset") or ignores ("stall") each connection before a byte of it is read.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        at_accept: Drop | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self.requests: list[Received] = []
        self.answered: list[
            tuple[Received, Answer]
        ] = []  # those whose whole answer was written
        self.connections = 0
        self.at_accept = at_accept
        self._tls = tls
        self._default = Answer()
        self._queue: deque[Answer] = deque()
        self._choose: Callable[[Received], Answer] | None = None
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, ssl=self._tls, limit=1 << 20, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """An address of this server; `host` gives another name for it, such as "localhost"."""
        scheme = "http" if self._tls is None else "https"
        shown = host if host is not None else self.host
        if ":" in shown:
            shown = f"[{shown}]"
        return f"{scheme}://{shown}:{self.port}{path}"

    def answer(
        self,
        *,
        status: int = 200,
        headers: Headers = (),
        body: Body = b"",
        wait: float | asyncio.Event = 0.0,
        drop: Drop | None = None,
        cut: int | None = None,
        raw: bytes | None = None,
        drip: Part | None = None,
        pace: float = 0.01,
        times: int | None = None,
    ) -> None:
        """Say what requests get from now on; with `times`, only the next so many, after those queued before.

        body: bytes, or a function that makes an iterator of pieces, for bodies that are large or never end
        (a Content-Length is sent for bytes only, unless `headers` has one or says how else it ends).
        wait: seconds, or an event to wait for, before the first byte. drop: "close", "reset" or "stall"
        (never answer) instead of an answer; with `cut`, after so many bytes of it. raw: these very bytes
        instead of status, headers and body. drip: from the "head" or the "body" on, one byte each `pace`
        seconds.
        """
        made = Answer(status, headers, body, wait, drop, cut, raw, drip, pace)
        if times is None:
            self._default = made
        else:
            self._queue.extend([made] * times)

    def answer_by(self, choose: Callable[[Received], Answer]) -> None:
        """Let a function choose the answer to each request that finds the queue empty."""
        self._choose = choose

    async def wait_for(self, count: int, within: float = 5.0) -> list[Received]:
        """The requests so far, as soon as there are `count`; AssertionError if there are fewer in time."""
        try:
            async with self._came, asyncio.timeout(within):
                await self._came.wait_for(lambda: len(self.requests) >= count)
        except TimeoutError:
            raise AssertionError(
                f"{len(self.requests)} requests came within {within} s, not {count}."
            ) from None
        return self.requests

    async def wait_for_answers(self, count: int, within: float = 5.0) -> None:
        """Return as soon as so many whole answers were written."""
        async with asyncio.timeout(within):
            while len(self.answered) < count:
                await asyncio.sleep(0.01)

    async def wait_for_silence(self, within: float = 5.0) -> None:
        """Return as soon as no connection is open; AssertionError if one still is in time."""
        try:
            async with asyncio.timeout(within):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            raise AssertionError(f"{len(self._writers)} connections are still open.") from None

    def say(self, data: bytes) -> None:
        """Send bytes on every open connection out of turn."""
        for writer in self._writers:
            writer.write(data)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.create_task(self._serve(reader, writer, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        try:
            if self.at_accept is not None:
                await self._end(writer, self.at_accept)
                return
            while (received := await _read(reader, connection)) is not None:
                answer = self._next(received)
                async with self._came:
                    self.requests.append(received)
                    self._came.notify_all()
                if not await self._answer(writer, received, answer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError, ssl.SSLError):
            pass  # the other side left: what it sent so far is recorded
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _next(self, received: Received) -> Answer:
        if self._queue:
            return self._queue.popleft()
        return self._default if self._choose is None else self._choose(received)

    async def _answer(
        self, writer: asyncio.StreamWriter, received: Received, answer: Answer
    ) -> bool:
        """Send it; return whether the connection stays open."""
        if isinstance(answer.wait, asyncio.Event):
            await answer.wait.wait()
        elif answer.wait:
            await asyncio.sleep(answer.wait)
        if answer.drop is not None and answer.cut is None:
            await self._end(writer, answer.drop)
            return False
        left = answer.cut
        for piece in _pieces(answer):
            writer.write(piece if left is None else piece[:left])
            await writer.drain()
            if left is not None and (left := left - len(piece)) <= 0:
                break
            if answer.drip is not None and len(piece) == 1:
                await asyncio.sleep(answer.pace)
        if answer.drop is not None:
            await self._end(writer, answer.drop)
            return False
        self.answered.append((received, answer))
        wants_close = (received.header("connection") or "").lower() == "close"
        ends_by_close = not isinstance(answer.body, bytes) and answer.raw is None
        says_close = ("connection", "close") in {
            (key.lower(), value.lower()) for key, value in answer.headers
        }
        if wants_close or ends_by_close or says_close:
            await self._end(writer, "close")
            return False
        return True

    async def _end(self, writer: asyncio.StreamWriter, drop: Drop) -> None:
        if drop == "stall":
            await asyncio.Event().wait()
        if drop == "reset":
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, connection: int) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    verb, path, _ = first.split(" ", 2)
    headers = tuple(
        (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
    )
    values = {name.lower(): value for name, value in headers}
    if values.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(values.get("content-length", "0")))
    return Received(verb, path, headers, body, time.monotonic(), connection)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _pieces(answer: Answer) -> Iterator[bytes]:
    if answer.raw is not None:
        yield from _bytewise(answer.raw) if answer.drip == "head" else (answer.raw,)
        return
    body: Iterable[bytes]
    headers = list(answer.headers)
    names = {name.lower() for name, _ in headers}
    if isinstance(answer.body, bytes):
        body = (answer.body,) if answer.body else ()
        framed = names & {"content-length", "transfer-encoding"} or answer.status in _NO_BODY
        if not framed:
            headers.append(("Content-Length", str(len(answer.body))))
    else:
        body = answer.body()
    lines = [f"HTTP/1.1 {answer.status} Told", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    if answer.drip == "head":
        yield from _bytewise(head)
    elif answer.drip is None and isinstance(answer.body, bytes):
        yield head + answer.body
        return
    else:
        yield head
    for piece in body:
        yield from (_bytewise(piece) if answer.drip is not None else (piece,))


def _bytewise(data: bytes) -> Iterator[bytes]:
    return (data[index : index + 1] for index in range(len(data)))


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed server certificate; `ca_file` is the file that a client which trusts it reads."""

    context: ssl.SSLContext
    ca_file: Path
    pem: str = ""
    key: str = ""


def certificate(
    folder: Path,
    names: Sequence[str] = ("localhost", "127.0.0.1"),
    *,
    valid: timedelta = timedelta(days=1),
    issued: bool = False,
    since: timedelta = timedelta(days=-1),
) -> Certificate:
    """A certificate for these names and addresses; a negative `valid` makes one that has run out.

    It signs itself, or is `issued` by an authority that nobody can find.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dockbell test receiver")])
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dockbell test authority")])
    until = datetime.now(UTC) + valid
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority if issued else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(until, datetime.now(UTC)) + since)
        .not_valid_after(until)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()) if issued else key, hashes.SHA256())
    )
    ca_file, key_file = folder / "certificate.pem", folder / "key.pem"
    ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    return Certificate(context, ca_file, ca_file.read_text(), key_file.read_text())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
