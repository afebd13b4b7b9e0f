"""Group commit: reports that arrive together share one transaction, and too many are sent away."""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import timedelta
from functools import partial
from typing import NoReturn

import structlog

from dockbell.domain.errors import DockbellError, UnavailableError, UndoneError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.reports import Receipt, Report
from dockbell.services import authentication
from dockbell.services.reports import Reports
from dockbell.store.transactions import Store
from dockbell.web.repeats import WAITS

_log = structlog.get_logger("dockbell.receiving")

# Of one group. More would make others who write wait too long.
_MOST_IN_GROUP = 1000
_MOST_BYTES_IN_GROUP = 8 << 20
_LONGEST_ADVICE = 60
_FIRST_RATE = 500.0  # events a second, until we know better
_MEMORY = 0.2  # the weight of the last group in the rate
_MANY = 8  # requests in a group, after which most of their senders are about to send again
_TURN_SECONDS = 0.001
_MOST_TURNS = 4


class BusyError(DockbellError):
    """The server has more events to take in than it can just now. Send this again a little later."""

    kind = "busy"

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


class FailedError(DockbellError):
    """The server failed on this event. Its log has the cause."""

    kind = "internal_error"


# What becomes of the reports of one request: their receipts, or why that is not known, or None if the server was stopped.
Outcome = Sequence[Receipt] | UnavailableError | None


@dataclass(eq=False, slots=True)
class _Sheaf:
    """The reports of one request."""

    token: str
    ip: str | None
    reports: Sequence[Report]
    size: int  # in bytes
    tell: Callable[[Outcome], None]


@dataclass(slots=True)
class _Group:
    """What travels in one transaction."""

    sheaves: Sequence[_Sheaf]
    told: Sequence[tuple[_Sheaf, Report]]
    receipts: list[Receipt] = field(default_factory=list)  # of the first ones told

    def tell(self, error: UnavailableError | None) -> None:
        """Answer all: with receipts where all are there, else with the error, which is None if the worker was stopped."""
        first = 0
        for sheaf in self.sheaves:
            last = first + len(sheaf.reports)
            receipts = self.receipts[first:last]
            sheaf.tell(error if len(self.receipts) < last else receipts)
            first = last


def _settle(done: asyncio.Future[Sequence[Receipt]], outcome: Outcome) -> None:
    if done.done():
        return  # whoever waited went away
    if outcome is None:
        done.cancel()
    elif isinstance(outcome, UnavailableError):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)


def _first_of(sheaves: Sequence[_Sheaf]) -> Sequence[_Sheaf]:
    """As many of them as one transaction takes, at least one."""
    count = size = 0
    for place, sheaf in enumerate(sheaves):
        count += len(sheaf.reports)
        size += sheaf.size
        if place and (count > _MOST_IN_GROUP or size > _MOST_BYTES_IN_GROUP):
            return sheaves[:place]
    return sheaves


class Receiving:
    """Takes in reports: each is answered when it is committed, and all that wait share the next commit.

    Nothing waits while nothing is under way. While a transaction is, those that come gather for the next:
    the more there are, the less each costs.
    """

    def __init__(self, store: Store, reports: Reports, *, most_waiting: int) -> None:
        self._store = store
        self._reports = reports
        self._most = most_waiting
        self._queue: deque[_Sheaf] = deque()
        self._waiting = 0  # events, with those under way
        self._shares: dict[str, int] = {}  # the same, of each token
        self._rate = _FIRST_RATE
        self._last = 0  # requests in the last group
        # One is all that SQLite has; on PostgreSQL one group can travel while another is committed.
        self._most_workers = 1 if store.is_sqlite else 2
        self._busy_workers = 0
        self._workers: set[asyncio.Task[None]] = set()  # kept, because the loop itself does not

    def check_room(self, token: str, count: int = 1) -> None:
        """Raise BusyError if so many more events are too many: for all, or for this caller's half of the room."""
        if (
            self._waiting + count > self._most
            or self._shares.get(token, 0) + count > (self._most + 1) // 2
        ):
            self.refuse()

    def refuse(self) -> NoReturn:
        """Raise BusyError with the time that what waits will probably take."""
        seconds = min(math.ceil(self._waiting / self._rate), _LONGEST_ADVICE)
        raise BusyError(timedelta(seconds=max(1, seconds)))

    async def is_known(self, token: str, ip: str | None) -> bool:
        """Whether the token is good now."""
        async with self._store.read() as tx:
            return await authentication.actor_of_bearer(tx, token, ip) is not None

    async def hand_in(
        self, token: str, ip: str | None, reports: Sequence[Report]
    ) -> Sequence[Receipt]:
        """Receipts for all of them, in their order, after what was accepted is committed.

        Raise BusyError before anything is done, UnavailableError when it is not known whether all was.
        """
        self.check_room(token, len(reports))
        done = asyncio.get_running_loop().create_future()
        self.put(token, ip, reports, partial(_settle, done))
        receipts: Sequence[Receipt] = await done
        return receipts

    def put(
        self,
        token: str,
        ip: str | None,
        reports: Sequence[Report],
        tell: Callable[[Outcome], None],
    ) -> None:
        """As `hand_in`, for whoever has checked that there is room; `tell` is called later and must not raise."""
        count = len(reports)
        size = sum([len(report.details) for report in reports])
        self._queue.append(_Sheaf(token, ip, reports, size, tell))
        self._waiting += count
        self._shares[token] = self._shares.get(token, 0) + count
        if self._busy_workers < self._most_workers:
            self._busy_workers += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        try:
            while self._queue:
                await self._gather()
                await self._serve(self._take())
        finally:
            # At once, not when the loop tells that the task is done: who comes between would wait for good.
            self._busy_workers -= 1

    async def _gather(self) -> None:
        """Wait a moment for those who were answered together: the first to send again would have a commit of their own."""
        last, self._last = self._last, 0
        if last < _MANY:
            return
        for _ in range(_MOST_TURNS):
            before = len(self._queue)
            if before >= last:
                return
            await asyncio.sleep(_TURN_SECONDS)
            if len(self._queue) == before:
                return

    async def _serve(self, group: _Group) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        failure: UnavailableError | None = None
        try:
            await self._record(group)
        except UnavailableError as error:
            failure = error
        finally:
            self._waiting -= len(group.told)
            for token, count in Counter([sheaf.token for sheaf, _ in group.told]).items():
                self._shares[token] -= count
                if not self._shares[token]:
                    del self._shares[token]
            group.tell(failure)
        rate = len(group.told) / max(loop.time() - began, 1e-6)
        self._rate += _MEMORY * (rate - self._rate)

    def _take(self) -> _Group:
        """The sheaves that have waited longest, at least one."""
        sheaves: Sequence[_Sheaf] = tuple(self._queue)
        if len(sheaves) > 1 and (
            self._waiting > _MOST_IN_GROUP
            or sum([sheaf.size for sheaf in sheaves]) > _MOST_BYTES_IN_GROUP
        ):
            sheaves = _first_of(sheaves)
        if len(sheaves) == len(self._queue):
            self._queue.clear()
        else:
            for _ in sheaves:
                self._queue.popleft()
        self._last = len(sheaves)
        return _Group(
            sheaves, [(sheaf, report) for sheaf in sheaves for report in sheaf.reports]
        )

    async def _record(self, group: _Group) -> None:
        """Record all of the group. What is committed has a receipt, whatever happens afterwards."""
        try:
            await self._commit(group)
        except UnavailableError:
            raise  # one by one would only prolong it
        except Exception:  # noqa: BLE001 -- what one event does to us must not fail its companions
            _log.exception("group failed", events=len(group.told))
            await self._commit_one_by_one(group)

    async def _commit(self, group: _Group, most: int = _MOST_IN_GROUP) -> None:
        """Record the next ones, and do again what was undone because others were in the way."""
        end = len(group.receipts) + most
        waits = iter(WAITS)
        while rest := group.told[len(group.receipts) : end]:
            try:
                # Several transactions only if `Reports.receive` leaves some for the next.
                group.receipts += await self._transact(rest)
            except UndoneError:
                wait = next(waits, None)
                if wait is None:
                    raise
                await asyncio.sleep(wait)

    async def _transact(self, told: Sequence[tuple[_Sheaf, Report]]) -> Sequence[Receipt]:
        callers = {sheaf.token: sheaf.ip for sheaf, _ in told}
        async with self._store.begin() as tx:
            actors = await authentication.actors_of_bearers(tx, callers)
            return await self._reports.receive(
                tx, [(actors.get(sheaf.token), report) for sheaf, report in told]
            )

    async def _commit_one_by_one(self, group: _Group) -> None:
        """Those that have no receipt yet, each in a transaction of its own, so that one cannot fail the others."""
        while len(group.receipts) < len(group.told):
            try:
                await self._commit(group, most=1)
            except UnavailableError:
                raise
            except Exception:  # noqa: BLE001 -- as above
                _, report = group.told[len(group.receipts)]
                _log.exception("report failed", kind=report.kind)
                group.receipts.append(Receipt.refused(FailedError()))
