"""The dispatcher: settles what has ended, leases what is due, and starts the tries."""

import asyncio
import contextlib
import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from dockbell.domain.deliveries import Order, Result, State, Trigger
from dockbell.domain.interruptions import name_of
from dockbell.domain.outcomes import Delivered
from dockbell.engine import pace, throttle
from dockbell.engine.attempt import Attempts, Job, Try
from dockbell.engine.crowd import Crowd
from dockbell.engine.hosts import Hosts
from dockbell.engine.parking import Parking, ahead_of
from dockbell.engine.settler import Settler
from dockbell.engine.shelf import Shelf
from dockbell.engine.width import Width
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries, lanes, throttles
from dockbell.store.deliveries import Leased, Settled, Wish
from dockbell.store.failures import is_passing
from dockbell.store.lanes import Outlook
from dockbell.store.transactions import Store, Tx

_log = structlog.get_logger("dockbell.engine")

POLL_SECONDS = 2.0
_BATCH = 500
# More than one lease takes, so that results do not pile up while a turn takes longer than the tries.
_MOST_SETTLED = 1000
# So many may be leased beyond what fits now: one batch for the hands while a turn settles another.
_MOST_AHEAD = 2 * _BATCH
# Under load a turn waits so long for company, because each has its price. When idle nothing waits.
_GATHER_SECONDS = 0.025
_GATHER_SECONDS_IF_CROWDED = 0.001
# A lane that is full waits for its own results. Taken all together they would be sent together again, and come back
# together: a few at a time go their own ways, and none waits for the turn of all.
_FEW = 24
_SHARE_OF_CROWD = 3
_MANY_IF_PARKED = lanes.WIDTH  # nobody waits for the turn then
_MOST_TOGETHER = 32
_SHARE_TOGETHER = 8
_COMPANY_SECONDS = 0.002
_SWEEP_SECONDS = 0.25
# While a target is as fast as it was, what waits for its places waits for milliseconds.
_LONGEST_PARKED_SECONDS = 0.5
# A try that lasts longer no longer takes a place from the others.
_SLOW_SECONDS = 0.5
_TRIAL_MARGIN = timedelta(seconds=5)
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
# Of a stop, when its time is over:
_SHARE_FOR_HANDING_BACK = 2.0
_SHARE_FOR_SETTLING = 2.0
_NOTHING = Settled((), {}, ())


class Dispatcher:
    """Takes turns. A turn is one transaction that settles the results at hand and leases what there is room for.

    What is seldom, handing back and breakers, has transactions of its own before that one: each of the three takes
    its locks in one order (store.locks), and together they would not.

    There is a turn when results are at hand, when the bell rings, when the next delivery is due, and at the
    latest after the poll interval. No transaction is open between turns, and none while something is sent.
    """

    def __init__(  # noqa: PLR0913 -- made only by Engine
        self,
        store: Store,
        attempts: Attempts,
        settler: Settler,
        *,
        worker: str,
        lease_span: timedelta,
        concurrency: int,
        most_slow: int,
        max_age: timedelta,
        metrics: Metrics | None = None,
        most_of_host: int = 0,
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._settler = settler
        self._worker = worker
        self._lease_span = lease_span
        self._width = Width(concurrency)
        self._concurrency = concurrency
        self._ahead = 0  # so many are leased beyond what fits now, because that many end soon
        self._max_age = max_age
        self._metrics = metrics or Metrics()
        self._shelf = Shelf(attempts.methods, attempts.kinds, attempts.out.sender)
        self._crowd = Crowd()
        trial_span = attempts.guard + _TRIAL_MARGIN
        self._hosts = Hosts(most_slow, trial_span, attempts.chance, most_of_host)
        self._running: dict[Try, None] = {}  # oldest first
        self._has_ended_all = asyncio.Event()  # set while it stops
        self._queue: deque[tuple[Job, float]] = deque()  # leased, and waiting for room
        self._parked = Parking()  # leased too, and waiting for a place of their lane
        # While a turn leases ahead: lanes of which a try did not arrive meanwhile.
        self._unwell: set[str] | None = None
        self._tried: list[Result] = []  # not counted yet
        self._untried: list[Order] = []  # leased, but not to be tried by us
        self._refused: list[Job] = []  # likewise, because their host is busy
        self._noted = self._note_end  # one for all tries
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._is_hurried = False
        self._is_crowded = False  # something is due but has no room in its lane
        self._is_lane_bound = False  # and there were places left for more
        self._enough = self._many()
        # Tries begin a few together: the system has one call to wait for all of their answers.
        self._few = max(1, min(_MOST_TOGETHER, concurrency // _SHARE_TOGETHER))
        self._later: asyncio.TimerHandle | None = None  # begins those that waited for company
        self._longest = attempts.guard.total_seconds()
        # By the loop's clock:
        self._started_at = 0.0
        self._look_at = 0.0  # when something may be due
        self._turned_at = -math.inf  # the end of the last turn
        self._task: asyncio.Task[None] | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._task = asyncio.create_task(self._run(), name="dispatcher")
        self._end_overdue()

    def ring(self) -> None:
        self._look_at = 0.0
        self._wake.set()

    async def stop(self, within: float) -> None:
        """Lease nothing more; let running tries end for so many seconds, then have them hand back.

        All results are settled, unless the database is away.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within
        self._is_stopping = True
        self._wake.set()
        self._untried += [job.order for job, _ in self._queue]
        self._untried += [job.order for job in self._parked]
        self._queue.clear()
        self._parked.clear()
        await self._let_end(0.0 if self._is_hurried else within)
        if self._sweep is not None:
            self._sweep.cancel()
        for one in list(self._running):
            one.stop()
        await self._let_end(_SHARE_FOR_HANDING_BACK)
        for one in self._running:  # a method that cannot be stopped
            _log.error(
                "a try does not end; its lease will run out",
                delivery=one.job.order.delivery_id,
            )
        self._running.clear()
        self._wake.set()
        if self._task is not None:
            left = max(_SHARE_FOR_SETTLING, ends_at - loop.time())
            await asyncio.wait([self._task], timeout=left)
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        await self._release([*self._untried, *(job.order for job in self._refused)])

    def hurry(self) -> None:
        """While it stops, or before: let running tries have no more time, and have them hand back now."""
        self._is_hurried = True
        if self._is_stopping:
            for one in list(self._running):
                one.stop()

    async def _let_end(self, within: float) -> None:
        if self._running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, within)):
                    await self._has_ended_all.wait()

    def leases(self) -> Collection[str]:
        """The leases of tries that this process makes, or has made and not written down yet."""
        longest = self._longest + 2 * _SWEEP_SECONDS
        return {
            *(one.job.order.lease for one in self._running if one.seconds < longest),
            *(job.order.lease for job, _ in self._queue),
            *(job.order.lease for job in self._parked),
            *(order.lease for order in self._untried),
            *(job.order.lease for job in self._refused),
            *self._settler.leases(),
        }

    async def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._is_over():
            pause = self._seconds_to_next_turn()
            if pause <= 0:
                try:
                    await self._turn()
                    wait = _FIRST_WAIT
                    continue
                except Exception as error:  # noqa: BLE001 -- the loop must outlive whatever fails
                    if is_passing(error):
                        _log.warning("the database does not answer", error=str(error))
                    else:
                        _log.exception("a turn failed")
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                continue
            self._wake.clear()
            timer = asyncio.get_running_loop().call_later(pause, self._wake.set)
            await self._wake.wait()
            timer.cancel()

    def _is_over(self) -> bool:
        return self._is_stopping and not self._running and not len(self._settler)

    def _seconds_to_next_turn(self) -> float:
        now = self._loop.time()
        in_haste = self._is_crowded and not self._parked
        gather = _GATHER_SECONDS_IF_CROWDED if in_haste else _GATHER_SECONDS
        in_company = self._turned_at + gather - now
        results, room, many = len(self._settler), self._room(), self._many()
        pause = POLL_SECONDS
        if results:
            pause = 0.0 if results >= many else in_company
        if (self._untried or self._refused) and not self._is_stopping:
            pause = min(pause, in_company)
        if room > 0 and not self._is_stopping:
            look = self._look_at - now
            pause = min(pause, look if room >= many else max(look, in_company))
        return pause

    def _room(self) -> int:
        return self._places() + self._ahead - len(self._running) - len(self._queue)

    def _places(self) -> int:
        """For so many tries at once there is room; slow ones do not count against the others."""
        return self._concurrency + self._hosts.slow_count

    def _many(self) -> int:
        """So many results, or so much room, make a turn worth it at once."""
        if self._is_lane_bound:
            return _MANY_IF_PARKED if self._parked else _FEW
        return max(1, self._concurrency // 2, min(self._ahead, _BATCH))

    async def _turn(self) -> None:
        tried, self._tried = self._tried, []
        self._metrics.note_tries(tried)
        batch, room, more = self._plan()
        untried, self._untried = self._untried, []
        refused, self._refused = self._refused, []
        judged = self._hosts.judge(batch)
        if judged.is_out_of_sockets:
            self._width.note_shortage()
        self._look_at = math.inf  # a bell from here on counts
        self._unwell = set() if more else None
        jobs: Sequence[Job] = ()
        settled, outlook = _NOTHING, Outlook(None, is_crowded=False)
        try:
            await self._hand_back(untried, refused)
            untried, refused = [], []
            if judged.changes_breakers:
                async with self._store.begin() as tx:
                    await self._hosts.write(tx, judged)
            async with self._store.begin() as tx:
                wish = self._wish(tx, room, more)
                if batch:
                    settled = await self._settle(tx, batch, wish)
                if wish is not None:
                    leased = settled.leased or await deliveries.lease_wished(tx, wish)
                    jobs, outlook = await self._complete(tx, leased)
        except BaseException as error:
            self._look_at = 0.0
            self._untried += untried
            self._refused += refused
            if batch and isinstance(error, Exception) and not is_passing(error):
                _log.exception("results cannot be written together", results=len(batch))
                await self._settler.settle_one_by_one(batch)
                return
            raise
        self._settler.forget(batch, settled)
        self._hosts.keep(judged)
        now = self._loop.time()
        self._turned_at = now
        if self._is_stopping:
            self._untried += [job.order for job in jobs]
            return
        self._take_in(jobs, more, now)
        self._start_some()
        self._is_crowded = outlook.is_crowded
        self._look_at = min(self._look_at, now + self._pause_after(outlook, len(jobs)))

    def _plan(self) -> tuple[Sequence[Result], int, Mapping[str, int]]:
        """What a turn settles, how many it may lease, and of which lanes how many more than they have places for."""
        count = len(self._settler)
        is_full = len(self._running) + len(self._queue) + count >= self._places()
        self._is_lane_bound = self._is_crowded and not is_full
        few = max(_FEW, count // _SHARE_OF_CROWD)
        takes_few = self._is_lane_bound and not self._parked
        batch = self._settler.batch(few if takes_few else _MOST_SETTLED)
        # While there is more than fits, twice as many are leased ahead as ended since the last turn: for those
        # that end during this one, and during the next. A turn that only leases must not forget at once how
        # many that was, or nothing is under way until the next.
        ahead = max(2 * len(batch), self._ahead // 2)
        self._ahead = min(ahead, _MOST_AHEAD) if is_full else 0
        self._enough = self._many()
        # What no turn has settled yet is still ours: leasing on would only make more of it.
        room = self._room() - (len(self._settler) - len(batch))
        may_park = self._is_lane_bound and self._store.is_sqlite
        return batch, room, ahead_of(batch) if may_park else {}

    async def _hand_back(self, untried: Sequence[Order], refused: Sequence[Job]) -> None:
        if untried or refused:
            async with self._store.begin() as tx:
                await deliveries.release(tx, untried)
                rest_of = self._hosts.rest_of
                await _hold(tx, [(job, tx.now + rest_of(job.host)) for job in refused])

    async def _settle(self, tx: Tx, batch: Sequence[Result], wish: Wish | None) -> Settled:
        settled = await self._settler.settle(tx, batch, wish)
        await throttles.hold(tx, throttle.holds_of(batch, tx.now, self._attempts.policy))
        return settled

    def _wish(self, tx: Tx, room: int, ahead: Mapping[str, int]) -> Wish | None:
        if room <= 0 or self._is_stopping:
            return None
        uptime = timedelta(seconds=self._loop.time() - self._started_at)
        worker, until = name_of(self._worker, uptime), tx.now + self._lease_span
        return Wish(worker, until, min(room, _BATCH), ahead)

    def _take_in(self, jobs: Sequence[Job], ahead: Mapping[str, int], now: float) -> None:
        """Have these tried, as soon as there is room and their lanes have a place."""
        if not self._parked and not ahead:
            self._queue.extend((job, now) for job in jobs)
            return
        unwell, self._unwell = self._unwell, None
        self._queue.extend(self._parked.take(jobs, ahead, now))
        busy = Counter([one.job.order.lane_id for one in self._running])
        busy.update([job.order.lane_id for job, _ in self._queue])
        self._queue.extend(self._parked.fill(busy))
        for lane_id in unwell or ():
            self._leave(lane_id)

    async def _complete(self, tx: Tx, leased: Leased) -> tuple[Sequence[Job], Outlook]:
        """What of the leased is to be tried now. The rest is given back, held or ended."""
        if not leased.orders:
            return (), leased.outlook
        orders = leased.orders
        oldest = tx.now - self._max_age
        is_old = min([one.created_at for one in orders]) < oldest
        if is_old and (expired := [one for one in orders if is_expired(one, oldest)]):
            ended = await deliveries.release(tx, expired, state=State.EXPIRED)
            tx.after.append(partial(self._metrics.note_ended, State.EXPIRED, len(ended)))
            orders = [one for one in orders if not is_expired(one, oldest)]
        jobs, orphans = await self._shelf.complete(tx, orders, leased.versions)
        await self._crowd.take_turns(tx, jobs, leased.front)
        ended = await deliveries.release(tx, orphans, state=State.CANCELLED)
        tx.after.append(partial(self._metrics.note_ended, State.CANCELLED, len(ended)))
        jobs, held = await self._hosts.sift(tx, jobs, leased.breakers)
        jobs, too_many, rests = pace.sift(jobs)
        if not held and not rests:
            return jobs, leased.outlook
        await _hold(tx, held)
        await deliveries.release(tx, too_many)
        await throttles.hold(
            tx, {one: tx.now + rest for one, rest in rests.items()}, throttles.PACED
        )
        return jobs, await lanes.outlook(tx)

    def _pause_after(self, outlook: Outlook, taken: int) -> float:
        """After how many seconds something may be due."""
        if outlook.next_due_at is None:
            return POLL_SECONDS
        seconds = (outlook.next_due_at - self._attempts.clock()).total_seconds()
        # What is due but was not taken is just being leased, or recorded, by somebody else.
        least = 0.0 if taken else _GATHER_SECONDS
        return max(least, min(seconds, POLL_SECONDS))

    async def _release(self, orders: Sequence[Order]) -> None:
        if orders:
            try:
                async with self._store.begin() as tx:
                    await deliveries.release(tx, orders)
            except Exception:  # noqa: BLE001 -- then they are rescued when their leases run out
                _log.exception("leases could not be given back", deliveries=len(orders))

    def _start_some(self) -> None:
        """Begin to try what was leased, as far as there is room."""
        now, longest, places = self._loop.time(), self._longest, self._places()
        queue, running, hosts = self._queue, self._running, self._hosts
        started_at = self._attempts.clock()  # of all that begin together
        while queue and len(running) < places:
            job, leased_at = queue.popleft()
            if now - leased_at > longest:  # what waited too long for room goes back
                self._untried.append(job.order)
            elif (
                (hosts.slow_count or hosts.most_of_one)
                and hosts.is_full(job.host)
                and job.order.trigger is not Trigger.TEST
            ):
                self._refused.append(job)
            else:
                one = Try(self._attempts, job, self._noted, started_at)
                running[one] = None
                if hosts.most_of_one:
                    hosts.note_begin(job.host)
                one.begin()

    def _start_together(self) -> None:
        """Begin as soon as there is room for a few tries, or a moment later."""
        if self._is_lane_bound or len(self._running) + self._few <= self._places():
            self._start_some()
        elif self._later is None:
            self._later = self._loop.call_later(_COMPANY_SECONDS, self._start_rest)

    def _start_rest(self) -> None:
        self._later = None
        self._start_some()

    def _note_end(self, one: Try, result: Result | None) -> None:
        """A try is over; without a result if it broke."""
        try:
            del self._running[one]
        except KeyError:  # one that did not end when all was over: its lease runs out
            return
        job = one.job
        if self._hosts.most_of_one:
            self._hosts.note_end(job.host)
        if one.is_slow:
            self._hosts.note_end_of_slow(job.host)
        if result is not None:
            self._settler.put(result)
            self._tried.append(result)
        if self._parked or self._unwell is not None:
            self._follow(job.order.lane_id, result)
        if self._queue:
            self._start_together()
        count = len(self._settler)
        if count == 1 or count == self._enough:  # noqa: PLR1714 -- nothing to be made for it
            self._wake.set()
        if self._is_stopping and not self._running:
            self._has_ended_all.set()
            self._wake.set()

    def _follow(self, lane_id: str, result: Result | None) -> None:
        """A place of the lane is free: for the next that waits for it, or for none, if its target is not well any more."""
        if result is not None and isinstance(result.outcome, Delivered):
            following = self._parked.next_of(lane_id)
            if following is not None:
                self._queue.append(following)
        else:
            self._leave(lane_id)
            if self._unwell is not None:
                self._unwell.add(lane_id)

    def _leave(self, lane_id: str) -> None:
        """Give back what waits for places of this lane."""
        self._untried += [job.order for job in self._parked.leave(lane_id)]

    def _end_overdue(self) -> None:
        """Stop tries that outlast the guard, and count the slow. One sweep is cheaper than a timer for each try."""
        self._concurrency = self._width.adjust()
        longest = self._longest + _SWEEP_SECONDS
        found_slow = False
        for one in list(self._running):
            seconds = one.seconds
            if seconds < _SLOW_SECONDS:
                break
            if not one.is_slow and self._hosts.has_room_for_slow():
                one.is_slow = found_slow = True
                self._hosts.note_slow(one.job.host)
            if seconds >= longest:
                one.stop()
        if self._parked:
            too_old = self._parked.give_up(self._loop.time() - _LONGEST_PARKED_SECONDS)
            self._untried += [job.order for job in too_old]
        if found_slow:
            self._start_some()
            self._wake.set()
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._end_overdue)


def is_expired(order: Order, oldest: datetime) -> bool:
    """Whether the news is too old to be sent. What somebody asked for by hand is never too old."""
    return order.trigger is Trigger.EVENT and order.created_at < oldest


async def _hold(tx: Tx, held: Sequence[tuple[Job, datetime]]) -> None:
    """Give these leases back, uncharged, and lease nothing more of their lanes before those times."""
    await deliveries.release(tx, [job.order for job, _ in held])
    by_host: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
    for job, until in held:
        by_host[job.host or ""][job.order.lane_id] = until
    for host, until_of in sorted(by_host.items()):
        await lanes.hold(tx, until_of, host)
