"""Connections of clients: how much and how long they may take before a request has even begun."""

import asyncio
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from dockbell.web.whole_answers import ANSWER, Follow, WholeAnswer

MOST_HEAD_BYTES = 64 << 10
MOST_HEADERS = 100
PATIENCE_SECONDS = 60.0
LINGER_SECONDS = 5.0

_LARGEST_ALIKE = 8 << 10  # bytes of a head that is kept to be compared with the next
_LONGEST_LENGTH = 8  # digits, with the end of the line
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]+)(?=\r\n)", re.IGNORECASE)
_NEVER_ALIKE = frozenset({b"expect", b"transfer-encoding", b"upgrade"})

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\ncontent-length: 72\r\nconnection: close\r\n\r\n"
    b'{"message": "At most 100 headers and 64 KiB of them are taken together"}'
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to request heads: in bytes, in lines, in trailers and in time.

    A connection that sends nothing, half a head, or no end of a body that is answered already, is closed after a
    minute. A head that is too large is answered with 431. A client that is answered before it has sent all of its
    body gets that answer, also where the connection ends with it.

    A program that reports events sends the same head again and again. Where an answer says what takes such requests
    (`WholeAnswer.follow`), one that comes in one piece and differs from the last in nothing but its body goes there
    without the parser and without a task (docs/decisions/0046-requests-alike.md).
    """

    _is_in_head = True
    _head_bytes = 0
    _trailer_bytes = 0
    _received = 0  # bytes of the head at most: with the last piece that came
    _waits_since: float | None = None  # for a head, by the loop's clock
    _watch: asyncio.TimerHandle | None = None
    _lingers: asyncio.TimerHandle | None = None  # all is said; the rest of a body is on its way
    _is_between = True  # two requests, as the parser sees it
    _piece: bytes | None = None  # what is being read, if a request begins with it
    _head: bytes | None = None  # of the last request, if it came in one piece
    _alike: "_Alike | None" = None  # takes requests that are like the last one
    _is_taken = False  # such a request is not answered yet
    _is_last = False  # the connection ends with its answer
    _behind = b""  # what came behind it
    _rests_since = 0.0  # such an answer, by the loop's clock
    _own_headers: Sequence[tuple[bytes, bytes]] | None = None
    _own_lines = b""

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
        self._alike = None
        self._behind = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._alike is not None and self._take(self._alike, data):
            return
        self._piece = data if self._is_between else None
        was_in_head = self._is_in_head
        self._received = self._head_bytes + len(data)
        super().data_received(data)
        self._piece = None
        cycle: Any = self.cycle
        if cycle is not None and cycle.response_complete and not self.transport.is_closing():
            self._rest_again()
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_between = False
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
        # A second request in one piece begins somewhere in its middle.
        self._head, self._piece = _head_of(self._piece), None
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
        self._is_between = True
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

    def _rest_again(self) -> None:
        """Set a timer after blank lines or the rest of a body that has its answer: uvicorn puts its own away for them."""
        if not self._is_between:
            self._expect_head()
            return
        self._waits_since = None
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

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
        self._write(answer, is_last=not cycle.keep_alive)
        if answer.follow is not None and self._head is not None and cycle.keep_alive:
            self._alike = _alike_of(self._head, cycle.scope, answer.follow)
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._end()
        cycle.on_response()
        return True

    def _write(self, answer: WholeAnswer, *, is_last: bool) -> None:
        own = self.server_state.default_headers
        if own is not self._own_headers:  # once a second: the date is among them
            self._own_headers = own
            self._own_lines = b"".join([b"%b: %b\r\n" % header for header in own])
        status, lines, body, _ = answer
        self.transport.write(
            b"%b%b%b%bcontent-length: %d\r\n\r\n%b"
            % (
                STATUS_LINE[status],
                self._own_lines,
                lines,
                b"connection: close\r\n" if is_last else b"",
                len(body),
                body,
            )
        )

    def _take(self, alike: "_Alike", data: bytes) -> bool:
        """Take these bytes, if they are a whole request like the last one; if not, they are the parser's."""
        if self._is_taken:  # nothing is read before that has its answer
            self._behind += data
            self.flow.pause_reading()
            return True
        before, behind, follow = alike
        if not data.startswith(before):
            return False
        start = len(before)
        end = data.find(b"\r", start, start + _LONGEST_LENGTH)
        length, body = data[start:end], data[end + len(behind) :]
        if (
            end < 0
            or not length.isdigit()
            or int(length) != len(body)
            or not data.startswith(behind, end)
            or not self._is_between
            or not self.cycle.response_complete
            or self.flow.write_paused
        ):
            return False
        self._is_taken = True
        if follow(body, self._answer_taken):
            return True
        self._is_taken = False
        return False

    def _answer_taken(self, answer: WholeAnswer | None) -> None:
        self._is_taken = False
        if self.transport.is_closing():
            return
        if answer is None:
            self.transport.close()
            return
        self._write(answer, is_last=self._is_last)
        self.server_state.total_requests += 1
        if self._is_last:
            self.transport.close()
            return
        self._rests_since = self.loop.time()
        if self._behind:
            behind, self._behind = self._behind, b""
            self.flow.resume_reading()
            self.data_received(behind)

    def timeout_keep_alive_handler(self) -> None:
        """Close, unless requests were taken past the parser, which leave uvicorn's timer as it was set."""
        now = self.loop.time()
        since = now if self._is_taken else self._rests_since
        rest = since + self.timeout_keep_alive - now
        if rest <= 0:
            super().timeout_keep_alive_handler()
        elif not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                rest, self.timeout_keep_alive_handler
            )

    def shutdown(self) -> None:
        if self._is_taken:
            self._is_last = True
        else:
            super().shutdown()


class _Alike(NamedTuple):
    """The head of a request, and what takes those that have the same."""

    before: bytes  # the length of the body
    behind: bytes
    follow: Follow


def _head_of(piece: bytes | None) -> bytes | None:
    """The head that this begins with, if it is a POST's and not large."""
    if piece is None or not piece.startswith(b"POST "):
        return None
    end = piece.find(b"\r\n\r\n", 0, _LARGEST_ALIKE)
    return None if end < 0 else piece[: end + 4]


def _alike_of(head: bytes, scope: Mapping[str, Any], follow: Follow) -> _Alike | None:
    """None for a head that may say more than its lines say each for itself: what follows is left to the parser then."""
    names = [name for name, _ in scope["headers"]]
    lines = len(names) + 2
    lengths = list(_LENGTH.finditer(head))
    if (
        scope["http_version"] != "1.1"
        or not _NEVER_ALIKE.isdisjoint(names)
        or not lines == head.count(b"\r\n") == head.count(b"\r") == head.count(b"\n")
        or not len(lengths) == names.count(b"content-length") == 1
    ):
        return None
    start, end = lengths[0].span(1)
    return _Alike(head[:start], head[end:], follow)


class _LastAnswer:
    """What uvicorn takes for the transport where the connection ends with this answer: how it closes is ours."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.close = close
        self.is_closing = transport.is_closing
        self.write = transport.write
