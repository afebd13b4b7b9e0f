"""Which database errors pass by themselves, so that the same work can be done again a little later."""

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dockbell.domain.errors import UnavailableError

# SQLSTATE classes: connection, transaction rollback (deadlock), resources (disk full), operator (restart).
_PASSING_CLASSES = ("08", "40", "53", "57", "58")


def is_passing(error: Exception) -> bool:
    """Whether the database, not the work, is what failed."""
    if isinstance(
        error,
        UnavailableError | OSError | TimeoutError | PoolTimeoutError | sqlite3.OperationalError,
    ):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    state = getattr(error.orig, "sqlstate", None)
    return isinstance(state, str) and state.startswith(_PASSING_CLASSES)
