"""One server per SQLite database: two would each think that they alone deliver."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from dockbell.domain.errors import SetupError
from dockbell.settings import Settings


@contextlib.contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the database for the length of the block, or raise SetupError that says who has it.

    The system drops the hold with the process, however that ends. On PostgreSQL many may serve.
    """
    database = settings.sqlite_file
    if database is None:
        yield
        return
    path = database.with_name(database.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise SetupError(
            f"The folder {path.parent} cannot be used: {error.strerror}. "
            "Choose another with --data, or give this user the right to write there."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(
                f"Another dockbell{_process(path)} already serves {database}. "
                "Stop that one, or choose another folder with --data."
            ) from error
        except OSError as error:  # some network file systems
            raise SetupError(
                f"The file system of {path.parent} cannot hold a lock: {error.strerror}. SQLite needs one that "
                "can; choose a folder on a local disk with --data, or use PostgreSQL."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _process(path: Path) -> str:
    number = path.read_text().strip()
    return f" (process {number})" if number.isdigit() else ""
