"""The engine: everything that delivers in the background, with one start and one stop."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from dockbell.domain.events import EventKind
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.domain.methods import Method
from dockbell.engine import retry
from dockbell.engine.attempt import Attempts
from dockbell.engine.clock_watch import ClockWatch
from dockbell.engine.dispatcher import Dispatcher
from dockbell.engine.messenger import Messenger
from dockbell.engine.outages import Outages
from dockbell.engine.outlet import Mail, Outlet, Sender
from dockbell.engine.pruner import Keep, Pruner
from dockbell.engine.rescuer import Rescuer
from dockbell.engine.retry import Policy
from dockbell.engine.settler import Settler
from dockbell.engine.unfolder import Unfolder
from dockbell.observability.metrics import Metrics
from dockbell.store import clock_jumps
from dockbell.store.bells import listen
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

CONCURRENCY = 256
MAX_AGE = timedelta(days=7)
# So many slow tries may be under way beside the others, for each of those. A slow try costs a socket and little else.
_SLOW_SHARE = 3
# The sender ends a try by itself; this much later we end it from outside.
_GUARD_MARGIN = timedelta(seconds=1)
# What a lease lasts beyond the longest try, for writing down the result.
_LEASE_MARGIN = timedelta(seconds=20)
# Each process sees a jump of the time within this, and leases by the old one until then.
_NOTICING = timedelta(seconds=30)


def most_tries(concurrency: int) -> int:
    """How many tries can be under way at once, the slow ones with the others."""
    return (1 + _SLOW_SHARE) * concurrency


class Engine:
    """Delivers what is due, until it is drained. `start` and `drain` may each be called once.

    `own_everything` says that no other process uses this database, so that leases found at the start belong
    to a process that is gone.
    """

    def __init__(  # noqa: PLR0913 -- the parts it is made of
        self,
        store: Store,
        *,
        kinds: Mapping[str, EventKind],
        methods: Mapping[str, Method],
        links: Links,
        outbound: Sender,
        clock: Clock,
        chance: Callable[[], float],
        worker: str,
        timeout: timedelta,
        policy: Policy = retry.DEFAULT,
        concurrency: int = CONCURRENCY,
        own_everything: bool = False,
        max_age: timedelta = MAX_AGE,
        metrics: Metrics | None = None,
        keep: Keep | None = None,
        steady: Callable[[], float] | None = None,
        mailer: Mail | None = None,
        most_of_host: int = 0,
    ) -> None:
        metrics = metrics or Metrics()
        guard = timeout + _GUARD_MARGIN
        # It can wait for its turn as long as a try lasts.
        lease_span = 2 * guard + _LEASE_MARGIN
        self._longest_lease = lease_span + _NOTICING
        self._outages = Outages(_say_outage)
        attempts = Attempts(
            kinds=kinds,
            methods=methods,
            links=links,
            out=Outlet(store, outbound, mailer),
            clock=clock,
            chance=chance,
            policy=policy,
            guard=guard,
            outages=self._outages,
        )
        self._store = store
        self._own_everything = own_everything
        self._dispatcher = Dispatcher(
            store,
            attempts,
            Settler(store, worker, metrics),
            worker=worker,
            lease_span=lease_span,
            concurrency=concurrency,
            most_slow=_SLOW_SHARE * concurrency,
            max_age=max_age,
            metrics=metrics,
            most_of_host=most_of_host,
        )
        self._rescuer = Rescuer(
            store,
            chance,
            self._dispatcher.leases,
            metrics=metrics,
            steady=steady or (lambda: 0.0),
        )
        self._pruner = Pruner(store, clock, max_age, keep, metrics=metrics)
        self._unfolder = Unfolder(store)
        self._messenger = None if mailer is None else Messenger(store, mailer, links)
        self._clock_watch = None if steady is None else ClockWatch(clock, steady)
        self._listener: asyncio.Task[None] | None = None
        self._has_drained = asyncio.Event()

    def ring(self) -> None:
        """Look for work now. Called by the store after each commit that made deliveries due."""
        self._dispatcher.ring()
        self._unfolder.ring()

    def network_problem(self) -> str | None:
        """What is wrong with this server's own network, as far as tries tell; None if nothing is."""
        return self._outages.problem()

    async def rescue(self) -> int:
        """Take back leases that ran out, but for what this process still works on; return how many."""
        return await self._rescuer.rescue()

    async def look_at_clock(self) -> None:
        """If the time has jumped, have nothing wait longer for that, and nobody lose a lease. Call it when the clock was just set."""
        watch = self._clock_watch
        if watch is None:
            return
        if watch.gone_ahead():
            self._rescuer.leave_alone(self._longest_lease)
            _log.warning("the clock has gone ahead; leases are left alone for a while")
        gone = watch.gone_back()
        if gone is None:
            return
        async with self._store.begin() as tx:
            is_ours = await clock_jumps.set_right(tx, gone)
        watch.begin_anew()
        if is_ours:
            _log.warning("the clock has gone back", seconds=gone.total_seconds())

    async def start(self) -> None:
        """Take back what a former process left, then deliver."""
        await self.look_at_clock()
        await self._rescuer.rescue(own_everything=self._own_everything)
        self._store.bell = self.ring
        self._dispatcher.start()
        self._rescuer.chore.start()
        self._rescuer.chore.ring()  # a former process may have left lanes that say what is not so
        self._pruner.chore.start()
        self._unfolder.chore.start()
        if self._messenger is not None:
            self._messenger.chore.start()
        self._unfolder.ring()  # a former process may have left some
        self._listener = asyncio.create_task(listen(self._store, self.ring), name="listener")

    async def drain(self, within: float) -> None:
        """Lease nothing more; within so many seconds running tries end, or are handed back uncharged.

        What ended is settled before this returns, unless the database is away.
        """
        await self._rescuer.chore.stop()
        await self._pruner.chore.stop()
        await self._unfolder.chore.stop()
        if self._messenger is not None:
            await self._messenger.chore.stop()
        if self._listener is not None:
            self._listener.cancel()
            # It may have broken before: that must not keep what is in hand from being settled.
            await asyncio.wait([self._listener])
            if not self._listener.cancelled() and (error := self._listener.exception()):
                _log.error("listening for bells broke", exc_info=error)
            self._listener = None
        await self._dispatcher.stop(within)
        self._has_drained.set()

    async def hand_back(self) -> None:
        """Have a drain that runs, or begins now, wait for no try: all that is being sent is handed back, uncharged."""
        self._dispatcher.hurry()
        await self._has_drained.wait()


def _say_outage(problem: str | None) -> None:
    if problem is None:
        _log.info("this server's own network is well again")
    else:
        _log.error("this server's own network is down; no target is charged", problem=problem)
