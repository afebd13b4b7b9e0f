"""Deliveries: recorded with their event, leased, sent, settled. The queue of the engine."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from dockbell.domain.breakers import Breaker
from dockbell.domain.deliveries import Order, PauseReason, Result, State, Trigger
from dockbell.domain.interruptions import Interruption, wait_of, worker_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.outcomes import Code, Failed, Fault
from dockbell.domain.values import maker
from dockbell.store import (
    attempts,
    breakers,
    interruptions,
    lanes,
    retries,
    sequences,
    standings,
)
from dockbell.store.dialects.statements import Batch, Move, Moved, Plan, Terms
from dockbell.store.lanes import Outlook
from dockbell.store.tables import deliveries, of_micros, to_micros
from dockbell.store.tables import lanes as lane_rows
from dockbell.store.transactions import Tx

_RESCUE_BATCH = 500
_new_order, _new_move = maker(Order), maker(Move)
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}

_INTERRUPTED = Failed(
    Code.INTERRUPTED,
    "The process that was sending it stopped before it could say what came of it. It may have arrived.",
    fault=Fault.OURS,
)


@dataclass(frozen=True, slots=True)
class Leased:
    """What a lease took, and what it left."""

    orders: Sequence[Order]
    versions: Mapping[
        str, int
    ]  # of their notifications that still exist: when they were last changed
    outlook: Outlook
    breakers: Mapping[str, Breaker] = field(
        default_factory=dict
    )  # those that are open, by host
    front: datetime | None = (
        None  # the first turn of its lanes, if there may be more than fitted
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """What a batch of results changed besides its deliveries."""

    late: Sequence[Result]
    paused: Mapping[str, PauseReason]  # notifications, by id
    resumed: Sequence[str]
    deferred: Sequence[
        Result
    ] = ()  # those of the late ones that are to be settled again, later
    leased: Leased | None = (
        None  # what was asked for, if it could be had together with the rest
    )


class Wish(NamedTuple):
    """What is to be leased: by whom, until when, and how many at most."""

    worker: str
    until: datetime
    limit: int
    # Lanes of which so many may be leased beyond their places, because that many end soon. Only on SQLite, where no
    # other process leases from them.
    ahead: Mapping[str, int] = MappingProxyType({})


async def lease(tx: Tx, worker: str, until: datetime, limit: int) -> Leased:
    """Take up to `limit` deliveries that are due, so that no other worker gets them.

    Lanes take turns: the one served longest ago comes first, and when many have something due, none gets
    more than its share. A delivery whose earlier lease ran out was taken back by `rescue`: its worker died or
    hung, and may already have sent it. Targets can therefore see an event twice.
    """
    return await lease_wished(tx, Wish(worker, until, limit))


async def lease_wished(tx: Tx, wish: Wish) -> Leased:
    """The same, as it is wished for."""
    return await _completed(tx, await tx.hot_run(_leasing(tx, wish)))


def _leasing(tx: Tx, wish: Wish) -> Plan[Leased]:
    dialect, now = tx.dialect, tx.now
    terms = Terms(
        to_micros(now), wish.limit, wish.worker, tx.new_id("lse"), to_micros(wish.until)
    )
    ready, first_turn = yield from dialect.find_ready(
        terms.now, terms.limit, wish.ahead, lanes.WIDTH
    )
    if not ready:
        return Leased((), {}, (yield from lanes.looking(now)))
    front = of_micros(first_turn) if len(ready) == terms.limit else None
    rows, versions = yield from dialect.lease(ready, terms)
    moments = {micros: of_micros(micros) for micros in {row[7] for row in rows}}
    token = terms.token
    orders = [
        _new_order((*row[:4], _TRIGGERS[row[4]], row[5], row[6], moments[row[7]], token, 0))
        for row in rows
    ]
    outlook = Outlook(now, is_crowded=False)
    if len(rows) < terms.limit:
        outlook = yield from lanes.looking(now)
    return Leased(orders, versions, outlook, (yield from breakers.finding_open()), front)


async def _completed(tx: Tx, leased: Leased) -> Leased:
    """The same, the redeliveries among it with where their series began. One query if there are any, else none."""
    orders = leased.orders
    sent_again = [one.delivery_id for one in orders if one.trigger is Trigger.REDELIVER]
    if not sent_again:
        return leased
    rows = await tx.rows(
        select(deliveries.c.id, deliveries.c.attempts_before).where(
            deliveries.c.id.in_(sent_again)
        )
    )
    before = {row.id: row.attempts_before for row in rows}
    orders = [one._replace(attempts_before=before.get(one.delivery_id, 0)) for one in orders]
    return replace(leased, orders=orders)


async def settle(
    tx: Tx, results: Sequence[Result], worker: str, wish: Wish | None = None
) -> Settled:
    """Write down what came of these tries, in the order they ended, and move their deliveries on.

    A delivery moves only if we still hold its lease. A result that comes too late is written down as an
    attempt and changes nothing. Where nothing else follows from the results, as mostly, what is wished for is leased
    in the same steps.
    """
    if not results:
        return Settled((), {}, ())
    once: dict[str, Result] = {}
    again = [
        result
        for result in results
        if once.setdefault(result.order.delivery_id, result) is not result
    ]
    batch = list(once.values())
    weighty, well = standings.weigh(batch)
    ordered = await _ordered_among(tx, batch) if weighty else ()
    settling = tx.dialect.settle(
        Batch(
            [_move_of(result, ordered) for result in batch],
            worker,
            to_micros(tx.now),
            well,
            settles_lanes=not weighty,
        )
    )
    leasing = None if wish is None or again else _leasing(tx, wish)
    moved, leased = await tx.hot_run(_one_after_the_other(settling, leasing))
    late = [batch[place] for place in moved.late]
    too_late = set(moved.late)
    held = [one for place, one in enumerate(batch) if place not in too_late] if late else batch
    weighty |= moved.failing
    paused: Mapping[str, PauseReason] = {}
    resumed: Sequence[str] = ()
    if weighty:
        paused, resumed = await standings.follow(tx, held, weighty)
    retried: Sequence[Result] = ()
    ended: Mapping[str, tuple[int, datetime | None]]
    if {result.decision.due_at for result in held} == {None}:  # none waits again, as mostly
        counted = Counter([result.order.lane_id for result in held])
        ended = {lane_id: (count, None) for lane_id, count in counted.items()}
    else:
        retried = retries.among(held, ordered) if weighty else ()
        leave = {id(result) for result in retried}
        ended = _ended(
            (
                (result.order.lane_id, None if id(result) in leave else result.decision.due_at)
                for result in held
            ),
            retries.due_of(retried),
        )
    if not moved.has_settled_lanes:
        await lanes.settle(tx, ended)
        await retries.move(tx, retried)
        await sequences.hold(tx, _next_tries(held, ordered))
    deferred = [result for result in late if not await _record_late(tx, result, worker)]
    if any(due is not None and due <= tx.now for _, due in ended.values()):
        tx.ring()  # handed back: another process need not wait for its next look
    if leased is not None:
        leased = await _completed(tx, leased)
    done = Settled(late, paused, resumed, deferred, leased)
    if not again:
        return done
    # Two leases of one delivery ended in one batch: at most one of them still stood.
    rest = await settle(tx, again, worker)
    return Settled(
        [*done.late, *rest.late],
        {**done.paused, **rest.paused},
        [*done.resumed, *rest.resumed],
        [*done.deferred, *rest.deferred],
    )


async def _ordered_among(tx: Tx, batch: Sequence[Result]) -> Collection[str]:
    """The lanes in which what waits again keeps its place."""
    return await sequences.find(
        tx, {one.order.lane_id for one in batch if one.decision.state is State.WAITING}
    )


def _next_tries(settled: Sequence[Result], ordered: Collection[str]) -> Mapping[str, datetime]:
    """Until when each of these lanes waits for what failed in it."""
    until: dict[str, datetime] = {}
    if ordered:
        for result in settled:
            lane_id, due = result.order.lane_id, result.decision.due_at
            if lane_id in ordered and due is not None:
                until[lane_id] = max(due, until.get(lane_id, due))
    return until


def _one_after_the_other(
    settling: Plan[Moved], leasing: Plan[Leased] | None
) -> Plan[tuple[Moved, Leased | None]]:
    moved = yield from settling
    if leasing is None or moved.late or not moved.has_settled_lanes:
        return moved, None
    return moved, (yield from leasing)


def _move_of(result: Result, ordered: Collection[str]) -> Move:
    decision, order = result.decision, result.order
    due = None if order.lane_id in ordered else decision.due_at
    return _new_move(
        (
            order.delivery_id,
            order.lease,
            decision.state._value_,
            None if due is None else to_micros(due),
            int(decision.is_charged),
            result.outcome.code._value_,
            order.lane_id,
            attempts.row_of(result),
        )
    )


def _ended(
    leases: Iterable[tuple[str, datetime | None]],
    coming: Mapping[str, datetime | None] = MappingProxyType({}),
) -> Mapping[str, tuple[int, datetime | None]]:
    """For each lane: how many leases ended, and when the earliest delivery that waits again is due.

    Given the lane of each lease and, if its delivery waits again there, when that is due; and the lanes that deliveries
    of others move to, with when the first of them is due. Leases can have ended in those too.
    """
    ended: dict[str, tuple[int, datetime | None]] = {}
    for lane_id, due in leases:
        count, earliest = ended.get(lane_id, (0, None))
        ended[lane_id] = count + 1, _earlier(earliest, due)
    for lane_id, due in coming.items():
        count, earliest = ended.get(lane_id, (0, None))
        ended[lane_id] = count, _earlier(earliest, due)
    return ended


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


async def _record_late(tx: Tx, result: Result, worker: str) -> bool:
    """Write down a late try; False if somebody else holds its delivery just now."""
    delivery_id = result.order.delivery_id
    if not await sequences.keeps_still(tx, result.order.lane_id):
        return False
    counted = await tx.hot(tx.dialect.COUNT_LATE, (delivery_id,))
    if counted:
        await attempts.record_late(tx, counted[0][0], result, worker)
        return True
    row = await tx.first(select(deliveries.c.id).where(deliveries.c.id == delivery_id))
    return row is None  # expunged meanwhile


async def release(
    tx: Tx, orders: Sequence[Order], *, state: State = State.WAITING
) -> Sequence[str]:
    """Give back leases of deliveries that were not tried: no attempt is written, nothing is charged.

    They wait as before, or are cancelled. Return the ids of those whose lease was still ours.
    """
    if not orders:
        return ()
    leases = {order.delivery_id: order.lease for order in orders}
    rows = await tx.rows(
        select(deliveries.c.id, deliveries.c.lane_id, deliveries.c.lease, deliveries.c.due_at)
        .where(deliveries.c.id.in_(leases), deliveries.c.state == State.SENDING.value)
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    held = [row for row in rows if row.lease == leases[row.id]]
    is_waiting = state is State.WAITING
    await _give_back(
        tx,
        [{"of_id": row.id} for row in held],
        state=state.value,
        finished_at=None if is_waiting else tx.now,
    )
    await lanes.settle(
        tx, _ended((row.lane_id, row.due_at if is_waiting else None) for row in held)
    )
    if held and is_waiting:
        tx.ring()
    return [row.id for row in held]


async def _give_back(tx: Tx, rows: Sequence[Mapping[str, Any]], **values: Any) -> None:
    """Update the delivery `of_id` of each row with the values and the row's other parameters."""
    if rows:
        await tx.run(
            update(deliveries)
            .where(deliveries.c.id == bindparam("of_id"))
            .values(leased_by=None, lease=None, leased_until=None, **values),
            list(rows),
        )


async def has_expired(tx: Tx) -> bool:
    """Whether some lease ran out. Reads only."""
    found = await tx.first(
        select(deliveries.c.id)
        .where(deliveries.c.state == State.SENDING.value, deliveries.c.leased_until <= tx.now)
        .limit(1)
    )
    return found is not None


@dataclass(frozen=True, slots=True)
class Rescued:
    """What a rescue took back, by delivery id. `dead` are those it gave up: they are in `all` too."""

    all: Sequence[str]
    dead: Sequence[str]


async def rescue(
    tx: Tx,
    chance: Callable[[], float],
    *,
    own_everything: bool = False,
    except_leases: Collection[str] = (),
) -> Rescued:
    """Take back leases that ran out, some hundreds at most, without charging a try.

    The first time a delivery is due again at once, later it waits longer and longer. The one that probably
    brings workers down is dead (docs/decisions/0004-leases.md), and its owners are told. With `own_everything` no other process can
    hold a lease, so all of them are taken back, but for `except_leases`, which the caller still works on.
    """
    ran_out = deliveries.c.state == State.SENDING.value
    if not own_everything:
        ran_out &= deliveries.c.leased_until <= tx.now
    if except_leases:
        ran_out &= deliveries.c.lease.not_in(except_leases)
    rows = await tx.rows(
        select(
            deliveries.c.id,
            deliveries.c.notification_id,
            deliveries.c.lane_id,
            deliveries.c.attempts,
            deliveries.c.interruptions,
            deliveries.c.leased_by,
            deliveries.c.leased_until,
            deliveries.c.due_at,
        )
        .where(ran_out)
        # Those that were interrupted before come first: who of them is suspect shows among them.
        .order_by(deliveries.c.interruptions.desc(), deliveries.c.leased_until, deliveries.c.id)
        .limit(_RESCUE_BATCH)
        .with_for_update(skip_locked=True)
    )
    guilty = await interruptions.find_guilty(
        tx, [Interruption(row.id, row.interruptions + 1, row.leased_by) for row in rows]
    )
    ordered = await sequences.find(tx, {row.lane_id for row in rows})
    ended: list[tuple[str, datetime | None]] = []
    held: dict[str, datetime] = {}
    moved = []
    for row in rows:
        times = row.interruptions + 1
        is_dead = row.id in guilty
        due = tx.now + wait_of(times, chance())
        ended.append((row.lane_id, None if is_dead else due))
        if row.lane_id in ordered and not is_dead:
            held[row.lane_id] = max(due, held.get(row.lane_id, due))
            due = row.due_at  # its place
        moved.append(
            {
                "of_id": row.id,
                "of_state": (State.DEAD if is_dead else State.WAITING).value,
                "of_due_at": due,
                "of_interruptions": times,
                "of_finished_at": tx.now if is_dead else None,
            }
        )
    await _give_back(
        tx,
        moved,
        state=bindparam("of_state"),
        due_at=bindparam("of_due_at"),
        interruptions=bindparam("of_interruptions"),
        finished_at=bindparam("of_finished_at"),
        attempts=deliveries.c.attempts + 1,
        code=Code.INTERRUPTED.value,
    )
    lost = [
        (row.id, row.attempts + 1, row.leased_until, worker_of(row.leased_by)) for row in rows
    ]
    await attempts.record_interrupted(tx, lost, _INTERRUPTED)
    if guilty:
        await standings.tell_set_aside(
            tx, {row.id: row.notification_id for row in rows if row.id in guilty}
        )
    await lanes.settle(tx, _ended(ended))
    await sequences.hold(tx, held)
    if rows:
        tx.ring()
    dead = [row["of_id"] for row in moved if row["of_state"] == State.DEAD.value]
    return Rescued([row.id for row in rows], dead)


async def expire(tx: Tx, before: datetime, *, limit: int) -> int:
    """End what waits in paused lanes since before then, some at a time; return how many it was.

    Lanes that are served need no look: what is too old is found when it is leased.
    """
    rows = await tx.rows(
        select(deliveries.c.id)
        .join(lane_rows, lane_rows.c.id == deliveries.c.lane_id)
        .where(
            lane_rows.c.is_paused,
            deliveries.c.state == State.WAITING.value,
            deliveries.c.due_at < before,
            deliveries.c.created_at < before,
            deliveries.c.trigger == Trigger.EVENT.value,
        )
        .order_by(deliveries.c.lane_id, deliveries.c.due_at)
        .limit(limit)
        .with_for_update(
            of=deliveries, skip_locked=True
        )  # without their lanes, so it waits for nobody
    )
    if not rows:
        return 0
    return await tx.run(
        update(deliveries)
        .where(
            deliveries.c.id.in_([row.id for row in rows]),
            deliveries.c.state == State.WAITING.value,
        )
        .values(state=State.EXPIRED.value, finished_at=tx.now)
    )


async def cancel_for(tx: Tx, notification_id: str) -> int:
    """Cancel all that waits for the notification, which is going; return how many.

    What is being sent just now ends; if it would be tried again, the engine cancels it then.
    """
    all_of_it = (*lanes.lanes_of(notification_id), lanes.lane_of_tests(notification_id))
    cancelled = await tx.run(
        update(deliveries)
        .where(deliveries.c.lane_id.in_(all_of_it), deliveries.c.state == State.WAITING.value)
        .values(state=State.CANCELLED.value, finished_at=tx.now)
    )
    # An event that is being recorded just now can still add one: the engine must see it to cancel it.
    await lanes.resume(tx, notification_id)
    return cancelled


async def pause(tx: Tx, notification_id: str) -> None:
    """Try nothing of the notification any more: what waits and what comes is parked."""
    await lanes.pause(tx, notification_id)


async def resume(tx: Tx, notification_id: str) -> None:
    """Release all that was parked, in the order it came."""
    await lanes.resume(tx, notification_id)
