"""Bodies that are larger than other requests': read in the handler, once it is known who sends them."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import InternalServerException

from dockbell.domain.errors import DockbellError, TooManyError
from dockbell.web.calls import ApiCall, DisconnectedError, UnfinishedBodyError

_SECONDS = 120.0


class TooLargeError(DockbellError):
    """The body is too large."""

    kind = "too_large"


class BusyError(TooManyError):
    """Too many large requests are being read. Send this again in a few seconds."""


class Room:
    """How many bytes of large bodies a process holds at once."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Take so many bytes until the block ends, or raise BusyError."""
        if size > self._left:
            raise BusyError
        self._left -= size
        try:
            yield
        finally:
            self._left += size


async def leave(request: Request[Any, Any, State]) -> None:
    """For `before_request`: read nothing yet."""
    del request


def call_of(request: Request[Any, Any, State]) -> ApiCall:
    """The call of a handler that reads the body itself."""
    state = request.app.state
    return ApiCall(request=request, raw_body=b"", store=state.store, faces=state.faces)


async def read(request: Request[Any, Any, State], most: int) -> bytes:
    """The whole body; raise TooLargeError as soon as it is known to be larger, UnfinishedBodyError after two minutes."""
    too_large = TooLargeError(f"The body is larger than {most} bytes")
    if (length := request.headers.get("content-length", "")).isdecimal() and int(length) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for piece in request.stream():
                if len(body) + len(piece) > most:
                    raise too_large
                body += piece
    except TimeoutError as error:
        raise UnfinishedBodyError from error
    except InternalServerException as error:  # what the framework says when the client is gone
        raise DisconnectedError from error
    return bytes(body)
