"""A notification that is sent in order: what happens around its queue, on both databases."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from dockbell.domain.deliveries import Trigger
from dockbell.domain.records import DeliveryFilter
from dockbell.engine.retry import Policy
from dockbell.store import (
    deliveries,
    fan_out,
    locks,
    redeliveries,
    redelivery_jobs,
    sequences,
    throttles,
)
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.engines import INTAKE, add, push, record, running, until, until_states
from tests.queues import (
    DOWN,
    add_notification,
    again,
    assert_lanes_are_right,
    dead,
    lease,
    prepare,
    result_of,
    rows,
    settle,
)
from tests.queues import record as record_for
from tests.receiver import Receiver

MINUTE = timedelta(minutes=1)


async def make(store: Store, count: int, clock: SetClock) -> tuple[str, list[str]]:
    """A notification that is sent in order, and so many deliveries for it, a second after each other."""
    (one,) = await prepare(store)
    made: list[str] = []
    async with store.begin() as tx:
        await sequences.begin(tx, one)
    for _ in range(count):
        async with store.begin() as tx:
            made += await record_for(tx, [one])
        clock.move(seconds=1)
    return one, made


async def take(store: Store) -> list[str]:
    """What a lease takes, each delivered."""
    orders = await lease(store)
    await settle(store, [result_of(order) for order in orders])
    return [order.delivery_id for order in orders]


async def test_the_next_is_sent_when_the_one_before_has_arrived_or_was_given_up(
    store: Store, clock: SetClock
) -> None:
    _, (first, second, third) = await make(store, 3, clock)

    (one,) = await lease(store)
    nothing = await lease(store)
    await settle(store, [result_of(one)])
    (two,) = await lease(store)
    await settle(store, [dead(two)])
    rest = await take(store)

    assert ([one.delivery_id, two.delivery_id, *rest], list(nothing)) == (
        [first, second, third],
        [],
    )
    await assert_lanes_are_right(store)


@pytest.mark.parametrize("is_charged", [True, False])
async def test_what_fails_keeps_its_place_and_the_others_wait_for_its_next_try(
    store: Store, clock: SetClock, *, is_charged: bool
) -> None:
    one, made = await make(store, 3, clock)
    async with store.begin() as tx:
        other = (await add_notification(tx)).id
        await record_for(tx, [other])
    (failing, _) = await lease(store)
    due = clock() + MINUTE
    await settle(
        store,
        [
            result_of(
                failing, DOWN, state=again(failing, due).decision.state, due_at=due,
                is_charged=is_charged,
            )
        ],
    )  # fmt: skip
    async with store.begin() as tx:
        (fresh,) = await record_for(tx, [other])

    meanwhile = await take(store)
    clock.now = due
    then = [await take(store) for _ in range(3)]

    assert meanwhile == [fresh]
    assert then == [[one] for one in made]
    found = select(t.deliveries.c.tries, t.deliveries.c.attempts).where(
        t.deliveries.c.id == made[0]
    )
    assert await rows(store, found) == [(1 + is_charged, 2)]
    assert one == failing.lane_id
    await assert_lanes_are_right(store)


async def test_what_is_made_in_one_transaction_keeps_its_order(
    store: Store, clock: SetClock
) -> None:
    one, _ = await make(store, 0, clock)
    async with store.begin() as tx:
        made = [(await record_for(tx, [one]))[0] for _ in range(5)]

    assert [await take(store) for _ in range(5)] == [[each] for each in made]


async def test_order_begins_with_what_waits_already(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    made: list[str] = []
    for _ in range(4):
        async with store.begin() as tx:
            made += await record_for(tx, [one])
        clock.move(seconds=1)
    first, second, third, _ = await lease(store)
    await settle(store, [dead(first), again(second, clock() + MINUTE), result_of(third)])
    async with store.begin() as tx:
        await redeliveries.redeliver(tx, first.delivery_id, one, Trigger.REDELIVER, None)

    async with store.begin() as tx:
        await sequences.begin(tx, one)
    still_sending = await lease(store)
    async with store.begin() as tx:
        await deliveries.rescue(tx, lambda: 0.0, own_everything=True)
    taken = [await take(store) for _ in range(3)]

    assert list(still_sending) == []
    assert taken == [[made[0]], [made[1]], [made[3]]]
    await assert_lanes_are_right(store)


async def test_order_ends_and_all_goes_out_at_once(store: Store, clock: SetClock) -> None:
    one, made = await make(store, 3, clock)
    (first,) = await lease(store)
    await settle(store, [again(first, clock() + MINUTE)])

    async with store.begin() as tx:
        await sequences.end(tx, one)

    assert await take(store) == made
    await assert_lanes_are_right(store)


async def test_a_resume_a_reset_and_a_redelivery_do_not_wait_for_the_next_try(
    store: Store, clock: SetClock
) -> None:
    one, (first, *_) = await make(store, 2, clock)
    taken = []
    for step in range(3):
        (order,) = await lease(store)
        await settle(store, [again(order, clock() + MINUTE)])
        async with store.begin() as tx:
            if step == 0:
                await deliveries.pause(tx, one)
                await deliveries.resume(tx, one)
            elif step == 1:
                await throttles.lift(tx, one)
            else:
                await redeliveries.redeliver(tx, first, one, Trigger.REDELIVER, None)
        taken.append(order.delivery_id)

    assert [*taken, *await take(store)] == [first] * 4
    await assert_lanes_are_right(store)


async def test_what_is_sent_again_goes_before_later_events(
    store: Store, clock: SetClock
) -> None:
    one, made = await make(store, 5, clock)
    for _ in range(3):
        await take(store)
    async with store.begin() as tx:
        await redeliveries.redeliver(tx, made[1], one, Trigger.REDELIVER, None)
        await redelivery_jobs.add(
            tx, "rep_web", DeliveryFilter(event_id=await event_of(store, made[2])), "ann"
        )
        await redelivery_jobs.step(tx)

    assert [await take(store) for _ in range(4)] == [[each] for each in made[1:]]
    await assert_lanes_are_right(store)


async def event_of(store: Store, delivery_id: str) -> str:
    statement = select(t.deliveries.c.event_id).where(t.deliveries.c.id == delivery_id)
    ((found,),) = await rows(store, statement)
    return str(found)


async def test_an_event_in_parts_comes_in_order_where_order_matters(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "PART", 2)
    ids = await prepare(store, 5)
    async with store.begin() as tx:
        await sequences.begin(tx, ids[4])
        (kept,) = await INTAKE.record_many(tx, [push(clock)])

    made = await rows(store, select(t.deliveries.c.notification_id))
    assert sorted(one for (one,) in made) == [ids[0], ids[1], ids[4]]
    async with store.begin() as tx:
        while await fan_out.make_part(tx):
            pass
    assert kept.deliveries == len(await rows(store, select(t.deliveries.c.id))) == 5


async def test_a_late_try_waits_with_its_row_while_somebody_leases(store: Store) -> None:
    """Otherwise the lease would pass over the first delivery, whose row is locked, and take the second."""
    if store.is_sqlite:
        pytest.skip("SQLite has one transaction that writes")
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await sequences.begin(tx, one)
        await record_for(tx, [one])
    (order,) = await lease(store)
    async with store.begin() as tx:
        await deliveries.rescue(tx, lambda: 0.0, own_everything=True)

    async with store.begin() as other:
        await locks.take_lanes(other, [one])
        settled = await settle(store, [result_of(order)])

    assert list(settled.deferred) == list(settled.late)
    again_settled = await settle(store, settled.deferred)
    assert list(again_settled.deferred) == []


async def holds(store: Store) -> list[tuple[object, ...]]:
    lane = t.lanes.c
    return await rows(
        store, select(lane.held_until, lane.held_by).where(lane.held_by.is_not(None))
    )


async def test_the_engine_sends_in_order_past_failures(store: Store, clock: SetClock) -> None:
    async with Receiver() as receiver:
        receiver.answer(status=503, times=2)
        one = await add(store, receiver.url(), in_order=True)
        for tag in ("a", "b", "c"):
            await record(store, clock, tag)
            clock.move(seconds=1)

        async with running(store, clock, policy=Policy([MINUTE], jitter=0.0)) as engine:
            await until(lambda: holds(store))
            held = await holds(store)
            clock.move(minutes=1)
            engine.ring()
            await until_states(store, "dead", "delivered", "delivered")

    tags = [json.loads(request.body)["updated_tags"] for request in receiver.requests]
    assert tags == [["a"], ["a"], ["b"], ["c"]]
    assert (held, one.in_order) == ([(clock(), "in-order")], True)
