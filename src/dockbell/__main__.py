"""The command `dockbell`, also as `python -m dockbell`."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End at once with the exit code that shells give a signal; a server that is told to stop has done so."""
    del frame
    is_server = sys.argv[1:2] in (["serve"], ["worker"])
    os._exit(0 if is_server else 128 + number)


def main() -> None:
    """Run one command line as the whole of this process."""
    # The first process of a container gets no signal that it has not asked for; and a KeyboardInterrupt
    # amid an import is a traceback, or is swallowed.
    for number in _SIGNALS:
        signal.signal(number, _leave)

    from dockbell.cli.app import run  # noqa: PLC0415 -- see above

    signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run(sys.argv[1:])
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # all is done; a late signal changes nothing
    sys.exit(code)


if __name__ == "__main__":
    main()
