"""Retries: what failed waits in a lane of its own, so that news of the same notification does not stand behind it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select, update

from dockbell.domain.deliveries import Result, State
from dockbell.store import lanes
from dockbell.store.tables import deliveries
from dockbell.store.tables import lanes as lane_rows
from dockbell.store.transactions import Tx


def among(settled: Sequence[Result], ordered: Collection[str]) -> Sequence[Result]:
    """Those of the results whose delivery leaves the news and waits for another try: not from these lanes."""
    return [
        result
        for result in settled
        if result.decision.state is State.WAITING
        and result.decision.is_charged
        and result.order.lane_id == result.order.notification_id
        and result.order.lane_id not in ordered
    ]


def due_of(retried: Sequence[Result]) -> Mapping[str, datetime | None]:
    """When the first of those that come to each lane of retries is due."""
    due: dict[str, datetime | None] = {}
    for result in retried:
        at = result.decision.due_at
        lane_id = lanes.lane_of_retries(result.order.notification_id)
        earliest = due.get(lane_id, at)
        due[lane_id] = at if earliest is None or at is None else min(earliest, at)
    return due


async def move(tx: Tx, retried: Sequence[Result]) -> None:
    """Put these deliveries into their lanes of retries. Call it when all lanes of the batch are settled.

    Those of the news are locked by then, so that no pause comes between reading and following it.
    """
    if not retried:
        return
    ids = sorted({result.order.notification_id for result in retried})
    rows = await tx.rows(
        select(lane_rows.c.id).where(lane_rows.c.id.in_(ids), lane_rows.c.is_paused)
    )
    paused = {row.id for row in rows}
    await lanes.add(
        tx,
        [(lanes.lane_of_retries(one), one, one in paused) for one in ids],
        min(result.decision.due_at or tx.now for result in retried),
        width=lanes.RETRY_WIDTH,
    )
    by_notification: dict[str, list[str]] = {one: [] for one in ids}
    for result in retried:
        by_notification[result.order.notification_id].append(result.order.delivery_id)
    for one, moved in by_notification.items():
        await tx.run(
            update(deliveries)
            .where(deliveries.c.id.in_(moved))
            .values(lane_id=lanes.lane_of_retries(one))
        )
