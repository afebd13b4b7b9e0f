"""One time for all processes: the database's."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text

from dockbell.domain.ids import Clock
from dockbell.store.transactions import Store, Tx


async def ask(tx: Tx) -> None:
    """Have the database say anything at all. Raise UnavailableError if it cannot."""
    await tx.first(select(func.current_timestamp()))


class DatabaseClock:
    """The clock of this machine, set right by the database's.

    Several processes on PostgreSQL compare due times and leases; a machine whose clock is off must not
    steal or freeze deliveries. SQLite has one machine, so there the correction stays zero.

    With `steady`, seconds that only ever grow, a jump of this machine's clock changes nothing between two questions.
    """

    def __init__(self, clock: Clock, steady: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._steady = steady
        self._start: datetime | None = None  # the database's time when `steady` stood at 0
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        if self._start is None or self._steady is None:
            return self._clock() + self.offset if self.offset else self._clock()
        return self._start + timedelta(seconds=self._steady())

    async def set_by(self, store: Store) -> None:
        """Ask the database for its time, and correct ours by the middle of the call."""
        if store.is_sqlite:
            return
        async with store.read() as tx:
            before = self._clock()
            row = await tx.first(text("SELECT extract(epoch FROM clock_timestamp())"))
            after = self._clock()
        if row is not None:
            theirs = datetime.fromtimestamp(float(row[0]), tz=UTC)
            self.offset = theirs - (before + (after - before) / 2)
            if self._steady is not None:
                self._start = after + self.offset - timedelta(seconds=self._steady())
