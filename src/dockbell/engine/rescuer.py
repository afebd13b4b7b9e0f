"""The rescuer: takes back leases whose process died or hung, and counts anew what lanes say of themselves."""

import math
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog

from dockbell.engine.chores import Chore
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries, lanes
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 5.0
_PART = 1000  # lanes that are looked at in one query


class Rescuer:
    """Looks every few seconds. It only writes when a lease ran out, or a lane is not what its deliveries say.

    Its first look goes over all lanes, the later ones each over a part of them.

    `in_hand` tells the leases that this process still works on. After an outage of the database they can have run
    out while their results wait to be written down: taking them back would send the same once more.
    `steady` are seconds that only ever grow.
    """

    def __init__(  # noqa: PLR0913 -- made only by Engine
        self,
        store: Store,
        chance: Callable[[], float],
        in_hand: Callable[[], Collection[str]] = frozenset,
        *,
        every: float = EVERY_SECONDS,
        metrics: Metrics | None = None,
        steady: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._steady = steady
        self._not_before = -math.inf  # by it
        self._store = store
        self._chance = chance
        self._in_hand = in_hand
        self._metrics = metrics or Metrics()
        self._has_been_round = False
        self._after = ""  # the last lane that was looked at
        self.chore = Chore(self._look, every, "rescuer", "leases could not be looked at")

    def leave_alone(self, span: timedelta) -> None:
        """Take nothing back for so long: the time has jumped ahead, so that leases ran out while their processes live."""
        self._not_before = self._steady() + span.total_seconds()

    async def rescue(self, *, own_everything: bool = False) -> int:
        """Take back every lease that ran out by now, unless they are to be left alone; return how many.

        With `own_everything`, those that did not run out too: no other process can hold one.
        """
        total = 0
        if not own_everything and self._steady() < self._not_before:
            return total
        while True:
            async with self._store.begin() as tx:
                rescued = await deliveries.rescue(
                    tx,
                    self._chance,
                    own_everything=own_everything,
                    except_leases=self._in_hand(),
                )
            if not rescued.all:
                break
            total += len(rescued.all)
            self._metrics.note_rescue(len(rescued.all), len(rescued.dead))
            for delivery_id in rescued.dead:
                _log.error(
                    "delivery is dead: one process after another stopped while it sent it",
                    delivery=delivery_id,
                )
        if total:
            _log.warning("leases taken back", deliveries=total)
        return total

    async def _look(self) -> None:
        async with self._store.read() as tx:
            is_needed = await deliveries.has_expired(tx)
        if is_needed:
            await self.rescue()
        while await self._recount() and not self._has_been_round:
            pass
        self._has_been_round = True

    async def _recount(self) -> bool:
        """Look over the next lanes and put right those that are wrong; return whether there are more."""
        async with self._store.read() as tx:
            upto = await lanes.next_part(tx, self._after, _PART)
            wrong = await lanes.find_wrong(tx, self._after, upto)
        if wrong:
            async with self._store.begin() as tx:
                counted = await lanes.recount(tx, wrong)
            if counted:
                _log.warning("lanes counted anew", lanes=len(counted), first=counted[0])
        self._after = upto or ""
        return upto is not None
