"""The data folder: it is there, can be written to, and nobody else reads what is in it."""

import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from dockbell.domain.errors import SetupError

_log = structlog.get_logger("dockbell.store.data_folders")

_OTHERS = 0o077
_OTHERS_WRITE = 0o002


def open_or_make(data: Path) -> None:
    """Make the folder if it is missing. Raise SetupError if this user cannot work in it."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"The data folder {data} cannot be used: {error.strerror}. "
            "Choose another with --data, or give this user the right to write there."
        ) from error
    if data.stat().st_mode & _OTHERS_WRITE:
        _log.warning("every user of this machine may write to the data folder", path=str(data))


def narrow(paths: Iterable[Path]) -> None:
    """Take from all other users the rights to these, as far as they are there.

    An older version or a copy may have left them open. The data folder itself is left as it was found: who
    made it wider had a reason, such as a volume that is handed out so.
    """
    for path in paths:
        try:
            mode = path.stat().st_mode & 0o7777
            if mode & _OTHERS:
                path.chmod(mode & ~_OTHERS)
                _log.warning("rights narrowed to this user", path=str(path), were=f"{mode:o}")
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning("others may read this", path=str(path), error=error.strerror)
