"""The unfolder: makes the deliveries that an event with very many still lacks."""

import asyncio
from time import perf_counter

import structlog

from dockbell.engine.chores import Chore
from dockbell.store import fan_out
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 5.0
# After each part the database is left alone for as long as it took, so that others who write have their turn.
_LEAST_REST = 0.005


class Unfolder:
    """Looks when a bell rings, and every few seconds because one can be lost. Any number of processes share the parts."""

    def __init__(self, store: Store, *, every: float = EVERY_SECONDS) -> None:
        self._store = store
        self.chore = Chore(self._look, every, "unfolder", "deliveries could not be made")

    def ring(self) -> None:
        self.chore.ring()

    async def unfold(self) -> int:
        """Make all deliveries that are still to be made; return in how many parts."""
        parts = 0
        while True:
            began = perf_counter()
            async with self._store.begin() as tx:
                if not await fan_out.make_part(tx):
                    break
            parts += 1
            await asyncio.sleep(max(_LEAST_REST, perf_counter() - began))
        if parts:
            _log.info("deliveries of large events made", parts=parts)
        return parts

    async def _look(self) -> None:
        async with self._store.read() as tx:
            is_needed = await fan_out.has_parts(tx)
        if is_needed:
            await self.unfold()
