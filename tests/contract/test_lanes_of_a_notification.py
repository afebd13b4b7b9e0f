"""News, retries and redeliveries of one notification travel in lanes of their own."""

from datetime import timedelta

from sqlalchemy import select

from dockbell.domain.deliveries import Trigger
from dockbell.store import deliveries, lanes, redeliveries
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import (
    add_backlog,
    again,
    assert_lanes_are_right,
    dead,
    lease,
    prepare,
    record,
    result_of,
    rows,
    settle,
)

MINUTE = timedelta(minutes=1)


async def add_retries(store: Store, clock: SetClock, notification_id: str, count: int) -> None:
    """So many that failed once and are due again in a minute."""
    async with store.begin() as tx:
        await add_backlog(tx, notification_id, count)
    while orders := await lease(store):
        await settle(store, [again(order, clock() + MINUTE) for order in orders])


async def add_dead(store: Store, notification_id: str, count: int) -> list[str]:
    async with store.begin() as tx:
        await add_backlog(tx, notification_id, count)
    made = []
    while orders := await lease(store):
        await settle(store, [dead(order) for order in orders])
        made += [order.delivery_id for order in orders]
    async with store.begin() as tx:
        await tx.run(t.notifications.update().values(paused_at=None, failure_streak=0))
        await deliveries.resume(tx, notification_id)
    return made


async def send_again(store: Store, notification_id: str, ids: list[str]) -> None:
    async with store.begin() as tx:
        for one in ids:
            await redeliveries.redeliver(tx, one, notification_id, Trigger.REDELIVER, None)


async def lanes_in_use(store: Store) -> list[tuple[object, ...]]:
    statement = select(t.lanes.c.id, t.lanes.c.is_paused).order_by(t.lanes.c.id)
    return await rows(store, statement)


async def spoil(store: Store, lane_id: str, **values: object) -> None:
    async with store.begin() as tx:
        await tx.run(t.lanes.update().where(t.lanes.c.id == lane_id).values(**values))


async def recount(store: Store) -> list[str]:
    async with store.read() as tx:
        wrong = await lanes.find_wrong(tx, "", None)
    async with store.begin() as tx:
        return list(await lanes.recount(tx, wrong))


async def test_lanes_that_count_wrong_are_found_and_put_right(
    store: Store, clock: SetClock
) -> None:
    first, second, third, right = sorted(await prepare(store, 4))
    async with store.begin() as tx:
        for one in (first, second, third, right):
            await add_backlog(tx, one, 3)
    leased = await lease(store, 4)
    await spoil(store, first, inflight=lanes.WIDTH)
    await spoil(store, second, inflight=-5)
    await spoil(store, third, next_due_at=None)

    counted = await recount(store)

    assert (len(leased), counted) == (4, [first, second, third])
    await assert_lanes_are_right(store)
    assert await recount(store) == []


async def test_a_recount_counts_with_what_is_under_way(store: Store, clock: SetClock) -> None:
    """What is leased and not settled stays so, and the lane takes no more than its width."""
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await add_backlog(tx, one, lanes.WIDTH + 10)
    orders = await lease(store)
    await spoil(store, one, inflight=0)

    await recount(store)

    assert (len(orders), await lease(store)) == (lanes.WIDTH, ())
    await settle(store, [result_of(order) for order in orders])
    assert len(await lease(store)) == 10
    await assert_lanes_are_right(store)


async def test_a_lane_that_somebody_holds_is_left_for_the_next_look(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await add_backlog(tx, one, 1)
    await spoil(store, one, inflight=7)
    if store.engine.dialect.name == "postgresql":  # the other has one writer at a time
        async with store.begin() as holder:
            await holder.rows(select(t.lanes.c.id).with_for_update(key_share=True))
            assert await recount(store) == []

    assert await recount(store) == [one]


async def test_news_does_not_stand_behind_what_is_tried_again(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    await add_retries(store, clock, one, 100)
    clock.now += 2 * MINUTE
    async with store.begin() as tx:
        (fresh,) = await record(tx, [one])

    taken = await lease(store, 10)

    assert fresh in {order.delivery_id for order in taken}
    assert len(taken) == 6  # half of ten for the retries, and they are not starved
    await assert_lanes_are_right(store)


async def test_news_does_not_stand_behind_what_is_sent_again(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    await send_again(store, one, await add_dead(store, one, 50))
    clock.now += MINUTE
    async with store.begin() as tx:
        (fresh,) = await record(tx, [one])

    taken = await lease(store, 500)

    assert fresh in {order.delivery_id for order in taken}
    assert len(taken) == 1 + lanes.REDELIVERY_WIDTH
    await assert_lanes_are_right(store)


async def test_a_retry_that_fails_stays_among_the_retries(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    await add_retries(store, clock, one, 1)
    clock.now += MINUTE
    (order,) = await lease(store)
    await settle(store, [again(order, clock() + MINUTE)])
    clock.now += MINUTE
    (last,) = await lease(store)
    await settle(store, [result_of(last)])

    retry = lanes.lane_of_retries(one)
    assert (order.lane_id, last.lane_id, last.tries) == (retry, retry, 2)
    await assert_lanes_are_right(store)


async def test_news_and_retries_that_fail_together_leave_each_lane_as_it_was(
    store: Store, clock: SetClock
) -> None:
    """In one batch: leases of the lane of retries end, and others come to it."""
    (one,) = await prepare(store)
    await add_retries(store, clock, one, 3)
    clock.now += 2 * MINUTE
    async with store.begin() as tx:
        await record(tx, [one])
    orders = await lease(store, 10)
    async with store.begin() as tx:
        await record(tx, [one])
    orders = [*orders, *await lease(store, 10)]

    await settle(store, [again(order, clock() + MINUTE) for order in orders])

    assert len(orders) == 5
    inflight = select(t.lanes.c.id, t.lanes.c.inflight, t.lanes.c.next_due_at)
    assert sorted(await rows(store, inflight)) == [
        (one, 0, None),
        (lanes.lane_of_retries(one), 0, clock() + MINUTE),
    ]
    await assert_lanes_are_right(store)


async def test_what_is_not_charged_stays_among_the_news(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    waiting = again(order, clock() + MINUTE)
    uncharged = result_of(
        order, state=waiting.decision.state, due_at=waiting.decision.due_at, is_charged=False
    )
    await settle(store, [uncharged])
    clock.now += MINUTE

    (later,) = await lease(store)

    assert later.lane_id == one


async def test_a_pause_holds_up_retries_and_redeliveries_and_a_resume_sends_all_in_order(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    again_ids = await add_dead(store, one, 1)
    await add_retries(store, clock, one, 2)
    await send_again(store, one, again_ids)
    clock.now += 2 * MINUTE
    async with store.begin() as tx:
        await deliveries.pause(tx, one)
        await record(tx, [(one, True)])
    paused = (await lanes_in_use(store), list(await lease(store)))

    async with store.begin() as tx:
        await deliveries.resume(tx, one)
    taken = await lease(store)

    assert paused == ([(lane_id, True) for lane_id in sorted(lanes.lanes_of(one))], [])
    news = [order for order in taken if order.lane_id == one]
    assert [order.tries for order in news] == [1, 1, 0]
    assert [order.created_at for order in news] == sorted(order.created_at for order in news)
    assert [order.delivery_id for order in taken if order not in news] == again_ids
    await assert_lanes_are_right(store)


async def test_a_lane_of_retries_that_begins_in_a_pause_is_paused(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    async with store.begin() as tx:
        await deliveries.pause(tx, one)
    await settle(store, [again(order, clock() + MINUTE)])
    clock.now += 2 * MINUTE

    assert await lanes_in_use(store) == [(one, True), (lanes.lane_of_retries(one), True)]
    assert list(await lease(store)) == []


async def test_a_deletion_cancels_what_waits_in_each_lane(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    again_ids = await add_dead(store, one, 1)
    await add_retries(store, clock, one, 1)
    await send_again(store, one, again_ids)
    async with store.begin() as tx:
        await record(tx, [one])
        cancelled = await deliveries.cancel_for(tx, one)

    assert cancelled == 3
