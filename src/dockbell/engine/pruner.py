"""The pruner: ends what nobody is to get any more."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from dockbell.domain.deliveries import State
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries
from dockbell.store.failures import is_passing
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 60.0
_BATCH = 500


class Pruner:
    """Looks once a minute for news that is parked since longer than `max_age`, and lets it expire.

    It is kept and can be redelivered; only nobody is surprised by it when its notification resumes.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        max_age: timedelta,
        *,
        every: float = EVERY_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self._every = every
        self._metrics = metrics or Metrics()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="pruner")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def prune(self) -> int:
        """Let expire what is too old now, in bounded steps; return how many deliveries it was."""
        total = 0
        while True:
            async with self._store.begin() as tx:
                count = await deliveries.expire(tx, self._clock() - self._max_age, limit=_BATCH)
            total += count
            self._metrics.note_ended(State.EXPIRED, count)
            if count < _BATCH:
                break
        if total:
            _log.warning("parked deliveries expired", deliveries=total)
        return total

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.prune()
            except Exception as error:  # noqa: BLE001 -- the loop must outlive a database that is away
                if is_passing(error):
                    _log.warning("nothing could be pruned", error=str(error))
                else:
                    _log.exception("nothing could be pruned")
