"""What a signal does before the server can listen to it."""

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    os._exit(0)


@contextlib.contextmanager
def end_at_once() -> Iterator[None]:
    """Exit with 0 on SIGTERM and Ctrl-C, until the event loop takes them over: nothing was begun yet."""
    before = {
        number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
