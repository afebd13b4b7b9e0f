"""The settler: keeps what tries came to until it is written down."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import structlog

from dockbell.domain.deliveries import Result
from dockbell.domain.outcomes import NOTHING_SENT
from dockbell.observability.metrics import Metrics
from dockbell.store import deliveries
from dockbell.store.deliveries import Settled, Wish
from dockbell.store.failures import is_passing
from dockbell.store.transactions import Store, Tx

_log = structlog.get_logger("dockbell.engine")


class Settler:
    """Writes results down in batches, in the order they came.

    While the database is away, they are kept for as long as the process lives. A lease that was taken away
    meanwhile makes them late, not wrong.
    """

    def __init__(self, store: Store, worker: str, metrics: Metrics | None = None) -> None:
        self._store = store
        self._worker = worker
        self._metrics = metrics or Metrics()
        self._results: deque[Result] = deque()
        self.put: Callable[[Result], None] = self._results.append

    def __len__(self) -> int:
        return len(self._results)

    def leases(self) -> Iterator[str]:
        return (result.order.lease for result in self._results)

    def batch(self, most: int) -> Sequence[Result]:
        """The results that come next, so many at most. They stay here until `forget`, because a transaction can fail."""
        return list(islice(self._results, most))

    async def settle(
        self, tx: Tx, batch: Sequence[Result], wish: Wish | None = None
    ) -> Settled:
        return await deliveries.settle(tx, batch, self._worker, wish)

    def forget(self, batch: Sequence[Result], settled: Settled) -> None:
        """Call it once the transaction that settled the batch is committed."""
        for _ in batch:
            self._results.popleft()
        self._results.extend(settled.deferred)
        deferred = {id(result) for result in settled.deferred}
        late = [result for result in settled.late if id(result) not in deferred]
        if deferred:
            batch = [result for result in batch if id(result) not in deferred]
        self._metrics.note_settled(batch, late)
        for result in late:
            _log.warning(
                "a result came after its lease had ended", delivery=result.order.delivery_id
            )
        for notification_id, reason in settled.paused.items():
            self._metrics.note_pause(reason.value)
            _log.warning(
                "notification paused", notification=notification_id, reason=reason.value
            )
        for notification_id in settled.resumed:
            _log.info("notification resumed", notification=notification_id)

    async def settle_one_by_one(self, batch: Sequence[Result]) -> None:
        """Keep a result that cannot be written from holding up the others. Raise if the database is away."""
        for result in batch:
            bare = replace(
                result.outcome, detail="The details could not be kept.", exchange=NOTHING_SENT
            )
            for version in (result, result._replace(outcome=bare)):
                try:
                    async with self._store.begin() as tx:
                        settled = await self.settle(tx, [version])
                except Exception as error:
                    if is_passing(error):
                        raise
                    _log.exception(
                        "a result cannot be written", delivery=result.order.delivery_id
                    )
                else:
                    self.forget([result], settled)
                    break
            else:  # its lease will run out, and the delivery is tried again
                self._results.popleft()
