"""SQLite's connection in a thread of its own, with one hand-over for each statement.

aiosqlite hands over four times (make a cursor, execute, fetch, close), and a hand-over costs more than most
statements do. Results are read whole anyway, so that all four fit into one.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import aiosqlite

from dockbell.store.dialects.statements import Plan

_KEPT_STATEMENTS = 512
_ROWS_A_STEP = 64

_Result = TypeVar("_Result")


class OneHopCursor:
    """A cursor that lives in the event loop's thread and holds the whole result."""

    def __init__(self, connection: "OneHopConnection") -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> "OneHopCursor":
        def work(connection: sqlite3.Connection) -> sqlite3.Cursor:
            cursor = connection.execute(sql, parameters)
            if cursor.description is not None:
                self._rows = cursor.fetchall()
            return cursor

        return await self._run(work)

    async def executemany(
        self, sql: str, parameters: Sequence[Sequence[Any]]
    ) -> "OneHopCursor":
        return await self._run(lambda connection: connection.executemany(sql, parameters))

    async def fetchall(self) -> list[Any]:
        return self._rows

    async def close(self) -> None:
        """Nothing is open."""

    async def _run(
        self, work: Callable[[sqlite3.Connection], sqlite3.Cursor]
    ) -> "OneHopCursor":
        cursor = await self._connection.run(work)
        self.description = cursor.description
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        return self


class OneHopConnection(aiosqlite.Connection):
    """An aiosqlite connection whose cursors cost one hand-over a statement."""

    _begin: str | None = (
        None  # what begins the transaction, until its first statement takes it along
    )
    _only_reads = False

    def begin_with_first(self, sql: str, *, only_reads: bool) -> None:
        """Begin a transaction together with its first statement.

        Nobody waits for the end of one that only reads: by then all results are there.
        """
        self._begin, self._only_reads = sql, only_reads

    async def commit(self) -> None:
        if self._begin is not None:  # there was no statement
            self._begin = None
        elif self._only_reads:
            self._tx.put_nowait((None, self._conn.commit))
        else:
            await super().commit()

    async def rollback(self) -> None:
        if self._begin is not None:
            self._begin = None
        else:
            await super().rollback()

    def cursor(self) -> Any:  # the base class makes a context manager that also awaits
        return OneHopCursor(self)

    async def execute_each(
        self, statements: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[list[Any]]:
        """Execute them in one hand-over; return the rows of each."""

        def work(connection: sqlite3.Connection) -> list[list[Any]]:
            return [connection.execute(sql, values).fetchall() for sql, values in statements]

        return await self.run(work)

    async def execute_plan(self, plan: Plan[_Result]) -> _Result:
        """Execute all its steps in one hand-over; return what it returns."""

        def work(connection: sqlite3.Connection) -> _Result:
            try:
                statements = next(plan)
                while True:
                    rows = [
                        connection.execute(sql, values).fetchall() for sql, values in statements
                    ]
                    statements = plan.send(rows)
            except StopIteration as done:
                result: _Result = done.value
                return result

        return await self.run(work)

    async def execute_all(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> int:
        """Execute them in one hand-over; return how many rows they met."""

        def work(connection: sqlite3.Connection) -> int:
            return sum(connection.execute(sql, values).rowcount for sql, values in statements)

        return await self.run(work)

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """What `work` returns, done in the connection's thread."""
        begin, self._begin = self._begin, None

        def do() -> _Result:
            if begin is not None:
                self._conn.execute(begin)
            return work(self._conn)

        result: _Result = await self._execute(do)  # type: ignore[no-untyped-call]  # -- aiosqlite leaves it untyped
        return result


def connect(path: str) -> OneHopConnection:
    """A connection to the file that begins no transaction by itself. Await it to open it."""
    connection = OneHopConnection(
        lambda: sqlite3.connect(path, isolation_level=None, cached_statements=_KEPT_STATEMENTS),
        iter_chunk_size=_ROWS_A_STEP,
    )
    connection._thread.daemon = True  # noqa: SLF001 -- the process may end while a connection is open
    return connection
