"""Connections of clients: heads end in bytes, lines and time. A real uvicorn on loopback."""

import asyncio
import contextlib
import hashlib
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from dockbell.web import connections, whole_answers
from dockbell.web.connections import MOST_HEAD_BYTES, MOST_HEADERS, BoundedProtocol
from dockbell.web.whole_answers import Tell, WholeAnswer


async def _hash(scope: Any, receive: Any, send: Any) -> None:
    running, more = hashlib.sha256(), True
    while more:
        message = await receive()
        assert type(message["body"]) is bytes
        running.update(message["body"])
        more = message["more_body"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"64")]}
    )
    await send({"type": "http.response.body", "body": running.hexdigest().encode()})


async def _application(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": str(len(body)).zfill(2).encode()})


_LATE = {"/slow", "/second"}  # another request has come behind them before they are answered


async def _answer_whole(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path, in one piece where no other request has come behind it; `/slow` takes its time."""
    await receive()
    if scope["path"] == "/slow":
        await asyncio.sleep(0.05)
    whole = WholeAnswer(202, b"x-own: 1\r\n", scope["path"].encode())
    sent = []

    async def send_out(message: Any) -> None:
        sent.append(message)
        await send(message)

    await whole_answers.send(scope, send_out, whole)
    assert len(sent) == (2 if scope["path"] in _LATE else 0)


@contextlib.asynccontextmanager
async def _serving(application: Any = _application, **settings: Any) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            application,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            **settings,
        )
        server = uvicorn.Server(config)
        server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await task


async def _say(port: int, *parts: bytes) -> bytes:
    """Send the parts one after another; return all that comes until the server closes or nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(reader.read(), 5)
        return b""
    finally:
        writer.close()


def _status(answer: bytes) -> str:
    return answer.split(b"\r\n", 1)[0].decode()


async def test_an_ordinary_request_is_answered() -> None:
    async with _serving() as port:
        answer = await _say(
            port,
            b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc",
        )

    assert (_status(answer), answer[-2:]) == ("HTTP/1.1 200 OK", b"03")


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000, 3_000_000])
@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_body_comes_as_it_was_sent(size: int, *, is_chunked: bool) -> None:
    content = random.Random(size).randbytes(min(3_000_000, size * 5000))
    pieces = [content[first : first + size] for first in range(0, len(content), size)]
    length = b"content-length: %d" % len(content)
    if is_chunked:
        pieces = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]
        length = b"transfer-encoding: chunked"

    async with _serving(_hash) as port:
        head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n%b\r\n\r\n" % length
        apart = await _say(port, head, *pieces)
        joined = await _say(port, head + b"".join(pieces))

    expected = hashlib.sha256(content).hexdigest().encode()
    assert (apart[-64:], joined[-64:]) == (expected, expected)


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers without a look at the body: `/whole` in one piece, all else in two."""
    answer = WholeAnswer(401, b"", b"who are you?")
    await whole_answers.send(scope if scope["path"] == "/whole" else {}, send, answer)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0\r\n", b"HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"]
)
@pytest.mark.parametrize("path", [b"whole", b"parts"])
async def test_an_answer_that_comes_before_the_body_has_ended_is_not_lost(
    head: bytes, path: bytes
) -> None:
    size = 8 << 20
    head = b"PUT /%b %bcontent-length: %d\r\n\r\n" % (path, head, size)

    async with _serving(_refuse) as port:
        # As a proxy does it: all of it is sent before the answer is looked at.
        answer = await _say(port, head, *[bytes(1 << 20)] * 8)

    assert (_status(answer), answer[-12:]) == ("HTTP/1.1 401 Unauthorized", b"who are you?")


async def test_nobody_waits_for_long_for_the_rest_of_a_body(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.05)

    async with _serving(_refuse) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT / HTTP/1.0\r\ncontent-length: 9\r\n\r\nhalf")
        answer = await reader.read()
        while not reader.exception():  # what is sent now is refused, once the server has closed
            writer.write(b"-")
            await asyncio.sleep(0.01)
        writer.close()

    assert _status(answer) == "HTTP/1.1 401 Unauthorized"


async def test_a_body_ends_where_the_next_request_begins() -> None:
    content = random.Random(1).randbytes(300_000)
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(content)

    async with _serving(_hash) as port:
        answers = await _say(
            port, head + b"\r\n" + content + head + b"connection: close\r\n\r\n" + content
        )

    assert answers.count(hashlib.sha256(content).hexdigest().encode()) == 2


async def test_a_whole_answer_reads_as_one_in_two_parts_does() -> None:
    head = b"POST /%b HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n%b\r\n"

    async with _serving(_answer_whole) as port:
        ended, old = await asyncio.gather(
            _say(port, head % (b"one", b"connection: close\r\n")),
            _say(port, b"POST /one HTTP/1.0\r\nhost: x\r\ncontent-length: 0\r\n\r\n"),
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        kept = []
        for path in (b"one", b"two"):
            writer.write(head % (path, b""))
            kept.append(await asyncio.wait_for(reader.readuntil(b"/" + path), 5))
        writer.close()

    start = ["HTTP/1.1 202 Accepted", "date", "server", "x-own: 1"]
    assert [_lines(one) for one in kept] == [
        [*start, "content-length: 4", "", "/one"],
        [*start, "content-length: 4", "", "/two"],
    ]
    expected = [*start, "connection: close", "content-length: 4", "", "/one"]
    assert _lines(ended) == _lines(old) == expected


async def test_whole_answers_keep_the_order_of_their_requests() -> None:
    """One that is not the connection's next goes the long way, which has a queue."""
    head = b"POST /%b HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n%b\r\n"

    async with _serving(_answer_whole) as port:
        answers = await _say(
            port,
            head % (b"slow", b"")
            + head % (b"second", b"")
            + head % (b"third", b"connection: close\r\n"),
        )

    assert [_lines(one)[-1] for one in answers.split(b"HTTP/1.1 ")[1:]] == [
        "/slow",
        "/second",
        "/third",
    ]


def _lines(answer: bytes) -> list[str]:
    """The lines of an answer, those of the server's own headers without their values."""
    lines = answer.decode().split("\r\n")
    return [
        line.split(":")[0] if line.startswith(("date:", "server:")) else line for line in lines
    ]


async def test_a_head_that_never_ends_is_refused() -> None:
    async with _serving() as port:
        lines = [b"x-a: " + b"a" * 1000 + b"\r\n"] * (MOST_HEAD_BYTES // 500)
        answer = await _say(port, b"GET / HTTP/1.1\r\nhost: x\r\n", *lines)

    assert _status(answer) in {"HTTP/1.1 431 Request Header Fields Too Large", ""}


@pytest.mark.parametrize(
    "headers",
    [b"x: y\r\n" * (MOST_HEADERS + 1), b"x: " + b"y" * (MOST_HEAD_BYTES + 1) + b"\r\n"],
)
async def test_a_head_that_is_too_large_is_refused_at_its_end(headers: bytes) -> None:
    async with _serving() as port:
        answer = await _say(port, b"GET / HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n")

    assert _status(answer) == "HTTP/1.1 431 Request Header Fields Too Large"
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}" in head.decode()


async def test_trailers_do_not_pile_up() -> None:
    async with _serving() as port:
        start = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        lines = [b"x-a: " + b"a" * 1000 + b"\r\n"] * (MOST_HEAD_BYTES // 500)
        answer = await _say(port, start, *lines)

    assert answer == b""


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nhost:"])
async def test_a_connection_that_says_too_little_is_closed(
    start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.1)

    async with _serving() as port:
        answer = await _say(port, start)

    assert answer == b""


@pytest.mark.parametrize(("first", "rest"), [(b"bod", b"\r\n"), (b"", b"b"), (b"b", b"od")])
async def test_what_is_no_request_keeps_no_connection_open(
    first: bytes, rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE_SECONDS", 0.05)
    head = b"PUT /whole HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"

    async with _serving(_refuse, timeout_keep_alive=0.05) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + first)
        await _next_body(reader)
        writer.write(rest)
        after = await asyncio.wait_for(reader.read(), 3)
        writer.close()

    assert after == b""


async def test_blank_lines_take_no_time_from_the_requests_behind_them() -> None:
    found = []

    async with _serving(_Echo(), timeout_keep_alive=0.15) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for line in (b"", b"\r\n", b"", b"", b""):
            writer.write(line)
            await asyncio.sleep(0.06)
            writer.write(_post(b"one"))
            found.append(await _next_body(reader))
        rest = await asyncio.wait_for(reader.read(), 3)
        writer.close()

    assert (found, rest) == ([b"one", *[b"ONE"] * 4], b"")


class _Echo:
    """Answers with the body: in capitals where the request was taken because its head is like the last one's."""

    def __init__(self) -> None:
        self.held: list[tuple[Tell, WholeAnswer]] = []
        self.holds = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await whole_answers.send(scope, send, WholeAnswer(202, b"", body, self.follow))

    def follow(self, body: bytes, tell: Tell) -> bool:
        if body == b"no":
            return False
        self.held.append((tell, WholeAnswer(202, b"", body.upper())))
        if not self.holds:
            self.release()
        return True

    def release(self) -> None:
        held, self.held = self.held, []
        for tell, answer in held:
            tell(answer)


def _post(body: bytes, line: bytes = b"Host: x") -> bytes:
    return b"POST /e HTTP/1.1\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (line, len(body), body)


async def _bodies(port: int, *parts: bytes, count: int) -> list[bytes]:
    """Send each part when all before it were answered; return the bodies of so many answers, one for each part or more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = []
    for place in range(count):
        for part in parts[place:] if place == len(parts) - 1 else parts[place : place + 1]:
            writer.write(part)
        found.append(await _next_body(reader))
    writer.close()
    return found


async def _next_body(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return await reader.readexactly(int(head.rpartition(b"content-length: ")[2]))


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_a_request_with_the_head_of_the_last_one_is_taken_past_the_parser() -> None:
    async with _serving(_Echo()) as port:
        parts = [_post(b"one"), _post(b"second"), _post(b"no"), _post(b""), _post(b"c" * 5000)]
        found = await _bodies(port, *parts, count=5)

    assert found == [b"one", b"SECOND", b"no", b"", b"C" * 5000]


@pytest.mark.parametrize(
    "line",
    [
        b"Host: y",
        b"Host: x\r\nExpect: 100-wait",
        b"host: x",
        b"Host: x\r\nX-Content-Length: 3",
        b"Host: x\r\nConnection: close",
    ],
)
async def test_a_request_with_another_head_is_the_parsers(line: bytes) -> None:
    async with _serving(_Echo()) as port:
        found = await _bodies(port, _post(b"one"), _post(b"two", line), count=2)

    assert found == [b"one", b"two"]


@pytest.mark.parametrize(
    "request_",
    [
        _post(b"one", b"Host: x\r\nUpgrade: tls"),
        b"POST /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n",
        b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length:  3\r\n\r\none",
        b"POST /e HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 9000 + b"\r\nContent-Length: 3\r\n\r\none",
        b"PUT" + _post(b"one")[4:],
    ],
)  # fmt: skip
async def test_not_every_head_is_compared_with_the_next(request_: bytes) -> None:
    async with _serving(_Echo()) as port:
        found = await _bodies(port, request_, request_, count=2)

    assert found == [b"one", b"one"]


@pytest.mark.parametrize("at", [1, 30, 45, 49, 50, -1])
async def test_a_request_in_pieces_is_the_parsers(at: int) -> None:
    whole = _post(b"one, two and three")

    async with _serving(_Echo()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole)
        found = [await _next_body(reader)]
        writer.write(whole[:at])
        await asyncio.sleep(0.01)
        writer.write(whole[at:])
        found.append(await _next_body(reader))
        writer.write(whole)
        found.append(await _next_body(reader))
        writer.close()

    assert found == [b"one, two and three", b"one, two and three", b"ONE, TWO AND THREE"]


async def test_requests_behind_each_other_are_answered_in_their_order() -> None:
    echo = _Echo()
    echo.holds = True

    async with _serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_post(b"one") + _post(b"two"))
        found = [await _next_body(reader) for _ in range(2)]
        writer.write(_post(b"three"))
        found += [await _next_body(reader)]
        writer.write(_post(b"four"))
        await _until(lambda: echo.held)
        writer.write(_post(b"five"))
        await asyncio.sleep(0.01)
        writer.write(_post(b"six") + _post(b"seven")[:-2])
        echo.release()
        found += [await _next_body(reader)]
        await _until(lambda: echo.held)
        echo.release()
        found += [await _next_body(reader), await _next_body(reader)]
        writer.write(b"en" + _post(b"eight"))
        found += [await _next_body(reader), await _next_body(reader)]
        writer.close()

    assert found == [b"one", b"two", b"three", b"FOUR", b"FIVE", b"six", b"seven", b"eight"]


async def test_a_server_that_stops_answers_what_it_has_taken() -> None:
    echo = _Echo()
    echo.holds = True

    async with _serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_post(b"one"))
        await _next_body(reader)
        writer.write(_post(b"two"))
        await _until(lambda: echo.held)
        loop = asyncio.get_running_loop()
        loop.call_later(
            0.3, echo.release
        )  # the server looks ten times a second whether it is to end
    rest = await reader.read()
    writer.close()

    assert _lines(rest)[-4:] == ["connection: close", "content-length: 3", "", "TWO"]


async def test_whoever_is_gone_is_not_answered() -> None:
    echo = _Echo()
    echo.holds = True

    async with _serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_post(b"one"))
        await _next_body(reader)
        writer.write(_post(b"two"))
        await _until(lambda: echo.held)
        writer.transport.abort()
        await asyncio.sleep(0.01)
        echo.release()

        assert await _bodies(port, _post(b"three"), count=1) == [b"three"]


async def test_a_request_that_has_no_answer_ends_its_connection() -> None:
    echo = _Echo()
    echo.holds = True

    async with _serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_post(b"one"))
        await _next_body(reader)
        writer.write(_post(b"two"))
        await _until(lambda: echo.held)
        echo.held[0][0](None)
        rest = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert rest == b""


async def test_a_connection_rests_only_so_long_after_the_last_request() -> None:
    echo = _Echo()

    async with _serving(echo, timeout_keep_alive=0.2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_post(b"one"))
        await _next_body(reader)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(0.15)
        writer.write(_post(b"two"))
        await _next_body(reader)
        rest = await asyncio.wait_for(reader.read(), 5)
        took = asyncio.get_running_loop().time() - began
        writer.close()

    assert (rest, took > 0.33) == (b"", True)


async def test_a_client_that_does_not_read_for_a_while_gets_every_answer_in_order() -> None:
    async with _serving(_Echo()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = [b"%04d" % number * 10_000 for number in range(200)]
        for body in sent:
            writer.write(_post(body))
            await asyncio.sleep(0)
        found = [await _next_body(reader) for _ in sent]
        writer.close()

    assert found == sent
