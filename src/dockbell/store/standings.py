"""Standings: what settled deliveries mean for their notifications (the failure streak, pausing, resuming)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from dockbell.domain.deliveries import PauseReason, Result, Standing, State, Trigger
from dockbell.domain.outcomes import Delivered
from dockbell.store import lanes
from dockbell.store import notifications as store
from dockbell.store.tables import notifications
from dockbell.store.transactions import Tx


async def follow(
    tx: Tx, settled: Sequence[Result]
) -> tuple[Mapping[str, PauseReason], Sequence[str]]:
    """Bring the notifications up to date with these results, given in the order they ended.

    Return those that were paused by it, with the reason, and those that were resumed.
    """
    by_notification: defaultdict[str, list[Result]] = defaultdict(list)
    weighty = set()
    for result in settled:
        by_notification[result.order.notification_id].append(result)
        if _is_weighty(result):
            weighty.add(result.order.notification_id)
    healthy = [
        (notification_id,)
        for notification_id, results in by_notification.items()
        if notification_id not in weighty
        and any(
            isinstance(result.outcome, Delivered) and result.order.trigger is not Trigger.TEST
            for result in results
        )
    ]
    if healthy:
        await tx.hot(tx.dialect.CLEAR_STREAKS, tx.dialect.packed(healthy))
    paused: dict[str, PauseReason] = {}
    resumed: list[str] = []
    for notification_id, before in (await _lock(tx, weighty)).items():
        after = before
        for result in by_notification[notification_id]:
            after = after.after(result.order.trigger, result.outcome, result.decision)
        if after.pause is not None and before.pause is None:
            paused[notification_id] = after.pause
        elif after.pause is None and before.pause is not None:
            resumed.append(notification_id)
        await _write(tx, notification_id, before, after)
    return paused, resumed


def _is_weighty(result: Result) -> bool:
    """Whether it can pause or resume a notification, so that its standing must be read first."""
    if result.order.trigger is Trigger.TEST:
        return isinstance(result.outcome, Delivered)
    return result.decision.state is State.DEAD


async def _lock(tx: Tx, ids: set[str]) -> Mapping[str, Standing]:
    if not ids:
        return {}
    rows = await tx.rows(
        select(
            notifications.c.id,
            notifications.c.failure_streak,
            notifications.c.paused_at,
            notifications.c.pause_reason,
        )
        .where(notifications.c.id.in_(ids))
        .order_by(notifications.c.id)
        .with_for_update()
    )
    return {
        row.id: Standing(
            row.failure_streak,
            None if row.paused_at is None else PauseReason(row.pause_reason),
        )
        for row in rows
    }


async def _write(tx: Tx, notification_id: str, before: Standing, after: Standing) -> None:
    if after.pause is None and before.pause is not None:
        await store.resume(tx, notification_id)
        await lanes.resume(tx, notification_id)
        return
    if after.streak != before.streak:
        await store.set_streak(tx, notification_id, after.streak)
    if after.pause is not None and before.pause is None:
        await store.pause(tx, notification_id, after.pause)
        await lanes.pause(tx, notification_id)
