"""The file with the secret key, beside the data. While one key replaces another it holds both, the new one first."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dockbell.domain.errors import SetupError
from dockbell.store import seals


class MissingKeyError(SetupError):
    """The database holds secrets, and the key that opens them is gone."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The secret key is missing: the database was written with one, but there is no file {path}.\n"
            "Restore that file from a backup, or set DOCKBELL_SECRET_KEY or DOCKBELL_SECRET_KEY_FILE. "
            "No other key opens what is stored; to start over, take an empty database and data folder."
        )


def read(path: Path) -> tuple[bytes, ...]:
    """The keys, the newest first; none if there is no such file. Raise SetupError if it holds none."""
    try:
        text = path.read_text(encoding="ascii").strip()
        if not text:
            raise _broken(path, "is empty")
        keys = seals.of_texts(text)
        seals.Seal(*keys)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _broken(path, "holds no key: it is not text") from error
    except seals.InvalidKeyError as error:
        raise _broken(path, f"holds no key: {error.why}") from error
    return keys


def _broken(path: Path, what: str) -> SetupError:
    return SetupError(
        f"The secret key file {path} {what}.\n"
        "Restore it from a backup, with read permission for this user. "
        "Only if nothing was ever stored: delete it and start again."
    )


def make(path: Path) -> tuple[bytes, ...]:
    """A new key in a file that only its user may read; or the one of another process that was first."""
    key = seals.new_key()
    # Written beside and linked in, so that nobody ever reads half a key.
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        _write(draft, [key])
        os.link(draft, path)
        _sync(path.parent)
    except FileExistsError:
        return read(path) or (key,)
    except OSError as error:
        raise SetupError(
            f"The secret key cannot be written to {path}: {error.strerror}. "
            "Make room or give this user the right to write there, "
            "or set DOCKBELL_SECRET_KEY to a key from `dockbell keys new`."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return (key,)


def replace(path: Path, keys: Sequence[bytes]) -> None:
    """Put these keys into the file, all at once: a reader, or a crash, finds the old ones or the new ones."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        _write(draft, keys)
        draft.rename(path)
        _sync(path.parent)
    except OSError as error:
        raise SetupError(
            f"The secret key file {path} cannot be replaced: {error.strerror}. It is as it was."
        ) from error


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until nobody else changes the file, and keep others from it for the length of the block."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SetupError(
            f"The secret key file {path} cannot be replaced: {error.strerror}. It is as it was."
        ) from error
    with os.fdopen(descriptor, "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, keys: Sequence[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(seals.to_text(key) + "\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
