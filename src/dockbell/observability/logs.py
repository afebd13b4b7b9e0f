"""Where log lines go and how they look: to stderr, for people or for machines, without secrets."""

import asyncio
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from dockbell.domain.plain_text import plain

MASK = "********"
# Parts of a key's name that mean its value is a credential. Compared without case, dash and underscore.
_SECRET_PARTS = (
    "password",
    "secret",
    "token",
    "authorization",
    "cookie",
    "apikey",
    "credential",
    "signature",
    "privatekey",
)
_DEPTH = 4
_LONGEST_NAME = 64  # of a key that is remembered
# A value with one of these is quoted by the renderer, with all that does not print written out.
_QUOTED_WITH = re.compile(r"""[ \t=\r\n"']""")


_lost = {"lines": 0}  # since the last one that could be written


class _Lines:
    """Writes finished lines. Knows the name it was asked for by, so that each line can carry it.

    A line that cannot be written, because the disk is full or nobody reads, is let go: deliveries are worth more.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self.name = name

    def msg(self, line: str) -> None:
        lost = _lost["lines"]
        try:
            self._stream.write(line + "\n")  # in one piece: other threads write too
            self._stream.flush()
        except OSError:
            _lost["lines"] = lost + 1
            return
        if lost:
            _lost["lines"] = 0
            structlog.get_logger("dockbell.logs").warning("log lines were lost", lines=lost)

    debug = info = warning = error = critical = exception = msg


def configure(*, style: str, level: str, stream: TextIO | None = None) -> None:
    """Set up all logging of this process: our own lines and those of the libraries, in one shape.

    `style` is `console` or `json`; `level` the least important that is shown. May be called again.
    """
    out = stream if stream is not None else sys.stderr
    least = logging.getLevelNamesMapping()[level.upper()]
    _shown["least"] = least
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask_secrets,
    ]
    after = _renderers(style, colors=out.isatty() and not os.environ.get("NO_COLOR"))
    structlog.configure(
        processors=[_add_name, *before, *after],
        logger_factory=lambda *names: _Lines(out, names[0] if names else "dockbell"),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, least))  # libraries say at `info` what we say ourselves
    # Container clients try TLS first; on a plain port each push would warn of an invalid request.
    server = logging.getLogger("uvicorn.error")
    server.setLevel(logging.ERROR)
    server.addFilter(_is_no_cancellation)


_shown = {"least": logging.INFO}


def shows_debug() -> bool:
    """Whether lines at `debug` are shown. A line that is not costs five microseconds all the same."""
    return _shown["least"] <= logging.DEBUG


def shows_info() -> bool:
    """The same for lines at `info`."""
    return _shown["least"] <= logging.INFO


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """A request that ends with the server is told by one line of its own; a traceback would look like a bug."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _renderers(style: str, *, colors: bool) -> list[Processor]:
    if style == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(),
        ]
    return [
        _show_plainly,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_show_traceback),
    ]


_UNQUOTED = ("timestamp", "level", "logger", "event")


def _show_plainly(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: what others wrote can neither begin a line nor colour one."""
    del logger, method
    shown: EventDict = {}
    for key, value in event.items():
        if key in {"exception", "stack"}:
            shown[key] = _indented(str(value))
        elif isinstance(value, str) and (key in _UNQUOTED or not _QUOTED_WITH.search(value)):
            shown[plain(key)] = plain(value)
        else:
            shown[plain(key)] = value
    return shown


def _show_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    out.write("\n" + _indented("".join(traceback.format_exception(*exc_info))))


def _indented(text: str) -> str:
    return "\n".join("    " + plain(line) for line in text.rstrip("\n").split("\n"))


def _add_name(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del method
    event["logger"] = logger.name
    return event


def mask_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A structlog processor: the values of keys that are named like a credential are not logged."""
    del logger, method
    return {key: _masked(key, value, _DEPTH) for key, value in event.items()}


def _masked(key: str, value: Any, depth: int) -> Any:
    if is_secret(key) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, Mapping) and depth:
        return {str(name): _masked(str(name), part, depth - 1) for name, part in value.items()}
    if isinstance(value, list) and depth:
        return [_masked("", part, depth - 1) for part in value]
    return value


def is_secret(key: str) -> bool:
    """Whether a key of this name holds a credential."""
    return _is_secret_name(key) if len(key) <= _LONGEST_NAME else _is_secret(key)


def _is_secret(key: str) -> bool:
    plain = key.lower().replace("-", "").replace("_", "")
    return any(part in plain for part in _SECRET_PARTS)


# Each line asks for each of its keys, and they are always the same ones.
_is_secret_name = lru_cache(maxsize=1024)(_is_secret)
