"""Chores: small work that the engine does every few seconds."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from dockbell.store.failures import is_passing

_log = structlog.get_logger("dockbell.engine")


# Who rings more often is heard so often.
_LEAST_PAUSE = 0.25


class Chore:
    """Does its work every so many seconds, or when it is rung for, until it is stopped; outlives a database that is away.

    `trouble` is what the log says when it could not be done.
    """

    def __init__(
        self, work: Callable[[], Awaitable[object]], every: float, name: str, trouble: str
    ) -> None:
        self._work = work
        self._every = every
        self._name = name
        self._trouble = trouble
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ring(self) -> None:
        """Do the work soon."""
        self._bell.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        pause = min(self._every, _LEAST_PAUSE)
        while True:
            await asyncio.sleep(pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every - pause):
                    await self._bell.wait()
            self._bell.clear()
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 -- the loop must outlive a database that is away
                if is_passing(error):
                    _log.warning(self._trouble, error=str(error))
                else:
                    _log.exception(self._trouble)
