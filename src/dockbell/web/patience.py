"""An end to waiting for clients, with one timer for all of them."""

import asyncio
from types import TracebackType


class Patience:
    """`with` it, a task waits so many seconds at most: then `error` is raised in the block, up to a tenth later.

    `asyncio.timeout` sets a timer for each block, which costs more than reading most bodies. A task may be in one
    block at a time.
    """

    def __init__(self, seconds: float, error: type[Exception]) -> None:
        self._seconds = seconds
        self._error = error
        self._until: dict[
            asyncio.Task[object], float
        ] = {}  # those that began first at the front
        self._late: set[asyncio.Task[object]] = set()
        self._look: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can wait")
        self._until[task] = loop.time() + self._seconds
        if self._look is None:
            self._look = loop.call_later(self._seconds / 10, self._end_late)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        if self._until.pop(task, None) is None and task in self._late:
            self._late.discard(task)
            if isinstance(error, asyncio.CancelledError) and task.uncancel() == 0:
                raise self._error from error

    def _end_late(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task, until in list(self._until.items()):
            if until > now:
                break
            del self._until[task]
            self._late.add(task)
            task.cancel()
        again = self._seconds / 10
        self._look = loop.call_later(again, self._end_late) if self._until else None
