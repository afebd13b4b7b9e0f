"""Which errors of the database pass by themselves, and what they mean above the store."""

import sqlite3
from collections.abc import Mapping

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dockbell.domain.errors import UnavailableError, UndoneError

_CONTENDED = "Others changed the same at the same moment. Try again."
_LOST = "The connection to the database broke off. Try again."
_UNKNOWN = "The database broke off while it made the change lasting: it may have been made."
_BUSY = "The database is too busy. Try again soon."
_FULL = "The database has no room left."
_READ_ONLY = "The database takes no changes now."
_AWAY = "The database cannot be reached."
_DISK = "The database cannot use its disk."

_CONTENTIONS = frozenset({"40001", "40P01"})  # serialization failure, deadlock
# States that end the connection, and with it all that was not committed.
_ENDINGS = frozenset({"25P03", "57P01", "57P02", "57P05"})
_OTHERS: Mapping[str, str] = {
    "25006": _READ_ONLY,  # we reached a standby, or the operator allows no changes
    "40003": _UNKNOWN,
    "53100": _FULL,
    "55P03": _BUSY,  # a lock was not to be had in time
    "57014": _BUSY,  # the statement took too long, or the operator ended it
    "57P03": _AWAY,  # starting or stopping
    "58030": _DISK,
}
_CONNECTION_CLASS, _RESOURCES_CLASS = "08", "53"
_WRONG_PROTOCOL = "08P01"  # a bug of the driver or of ours: it does not pass

# By primary result code, which is the last byte of the code that the driver gives.
_SQLITE: Mapping[int, str] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,  # a lock of the write-ahead log
    sqlite3.SQLITE_NOMEM: _BUSY,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CANTOPEN: _AWAY,
}
_PRIMARY = 0xFF


def is_passing(error: Exception) -> bool:
    """Whether the database, not the work, is what failed."""
    return isinstance(error, UnavailableError) or meaning_of(error) is not None


def meaning_of(error: Exception, *, is_commit: bool = False) -> UnavailableError | None:
    """What an error means if it is the database's and passes by itself; otherwise None.

    `UndoneError` only if it is certain that nothing of the transaction was kept, which it is not
    when the connection ends during the commit.
    """
    match error:
        case PoolTimeoutError():
            return UnavailableError(_BUSY)
        case DBAPIError(connection_invalidated=True):
            return _lost(is_commit=is_commit)
        case DBAPIError(orig=sqlite3.Error() as cause):
            return _of_sqlite(cause)
        case DBAPIError(orig=cause):
            return _of_state(getattr(cause, "sqlstate", None), is_commit=is_commit)
        case sqlite3.Error():
            return _of_sqlite(error)
        case _:  # PostgreSQL's own error, as its driver raises it
            return _of_state(getattr(error, "sqlstate", None), is_commit=is_commit)


def meaning_of_driver(error: Exception, *, is_commit: bool = False) -> UnavailableError | None:
    """The same for an error that the driver itself raised: there, what a socket says counts too."""
    if isinstance(error, OSError | TimeoutError):
        return _lost(is_commit=is_commit)
    return meaning_of(error, is_commit=is_commit)


def _lost(*, is_commit: bool) -> UnavailableError:
    return UnavailableError(_UNKNOWN) if is_commit else UndoneError(_LOST)


def _of_state(state: str | None, *, is_commit: bool) -> UnavailableError | None:
    if state is None or state == _WRONG_PROTOCOL:
        return None
    if state in _CONTENTIONS:
        return UndoneError(_CONTENDED)
    if state in _ENDINGS or state.startswith(_CONNECTION_CLASS):
        return _lost(is_commit=is_commit)
    if state in _OTHERS:
        return UnavailableError(_OTHERS[state])
    return UnavailableError(_BUSY) if state.startswith(_RESOURCES_CLASS) else None


def _of_sqlite(error: sqlite3.Error) -> UnavailableError | None:
    code = getattr(error, "sqlite_errorcode", None)  # absent if the module itself complains
    words = None if code is None else _SQLITE.get(code & _PRIMARY)
    return None if words is None else UnavailableError(words)
