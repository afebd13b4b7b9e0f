"""The pruner: ends what nobody is to get any more, and throws away what is too old."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from time import perf_counter

import structlog

from dockbell.domain.deliveries import State
from dockbell.domain.late_dataclasses import dataclass
from dockbell.engine.chores import Chore
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries, history
from dockbell.store.history import Step
from dockbell.store.transactions import Store, Tx

_log = structlog.get_logger("dockbell.engine")

EVERY_SECONDS = 60.0
_BATCH = 500
# Rows in one transaction: short enough that nobody who writes notices the wait.
_STEP = 100
_STEPS_AT_ONCE = 200  # then the others have their turn
# After each step the database is left alone for so many times as long as the step took.
_REST = 4.0
_LEAST_REST = 0.02
_AT_ONCE = timedelta()  # nobody looks at it once it has ended
_OLD_NEWS = timedelta(
    days=2
)  # a mail server that was away for longer has owners told by the bell alone

Prune = Callable[[Tx, datetime, str, int], Awaitable[Step]]


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long each kind of row is kept; None means for good."""

    attempts: timedelta | None = None
    events: timedelta | None = None  # with their deliveries, once those are final
    notices: timedelta | None = None
    audit_entries: timedelta | None = None
    tokens: timedelta | None = None  # after their end

    def plan(self) -> list[tuple[str, timedelta, Prune]]:
        """What is to be done, in an order in which an event goes soon after its last delivery."""
        steps: list[tuple[str, timedelta | None, Prune]] = [
            ("attempts", self.attempts, history.prune_attempts),
            ("deliveries", self.events, history.prune_deliveries),
            ("events", self.events, history.prune_events),
            ("notices", self.notices, history.prune_notices),
            ("audit_entries", self.audit_entries, history.prune_audit_entries),
            ("tokens", self.tokens, history.prune_tokens),
            ("app_tokens", self.tokens, history.prune_app_tokens),
            ("owner_mails", _OLD_NEWS, history.prune_owner_mails),
            ("sessions", _AT_ONCE, history.prune_sessions),
            ("authorization_codes", _AT_ONCE, history.prune_authorization_codes),
        ]
        return [(kind, span, prune) for kind, span, prune in steps if span is not None]


class Pruner:
    """Looks once a minute for news that is parked since longer than `max_age`, and lets it expire.

    It is kept and can be redelivered; only nobody is surprised by it when its notification resumes. Then it throws
    away what is kept for long enough, in small steps with a rest after each, so that a lease does not wait.
    """

    def __init__(  # noqa: PLR0913 -- made only by Engine
        self,
        store: Store,
        clock: Callable[[], datetime],
        max_age: timedelta,
        keep: Keep | None = None,
        *,
        every: float = EVERY_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self._keep = keep or Keep()
        self._metrics = metrics or Metrics()
        self.chore = Chore(self._tidy, every, "pruner", "nothing could be pruned")

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

    async def throw_away(self) -> bool:
        """Delete what is kept for long enough, a limited number of rows; return whether there is more."""
        has_more = False
        deleted: dict[str, int] = {}
        for kind, span, prune in self._keep.plan():
            before, after = self._clock() - span, ""
            for _ in range(_STEPS_AT_ONCE):
                began = perf_counter()
                async with self._store.begin() as tx:
                    step = await prune(tx, before, after, _STEP)
                took = perf_counter() - began
                self._metrics.note_pruned(kind, step.deleted)
                deleted[kind] = deleted.get(kind, 0) + step.deleted
                if step.last is None:
                    break
                after = step.last
                await asyncio.sleep(max(_LEAST_REST, _REST * took))
            else:
                has_more = True
        if any(deleted.values()):
            _log.info("old rows deleted", **{kind: n for kind, n in deleted.items() if n})
        return has_more

    async def _tidy(self) -> None:
        await self.prune()
        while await self.throw_away():
            await self.prune()
