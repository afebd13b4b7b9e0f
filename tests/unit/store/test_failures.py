"""Which errors pass by themselves: by SQLSTATE on PostgreSQL, by result code on SQLite, and by nothing else."""

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dockbell.domain.errors import UnavailableError, UndoneError
from dockbell.store.failures import is_passing, meaning_of


class DriverError(Exception):
    """What SQLAlchemy's adapter makes of an error of asyncpg."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("relation 17 of secret-tenant")
        self.sqlstate = sqlstate


def of_postgresql(sqlstate: str | None, *, is_broken: bool = False) -> DBAPIError:
    return DBAPIError("SELECT 1", None, DriverError(sqlstate), connection_invalidated=is_broken)


def of_sqlite(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is whatever")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("40001", UndoneError),  # serialization failure
        ("40P01", UndoneError),  # deadlock
        ("08000", UndoneError),  # connection errors
        ("08003", UndoneError),
        ("08006", UndoneError),
        ("25P03", UndoneError),  # idle for too long in a transaction
        ("57P01", UndoneError),  # admin shutdown
        ("57P02", UndoneError),  # crash shutdown
        ("57P05", UndoneError),  # idle for too long
        ("08001", UndoneError),
        ("08004", UndoneError),
        ("40003", UnavailableError),  # nobody knows whether it was done
        ("25006", UnavailableError),  # a standby
        ("53000", UnavailableError),
        ("53100", UnavailableError),  # disk full
        ("53200", UnavailableError),  # out of memory
        ("53300", UnavailableError),  # too many connections
        ("55P03", UnavailableError),  # lock not available
        ("57014", UnavailableError),  # cancelled, or took too long
        ("57P03", UnavailableError),  # starting up
        ("58030", UnavailableError),  # the disk fails
    ],
)
def test_a_state_of_postgresql_that_passes(sqlstate: str, kind: type[UnavailableError]) -> None:
    error = of_postgresql(sqlstate)

    assert (type(meaning_of(error)), is_passing(error)) == (kind, True)


@pytest.mark.parametrize(
    "sqlstate",
    [
        None,
        "08P01",  # we spoke wrongly
        "0A000",
        "22001",
        "23503",  # foreign key
        "23505",  # unique
        "25P02",  # in failed transaction
        "28P01",  # wrong password
        "3D000",  # no such database
        "40002",  # a constraint, at the commit
        "42501",  # not allowed
        "42703",  # no such column
        "42P01",  # no such table
        "57P04",  # the database was dropped
        "58P01",  # a file is missing
        "XX001",  # corrupted
    ],
)
def test_a_state_of_postgresql_that_does_not_pass(sqlstate: str | None) -> None:
    error = of_postgresql(sqlstate)

    assert (meaning_of(error), is_passing(error)) == (None, False)


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_BUSY_RECOVERY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    ],
)
def test_a_code_of_sqlite_that_passes(code: int) -> None:
    bare = of_sqlite(code)
    wrapped = OperationalError("SELECT 1", None, bare)

    found = [(type(meaning_of(error)), is_passing(error)) for error in (bare, wrapped)]

    assert found == [(UnavailableError, True)] * 2


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_ERROR,  # no such table
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_READONLY,  # we wrote in a transaction that only reads
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    ],
)
def test_a_code_of_sqlite_that_does_not_pass(code: int) -> None:
    bare = of_sqlite(code)
    wrapped = OperationalError("SELECT 1", None, bare)

    found = [(meaning_of(error), is_passing(error)) for error in (bare, wrapped)]

    assert found == [(None, False)] * 2


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),  # of some file
        ConnectionResetError("of some socket"),
        TimeoutError(),
        sqlite3.OperationalError("made by the module, without a code"),
        sqlite3.ProgrammingError("Cannot operate on a closed database."),
        InterfaceError("SELECT 1", None, DriverError(None)),
        IntegrityError("INSERT", None, DriverError("23505")),
        KeyError("oops"),
    ],
    ids=repr,
)
def test_what_is_not_known_to_come_from_the_database_does_not_pass(error: Exception) -> None:
    assert (meaning_of(error), is_passing(error)) == (None, False)


def test_a_connection_that_broke_off_passes_whatever_the_state() -> None:
    assert type(meaning_of(of_postgresql(None, is_broken=True))) is UndoneError


def test_no_free_connection_passes() -> None:
    assert type(meaning_of(PoolTimeoutError("QueuePool limit"))) is UnavailableError


@pytest.mark.parametrize("sqlstate", ["08006", "57P01"])
def test_a_connection_lost_during_the_commit_leaves_open_what_was_done(sqlstate: str) -> None:
    found = meaning_of(of_postgresql(sqlstate), is_commit=True)

    assert type(found) is UnavailableError


def test_a_deadlock_during_the_commit_undid_it() -> None:
    assert type(meaning_of(of_postgresql("40P01"), is_commit=True)) is UndoneError


def test_the_meaning_says_nothing_of_the_drivers_words() -> None:
    found = meaning_of(of_postgresql("40P01"))

    assert str(found) == "Others changed the same at the same moment. Try again."
