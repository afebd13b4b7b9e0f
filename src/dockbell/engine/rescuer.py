"""The rescuer: takes back leases whose process died or hung."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from dockbell.store import deliveries
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 5.0


class Rescuer:
    """Looks every few seconds. It only writes when a lease ran out."""

    def __init__(
        self, store: Store, chance: Callable[[], float], *, every: float = EVERY_SECONDS
    ) -> None:
        self._store = store
        self._chance = chance
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="rescuer")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def rescue(self, *, own_everything: bool = False) -> int:
        """Take back every lease that ran out by now; return how many.

        With `own_everything`, those that did not run out too: no other process can hold one.
        """
        total = 0
        while True:
            async with self._store.begin() as tx:
                rescued = await deliveries.rescue(
                    tx, self._chance, own_everything=own_everything
                )
            if not rescued:
                break
            total += len(rescued)
        if total:
            _log.warning("leases taken back", deliveries=total)
        return total

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                async with self._store.read() as tx:
                    is_needed = await deliveries.has_expired(tx)
                if is_needed:
                    await self.rescue()
            except Exception:  # noqa: BLE001 -- the loop must outlive a database that is away
                _log.exception("leases could not be looked at")
