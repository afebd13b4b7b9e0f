"""How a command ends when it cannot do its work: one line of plain words and an exit code."""

import contextlib
import os
import sys
from collections.abc import Iterator
from enum import IntEnum

import typer

from dockbell.domain.errors import (
    DockbellError,
    ForbiddenError,
    NotFoundError,
    TooOldError,
    UnauthenticatedError,
    UnavailableError,
)


class Code(IntEnum):
    """The exit codes of every command; 2 (wrong usage) is given by the parser of arguments."""

    FAILED = 1
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    NO_SERVER = 5
    TOO_OLD = 6
    INTERRUPTED = 130


def code_of(error: DockbellError) -> Code:
    match error:
        case NotFoundError():
            return Code.NOT_FOUND
        case UnauthenticatedError() | ForbiddenError():
            return Code.NOT_ALLOWED
        case UnavailableError():
            return Code.NO_SERVER
        case TooOldError():
            return Code.TOO_OLD
        case _:
            return Code.FAILED


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn what a user can mend into words and an exit code. A bug of ours keeps its traceback."""
    try:
        yield
    except DockbellError as error:
        for line in error.detail.splitlines():
            say(f"dockbell: {line}")
        raise SystemExit(int(code_of(error))) from error
    except BrokenPipeError:
        # The reader (`| head`) has gone: nothing is wrong. Python must not try to write once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(int(Code.INTERRUPTED)) from None


def let_go_of_lines() -> None:
    """Forget lines on stderr that could not be written: trying once more, Python would end with a code of its own."""
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def say(text: str) -> None:
    """Words for the person, if there is anybody to read them; stdout is for what a script takes on."""
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)
