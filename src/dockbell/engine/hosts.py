"""Hosts: how many slow tries each has under way, and whether its breaker is open."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from dockbell.domain.breakers import Breaker
from dockbell.domain.deliveries import Result, Trigger
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Code, Delivered
from dockbell.engine import breaker
from dockbell.engine.attempt import Job
from dockbell.store import breakers
from dockbell.store.transactions import Tx

_log = structlog.get_logger("dockbell.engine")

_MOST_SLOW_OF_ONE = 64
_MOST_REMEMBERED = 10_000
_BUSY_REST = timedelta(seconds=1)
_FULL_REST = timedelta(milliseconds=100)  # its tries are quick: it has room again soon


@dataclass(slots=True)
class Judgement:
    """What a batch of results means for hosts. It counts once the batch is settled."""

    failures: dict[str, int] = field(default_factory=dict)  # in a row, by host
    opened: dict[str, str] = field(default_factory=dict)  # to the code that opened it
    failed_trials: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    is_out_of_sockets: bool = False  # this process is, whatever the host

    @property
    def changes_breakers(self) -> bool:
        return bool(self.opened or self.failed_trials or self.closed)


class Hosts:
    """What one process knows of the hosts that tries go to.

    A slow try does not count against the places of the others, but each host has only so many: with all places
    taken by a host that hangs, news for everybody else would wait until its tries run out of time. `most_of_one` is
    how many tries of any kind a host gets at once, if that is limited.
    """

    def __init__(
        self,
        most_slow: int,
        trial_span: timedelta,
        chance: Callable[[], float],
        most_of_one: int = 0,
    ) -> None:
        self.most_of_one = most_of_one
        self._under_way: Counter[str] = Counter()  # if that is limited
        self._most_slow = most_slow
        self._trial_span = trial_span
        self._chance = chance
        self._slow: Counter[str] = Counter()
        self._failures: dict[str, int] = {}
        self._open: Mapping[str, Breaker] = {}
        self._trials: dict[str, str] = {}  # host to the delivery that is its trial
        self.slow_count = 0

    def note_slow(self, host: str | None) -> None:
        self.slow_count += 1
        if host is not None:
            self._slow[host] += 1

    def has_room_for_slow(self) -> bool:
        return self.slow_count < self._most_slow

    def note_end_of_slow(self, host: str | None) -> None:
        self.slow_count -= 1
        if host is not None:
            self._slow[host] -= 1
            if not self._slow[host]:
                del self._slow[host]

    def note_begin(self, host: str | None) -> None:
        """A try begins. Nobody need call it while hosts get as many as there are."""
        if host is not None:
            self._under_way[host] += 1

    def note_end(self, host: str | None) -> None:
        """It is over."""
        if host is not None:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]

    def is_full(self, host: str | None) -> bool:
        """Whether the host has all the tries under way that it may have."""
        if self.most_of_one and self._under_way.get(host or "", 0) >= self.most_of_one:
            return True
        return self._is_full_of_slow(host)

    def rest_of(self, host: str | None) -> timedelta:
        """How long after it was full the host is looked at again."""
        return _BUSY_REST if self._is_full_of_slow(host) else _FULL_REST

    def _is_full_of_slow(self, host: str | None) -> bool:
        """Whether it has all the slow ones that it may have beside the other slow hosts."""
        if host is None or host not in self._slow:
            return False
        share = max(1, min(_MOST_SLOW_OF_ONE, self._most_slow // len(self._slow)))
        return self._slow[host] >= share

    def judge(self, results: Sequence[Result]) -> Judgement:
        """What these results, in the order they ended, mean for their hosts."""
        found = Judgement()
        is_calm = not (self._failures or self._open or self._trials)
        if is_calm and {type(one.outcome) for one in results} == {Delivered}:
            return found  # as nearly always
        found.is_out_of_sockets = Code.OUT_OF_SOCKETS in {one.outcome.code for one in results}
        for result in results:
            host, outcome = result.host, result.outcome
            if host is None:
                continue
            is_trial = self._trials.get(host) == result.order.delivery_id
            if breaker.is_up(outcome):
                if host in self._failures or host in found.failures:
                    found.failures[host] = 0
                    found.opened.pop(host, None)
                if host in self._open or is_trial:
                    found.closed.add(host)
            elif breaker.is_down(outcome):
                count = found.failures.get(host, self._failures.get(host, 0)) + 1
                found.failures[host] = count
                if is_trial:
                    found.failed_trials.add(host)
                elif count >= breaker.FAILURES_TO_OPEN and host not in self._open:
                    found.opened.setdefault(host, outcome.code.value)
        return found

    async def write(self, tx: Tx, found: Judgement) -> None:
        """Write down what a judgement changes. A second time it changes nothing that matters."""
        await breakers.take(tx, {*found.failed_trials, *found.closed})
        for host, code in sorted(found.opened.items()):
            wait = breaker.wait_of(0, self._chance())
            if await breakers.open_for(tx, host, code, tx.now + wait):
                tx.after.append(
                    partial(
                        _log.warning,
                        "a host is left alone: its breaker opened",
                        host=host,
                        failures=found.failures[host],
                        code=code,
                        seconds=round(wait.total_seconds()),
                    )
                )
        for host in sorted(found.failed_trials - found.closed):
            failed = self._open[host].failed_trials + 1 if host in self._open else 1
            await breakers.reopen(tx, host, tx.now + breaker.wait_of(failed, self._chance()))
        if found.closed:
            for host in await breakers.close(tx, found.closed):
                tx.after.append(
                    partial(_log.info, "a host is back: its breaker closed", host=host)
                )

    def keep(self, found: Judgement) -> None:
        """Call it once the batch of the judgement is settled."""
        for host, count in found.failures.items():
            if count:
                self._failures[host] = count
            else:
                self._failures.pop(host, None)
        if len(self._failures) > _MOST_REMEMBERED:
            self._failures.clear()
        for host in found.failed_trials | found.closed:
            self._trials.pop(host, None)
        if found.closed:
            self._open = {
                host: one for host, one in self._open.items() if host not in found.closed
            }

    async def sift(
        self, tx: Tx, jobs: Sequence[Job], open_breakers: Mapping[str, Breaker]
    ) -> tuple[Sequence[Job], Sequence[tuple[Job, datetime]]]:
        """Part jobs that may be tried now from those that are to be held, with the time until which.

        A test is always tried: somebody waits for what it says.
        """
        self._open = open_breakers
        if not self._open:
            return jobs, ()
        good, held = [], []
        for job in jobs:
            known = None if job.host is None else self._open.get(job.host)
            if known is None or job.order.trigger is Trigger.TEST:
                good.append(job)
            elif known.open_until > tx.now:
                held.append((job, known.open_until))
            elif await self._is_trial(tx, known, job):
                good.append(job)
            else:
                held.append((job, tx.now + self._trial_span))
        return good, held

    async def _is_trial(self, tx: Tx, known: Breaker, job: Job) -> bool:
        if known.trial_until is not None and known.trial_until > tx.now:
            return False  # as the database would answer, for each job of a backlog
        until = tx.now + self._trial_span
        if not await breakers.take_trial(tx, known.host, until):
            return False
        self._trials[known.host] = job.order.delivery_id
        self._open = {**self._open, known.host: replace(known, trial_until=until)}
        return True
