"""Connections of clients: how much and how long they may take before a request has even begun."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dockbell.web.whole_answers import ANSWER, WholeAnswer

MOST_HEAD_BYTES = 64 << 10
MOST_HEADERS = 100
PATIENCE_SECONDS = 60.0
LINGER_SECONDS = 5.0

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\ncontent-length: 72\r\nconnection: close\r\n\r\n"
    b'{"message": "At most 100 headers and 64 KiB of them are taken together"}'
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to request heads: in bytes, in lines, in trailers and in time.

    A connection that sends nothing, or half a head, is closed after a minute. A head that is too large is
    answered with 431. A client that is answered before it has sent all of its body gets that answer, also where the
    connection ends with it.
    """

    _is_in_head = True
    _head_bytes = 0
    _trailer_bytes = 0
    _received = 0  # bytes of the head at most: with the last piece that came
    _waits_since: float | None = None  # for a head, by the loop's clock
    _watch: asyncio.TimerHandle | None = None
    _lingers: asyncio.TimerHandle | None = None  # all is said; the rest of a body is on its way

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waits_since = None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._lingers is not None:
            self._lingers.cancel()
            self._lingers = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._is_in_head
        self._received = self._head_bytes + len(data)
        super().data_received(data)
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True
        self._head_bytes = self._trailer_bytes = 0
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_head:  # behind a chunked body; nobody here reads them
            self._trailer_bytes += len(name) + len(value)
            if self._trailer_bytes > MOST_HEAD_BYTES:
                self.transport.close()
            return
        # What uvicorn does, without a call more for each of so many.
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._waits_since = None
        self._is_in_head = False
        headers = self.headers
        if len(headers) > MOST_HEADERS or (
            self._received > MOST_HEAD_BYTES
            and sum([len(name) + len(value) for name, value in headers]) > MOST_HEAD_BYTES
        ):
            self._refuse()
            return
        super().on_headers_complete()
        scope: Any = self.scope
        scope[ANSWER] = self._answer_whole
        cycle: Any = self.cycle
        if not cycle.keep_alive:
            cycle.transport = _LastAnswer(self.transport, self._end)

    def on_body(self, body: bytes) -> None:
        cycle: Any = (
            self.cycle
        )  # whose body uvicorn makes bytes of in the end, so that bytes do too
        if self.transport.is_closing() or cycle.response_complete:
            return
        if cycle.body:
            if isinstance(cycle.body, bytes):
                # Bytes would be copied as a whole for each of many small pieces.
                cycle.body = bytearray(cycle.body)
            super().on_body(body)
            return
        # Handed on as it came. Gathered in a bytearray it would be copied twice more, which costs a large upload
        # nearly a tenth of its processor time.
        cycle.body = body
        if len(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._lingers is not None:
            self.transport.close()
        elif not self.transport.is_closing():
            super().on_message_complete()

    def _end(self) -> None:
        """Close after an answer; while a body still comes, take and forget it for some seconds first.

        A close with bytes that nobody has read is a reset, and that takes the answer away from who is about to read
        it: a proxy that closes each connection would say 502 for our 401 or 413.
        """
        cycle: Any = self.cycle
        if not cycle.more_body or not self.transport.can_write_eof():
            self.transport.close()
        elif self._lingers is None and not self.transport.is_closing():
            self.transport.write_eof()
            self._lingers = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _expect_head(self) -> None:
        if self._waits_since is None:
            self._waits_since = self.loop.time()
            if self._watch is None:
                self._watch = self.loop.call_later(PATIENCE_SECONDS, self._look)

    def _look(self) -> None:
        """Close if a head has been waited for too long. One timer for many requests: setting one for each costs."""
        self._watch = None
        if self._waits_since is None:
            return
        rest = self._waits_since + PATIENCE_SECONDS - self.loop.time()
        if rest > 0:
            self._watch = self.loop.call_later(rest, self._look)
        else:
            self.transport.close()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def _answer_whole(self, scope: MutableMapping[str, Any], answer: WholeAnswer) -> bool:
        """What uvicorn does for an answer in two parts, done once; False if the answer is not this connection's next.

        Bound to the connection and not to the request, which is freed then as soon as it is over.
        """
        cycle: Any = self.cycle
        if cycle.scope is not scope or cycle.response_started or self.flow.write_paused:
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*cycle.default_headers, *answer.headers):
            lines += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        body = answer.body
        lines.append(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._end()
        cycle.on_response()
        return True


class _LastAnswer:
    """What uvicorn takes for the transport where the connection ends with this answer: how it closes is ours."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.close = close
        self.is_closing = transport.is_closing
        self.write = transport.write
