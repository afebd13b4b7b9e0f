"""The pruner: ends what nobody is to get any more."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from dockbell.engine.chores import Chore
from dockbell.store import deliveries
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
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self.chore = Chore(self.prune, every, "pruner", "nothing could be pruned")

    async def prune(self) -> int:
        """Let expire what is too old now, in bounded steps; return how many deliveries it was."""
        total = 0
        while True:
            async with self._store.begin() as tx:
                count = await deliveries.expire(tx, self._clock() - self._max_age, limit=_BATCH)
            total += count
            if count < _BATCH:
                break
        if total:
            _log.warning("parked deliveries expired", deliveries=total)
        return total
