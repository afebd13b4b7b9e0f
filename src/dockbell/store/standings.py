"""Standings: what settled tries mean for their notifications, and telling their owners."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, update

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.deliveries import PauseReason, Result, State, Trigger
from dockbell.domain.notifications import INSTANCE
from dockbell.domain.outcomes import Delivered
from dockbell.domain.owner_mails import Tidings
from dockbell.domain.standings import Change, Standing, sentence_of
from dockbell.store import audit_entries, lanes, locks, mail_addresses, notices, owner_mails
from dockbell.store import notifications as store
from dockbell.store.tables import deliveries, namespaces, notifications, repositories
from dockbell.store.transactions import Tx


def weigh(results: Sequence[Result]) -> tuple[set[str], set[str]]:
    """The notifications whose standing these results may change, and those that only had success.

    A success is news only for a notification that was failing.
    """
    weighty: set[str] = set()
    well: set[str] = set()
    kinds = {(type(one.outcome), one.order.trigger) for one in results}
    if kinds == {(Delivered, Trigger.EVENT)}:
        return weighty, {one.order.notification_id for one in results}  # as nearly always
    for result in results:
        is_good = isinstance(result.outcome, Delivered)
        if result.order.trigger is Trigger.TEST:
            if is_good:
                weighty.add(result.order.notification_id)
        else:
            (well if is_good else weighty).add(result.order.notification_id)
    return weighty, well - weighty


async def follow(
    tx: Tx, settled: Sequence[Result], ids: Collection[str]
) -> tuple[Mapping[str, PauseReason], Sequence[str]]:
    """Bring these notifications up to date with the results, given in the order they ended.

    Return those that were paused by it, with the reason, and those that were resumed. Their owners have a notice
    in the same transaction: it is there if and only if the change is.
    """
    by_notification: defaultdict[str, list[Result]] = defaultdict(list)
    for result in settled:
        if result.order.notification_id in ids:
            by_notification[result.order.notification_id].append(result)
    paused: dict[str, PauseReason] = {}
    resumed: list[str] = []
    # All that may be changed, in the order of store.locks. A pause and its notice would take them one by one.
    await locks.hold_owners(tx, by_notification)
    standings = await _lock(tx, set(by_notification))
    paused_too = [lane_id for one in by_notification for lane_id in lanes.lanes_of(one)]
    await locks.take_lanes(tx, {*paused_too, *(one.order.lane_id for one in settled)})
    for notification_id, before in standings.items():
        after = before
        for result in by_notification[notification_id]:
            after = after.after(result.order.trigger, result.outcome, result.decision, tx.now)
        if after.pause is not None and before.pause is None:
            paused[notification_id] = after.pause
        elif after.pause is None and before.pause is not None:
            resumed.append(notification_id)
        await _write(tx, notification_id, before, after)
    return paused, resumed


async def _lock(tx: Tx, ids: set[str]) -> Mapping[str, Standing]:
    if not ids:
        return {}
    rows = await tx.rows(
        select(
            notifications.c.id,
            notifications.c.failure_streak,
            notifications.c.paused_at,
            notifications.c.pause_reason,
            notifications.c.failing_since,
            notifications.c.told_failing_at,
        )
        .where(notifications.c.id.in_(ids))
        .order_by(notifications.c.id)
        .with_for_update()
    )
    return {
        row.id: Standing(
            row.failure_streak,
            None if row.paused_at is None else PauseReason(row.pause_reason),
            row.failing_since,
            row.told_failing_at,
        )
        for row in rows
    }


async def _write(tx: Tx, notification_id: str, before: Standing, after: Standing) -> None:
    change = after.change_since(before, tx.now)
    if after.pause is None and before.pause is not None:
        await store.resume(tx, notification_id)
        await lanes.resume(tx, notification_id)
    else:
        if after.streak != before.streak:
            await store.set_streak(tx, notification_id, after.streak)
        told_at = tx.now if change is Change.FAILING else after.told_failing_at
        if (after.failing_since, told_at) != (before.failing_since, before.told_failing_at):
            await tx.run(
                update(notifications)
                .where(notifications.c.id == notification_id)
                .values(failing_since=after.failing_since, told_failing_at=told_at)
            )
        if after.pause is not None and before.pause is None:
            await store.pause(tx, notification_id, after.pause)
            await lanes.pause(tx, notification_id)
    if change is not None:
        parked = await _count_waiting(tx, notification_id) if change is Change.PAUSED else 0
        more: Mapping[str, object] = {}
        if change is Change.PAUSED:
            reason = after.pause
            more = {"reason": None if reason is None else reason.value, "parked": parked}
        failing_for = tx.now - (after.failing_since or tx.now)
        sentence = sentence_of(change, after.pause, parked, failing_for)
        by_mail = after.is_mailed(change, before, tx.now)
        await _tell(tx, notification_id, change, sentence, more, by_mail=by_mail)


async def tell_set_aside(tx: Tx, notification_of: Mapping[str, str]) -> None:
    """Tell of these deliveries (their notifications, by delivery id), which are given up because processes ended.

    Call it before their lanes are changed: the owners' rows come before them (store.locks).
    """
    await locks.hold_owners(tx, set(notification_of.values()))
    sentence = sentence_of(Change.SET_ASIDE, None, 0)
    for delivery_id, notification_id in sorted(notification_of.items()):
        more = {"delivery": delivery_id}
        await _tell(tx, notification_id, Change.SET_ASIDE, sentence, more)


async def _tell(  # noqa: PLR0913 -- the parts of what is told
    tx: Tx,
    notification_id: str,
    change: Change,
    sentence: str,
    more: Mapping[str, object],
    *,
    by_mail: bool = False,
) -> None:
    """Put a notice into the inbox of the namespace's owner and of the repository's administrators, and a mail in the queue.

    It goes there directly and is no event, so that a notice never triggers a notice. One of a notification that
    was deleted meanwhile is nobody's.
    """
    about = await tx.first(
        select(
            notifications.c.uuid,
            notifications.c.title,
            notifications.c.kind,
            notifications.c.method,
            notifications.c.namespace_id,
            notifications.c.repository_id,
            namespaces.c.name.label("namespace"),
            repositories.c.name.label("repository"),
        )
        .outerjoin(namespaces, namespaces.c.id == notifications.c.namespace_id)
        .outerjoin(repositories, repositories.c.id == notifications.c.repository_id)
        .where(notifications.c.id == notification_id)
    )
    if about is None:
        return
    metadata: dict[str, Any] = {
        **({} if about.namespace is None else {"namespace": about.namespace}),
        "notification": about.uuid,
        "title": about.title,
        "event": about.kind,
        "method": about.method,
        "message": sentence,
        **more,
    }
    if about.repository is not None:
        metadata["repository"] = f"{about.namespace}/{about.repository}"
    if change is Change.PAUSED:
        await _note_pause(tx, about, more)
    await notices.tell_owners(
        tx,
        kind=change.value,
        metadata=metadata,
        namespace_id=about.namespace_id,
        repository_id=about.repository_id,
    )
    if by_mail:
        place = metadata.get("repository") or about.namespace or INSTANCE
        tidings = Tidings(
            change, about.title, about.method, about.kind, str(place), sentence, tx.now
        )
        addresses = await mail_addresses.list_of_owners(
            tx, about.namespace_id, about.repository_id
        )
        await owner_mails.add(tx, addresses, tidings)


async def _count_waiting(tx: Tx, notification_id: str) -> int:
    row = await tx.first(
        select(func.count())
        .select_from(deliveries)
        .where(
            deliveries.c.lane_id.in_(lanes.lanes_of(notification_id)),
            deliveries.c.state == State.WAITING.value,
        )
    )
    return 0 if row is None else int(row[0])


async def _note_pause(tx: Tx, about: Any, more: Mapping[str, object]) -> None:
    """Nobody did it, so the entry has no performer. Quay writes none (quay-compat 8.1, FIX)."""
    place, names = "instance", {}
    if about.namespace is not None:
        place, names = "namespace", {"namespace": about.namespace}
    if about.repository is not None:
        place, names = "repo", {"repo": about.repository, "namespace": about.namespace}
    await audit_entries.add(
        tx,
        SYSTEM,
        f"pause_{place}_notification",
        namespace_id=about.namespace_id,
        repository_id=about.repository_id,
        metadata={
            **names,
            "notification_id": about.uuid,
            "event": about.kind,
            "method": about.method,
            "reason": more.get("reason"),
        },
    )
