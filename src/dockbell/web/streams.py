"""Server-sent events: the answer that a live stream is written to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Message as Part
from litestar.types import Receive, Scope, Send

from dockbell.domain.errors import DockbellError, UnavailableError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.web.live import End, Message, Stream

MEDIA_TYPE = "text/event-stream"
_SEND_SECONDS = 30.0  # a client that takes nothing for so long is let go
_RETRY_MILLISECONDS = 2000  # what a browser waits before it comes again


@dataclass(frozen=True, slots=True)
class Listening:
    """One listener's stream, and what is asked about it while it runs."""

    stream: Stream
    start: str  # the id that it goes on from
    missed: AsyncIterator[Message] | None
    check: Callable[[], Awaitable[None]]  # raises once the right to listen is gone
    close: Callable[[], None]
    beat_seconds: float


class EventStream(Response[bytes]):
    """An answer that goes on until the listener leaves, loses the right, or the server stops."""

    def __init__(self, listening: Listening, *, is_head: bool) -> None:
        super().__init__(b"", status_code=200, media_type=MEDIA_TYPE)
        self._listening = listening
        self._is_head = is_head

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _Sent(self._listening, is_head=self._is_head)


class _Sent(ASGIResponse):
    def __init__(self, listening: Listening, *, is_head: bool) -> None:
        super().__init__(status_code=200, media_type=MEDIA_TYPE)
        self._listening = listening
        self._is_head = is_head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        leaving = asyncio.create_task(_left(receive))
        try:
            await _put(send, _HEAD)
            if not self._is_head:
                telling = asyncio.create_task(self._tell(send))
                try:
                    await asyncio.wait({leaving, telling}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    telling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await telling
            await _put(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            pass  # they left, or as good as
        finally:
            leaving.cancel()
            self._listening.close()

    async def _tell(self, send: Send) -> None:
        one = self._listening
        await _put(send, _body(b"retry: %d\n%s" % (_RETRY_MILLISECONDS, _beat(one.start))))
        if one.missed is not None:
            try:
                async for late in one.missed:
                    await _put(send, _body(_text(late)))
            except UnavailableError as error:
                one.stream.finish(End("unavailable", error.detail))
        loop = asyncio.get_running_loop()
        beat_at = loop.time() + one.beat_seconds
        while True:
            message = await one.stream.take(max(0.0, beat_at - loop.time()))
            if message is not None:
                await _put(send, _body(_text(message)))
            if loop.time() >= beat_at:
                beat_at = loop.time() + one.beat_seconds
                await self._ask()
                if message is None:
                    await _put(send, _body(_beat(one.stream.position)))
            if one.stream.end is not None:
                await _put(send, _body(_end(one.stream.end)))
                return

    async def _ask(self) -> None:
        """End the stream if its listener may listen no more."""
        try:
            await self._listening.check()
        except UnavailableError:
            return  # the database is away: nothing is told meanwhile
        except DockbellError as error:
            self._listening.stream.finish(End("not_allowed", error.detail))


_HEAD: Part = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would keep it back
    ],
}


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _put(send: Send, part: Part) -> None:
    async with asyncio.timeout(_SEND_SECONDS):
        await send(part)


def _body(text: bytes) -> Part:
    return {"type": "http.response.body", "body": text, "more_body": True}


def _text(message: Message) -> bytes:
    return b"event: %s\nid: %s\ndata: %s\n\n" % (
        message.kind.encode(),
        message.position.encode(),
        message.data,
    )


def _beat(position: str) -> bytes:
    """A comment, and an id without an event: it moves the place to go on from."""
    return b": alive\nid: %s\n\n" % position.encode()


def _end(end: End) -> bytes:
    data = msgspec.json.encode({"code": end.code, "detail": end.detail})
    return b"event: end\ndata: %s\n\n" % data
