"""Notifications, events and results for tests of the queue, and a recount of its tables."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from dockbell.domain.deliveries import Decision, Order, Result, State, Trigger
from dockbell.domain.events import Event
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Outcome
from dockbell.store import deliveries, events, fan_out, lanes, notifications
from dockbell.store import tables as t
from dockbell.store.events import Placed
from dockbell.store.transactions import Store, Tx
from tests.factories import WEB

LEASE = timedelta(seconds=30)
OK = Delivered(Exchange(status=200))
DOWN = Failed(Code.HTTP_5XX, "The target answered 503.", Exchange(status=503))


async def add_place(tx: Tx) -> None:
    """The organization `acme` with the repository `web`."""
    await tx.run(
        insert(t.namespaces).values(
            id="nsp_acme", name="acme", kind="organization", email=None, created_at=tx.now
        )
    )
    await tx.run(
        insert(t.repositories).values(
            id="rep_web",
            namespace_id="nsp_acme",
            name="web",
            visibility="private",
            description="",
            created_at=tx.now,
        )
    )


async def add_notification(
    tx: Tx,
    *,
    method: str = "webhook",
    url: str = "https://hooks.test/a",
    kind: str = "repo_push",
    event_config: dict[str, object] | None = None,
    in_order: bool = False,
) -> Notification:
    return await notifications.insert(
        tx,
        namespace_id="nsp_acme",
        repository_id="rep_web",
        kind=kind,
        method=method,
        title=None,
        config={"url": url},
        event_config=event_config or {},
        in_order=in_order,
    )


async def prepare(store: Store, count: int = 1) -> list[str]:
    """A repository with so many notifications; return their ids."""
    async with store.begin() as tx:
        await add_place(tx)
        return [(await add_notification(tx)).id for _ in range(count)]


async def record(
    tx: Tx, wanted: Sequence[str | tuple[str, bool]], trigger: Trigger = Trigger.EVENT
) -> Sequence[str]:
    """A new event with a delivery for each notification; return the deliveries' ids."""
    event = Event(
        id=tx.new_id("evt"),
        kind="repo_push",
        subject=WEB,
        body=b'{"updated_tags": ["latest"]}',
        occurred_at=tx.now,
    )
    await events.record_many(tx, [Placed(event, "nsp_acme", "rep_web")])
    return await record_again(tx, event.id, wanted, trigger)


async def record_again(
    tx: Tx,
    event_id: str,
    wanted: Sequence[str | tuple[str, bool]],
    trigger: Trigger = Trigger.EVENT,
) -> Sequence[str]:
    """A delivery of the event for each notification; return the deliveries' ids."""
    pairs = [(one, False) if isinstance(one, str) else one for one in wanted]
    rows = [(event_id, "rep_web", one, is_paused) for one, is_paused in pairs]
    return await fan_out.record(tx, rows, trigger)


async def add_backlog(tx: Tx, notification_id: str, count: int) -> None:
    """So many deliveries that wait in the notification's lane, without their events."""
    await lanes.touch(tx, [(notification_id, notification_id, False)], tx.now)
    await tx.run(
        insert(t.deliveries),
        [
            {
                "id": tx.new_id("dlv"),
                "event_id": tx.new_id("evt"),
                "notification_id": notification_id,
                "lane_id": notification_id,
                "trigger": "event",
                "state": "waiting",
                "due_at": tx.now,
                "created_at": tx.now,
            }
            for _ in range(count)
        ],
    )


async def lease(
    store: Store, limit: int = 500, *, worker: str = "w1", span: timedelta = LEASE
) -> Sequence[Order]:
    async with store.begin() as tx:
        return (await deliveries.lease(tx, worker, tx.now + span, limit)).orders


async def settle(
    store: Store, results: Sequence[Result], *, worker: str = "w1"
) -> deliveries.Settled:
    async with store.begin() as tx:
        return await deliveries.settle(tx, results, worker)


def result_of(
    order: Order,
    outcome: Outcome = OK,
    *,
    state: State = State.DELIVERED,
    due_at: datetime | None = None,
    is_charged: bool = True,
) -> Result:
    decision = Decision(state, due_at, is_charged=is_charged)
    return Result(order, outcome, decision, order.created_at, timedelta(milliseconds=3))


def dead(order: Order, outcome: Outcome = DOWN) -> Result:
    return result_of(order, outcome, state=State.DEAD)


def again(order: Order, due_at: datetime, outcome: Outcome = DOWN) -> Result:
    return result_of(order, outcome, state=State.WAITING, due_at=due_at)


async def rows(store: Store, statement: Any) -> list[tuple[Any, ...]]:
    async with store.read() as tx:
        return [tuple(row) for row in await tx.rows(statement)]


async def states(store: Store) -> dict[str, str]:
    """The state of every delivery, by id."""
    found = await rows(store, select(t.deliveries.c.id, t.deliveries.c.state))
    return {row[0]: row[1] for row in found}


async def attempts(store: Store, delivery_id: str) -> list[tuple[int, str, str]]:
    """Number, outcome and code of every attempt of the delivery."""
    statement = (
        select(t.attempts.c.number, t.attempts.c.outcome, t.attempts.c.code)
        .where(t.attempts.c.delivery_id == delivery_id)
        .order_by(t.attempts.c.number)
    )
    return await rows(store, statement)  # type: ignore[return-value] -- three columns


async def assert_lanes_are_right(store: Store) -> None:
    """The lanes' counters equal a recount, and no lane sleeps through a delivery that waits in it (I6)."""
    counted: dict[str, int] = {}
    earliest: dict[str, datetime] = {}
    for lane_id, state, due_at in await rows(
        store,
        select(t.deliveries.c.lane_id, t.deliveries.c.state, t.deliveries.c.due_at),
    ):
        counted[lane_id] = counted.get(lane_id, 0) + (state == "sending")
        if state == "waiting":
            earliest[lane_id] = min(earliest.get(lane_id, due_at), due_at)
    lanes = await rows(store, select(t.lanes.c.id, t.lanes.c.inflight, t.lanes.c.next_due_at))

    assert {lane_id: inflight for lane_id, inflight, _ in lanes if inflight} == {
        lane_id: count for lane_id, count in counted.items() if count
    }
    noted = {lane_id: next_due_at for lane_id, _, next_due_at in lanes}
    assert [
        lane_id
        for lane_id, due_at in earliest.items()
        if noted[lane_id] is None or noted[lane_id] > due_at
    ] == []
