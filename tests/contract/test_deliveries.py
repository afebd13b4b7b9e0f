"""The queue keeps the same promises on both databases."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from dockbell.domain.deliveries import PauseReason, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Fault, Rejected
from dockbell.store import attempts as attempts_store
from dockbell.store import deliveries, lanes, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import (
    DOWN,
    add_backlog,
    again,
    assert_lanes_are_right,
    attempts,
    dead,
    lease,
    prepare,
    record,
    record_again,
    result_of,
    rows,
    settle,
    states,
)


async def _standing(store: Store, notification_id: str) -> tuple[int, bool, str | None, bool]:
    """Failure streak, is it paused, why, and is its lane paused."""
    columns = t.notifications.c
    ((streak, paused_at, reason, is_paused),) = await rows(
        store,
        select(
            columns.failure_streak, columns.paused_at, columns.pause_reason, t.lanes.c.is_paused
        )
        .join(t.lanes, t.lanes.c.id == columns.id)
        .where(columns.id == notification_id),
    )
    return streak, paused_at is not None, reason, is_paused


# Recording


async def test_an_event_reaches_each_notification_once(store: Store) -> None:
    ids = await prepare(store, 3)
    async with store.begin() as tx:
        await record(tx, ids)
        (event_id,) = {row.event_id for row in await tx.rows(select(t.deliveries.c.event_id))}

    async with store.begin() as tx:
        await record_again(tx, event_id, ids)

    found = await rows(store, select(t.deliveries.c.notification_id))
    assert sorted(row[0] for row in found) == ids


async def test_recording_for_nobody_writes_nothing(store: Store) -> None:
    await prepare(store)

    async with store.begin() as tx:
        made = await record(tx, [])

    assert (list(made), await states(store)) == ([], {})


async def test_what_is_rolled_back_is_never_leased(store: Store) -> None:
    (one,) = await prepare(store)
    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await record(tx, [one])
            raise ZeroDivisionError

    assert list(await lease(store)) == []


# Leasing


async def test_a_lease_carries_all_that_a_try_needs(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])

    (order,) = await lease(store)

    assert (
        order.delivery_id,
        order.notification_id,
        order.lane_id,
        order.trigger,
        order.tries,
        order.attempts,
        order.created_at,
    ) == (delivery_id, one, one, Trigger.EVENT, 0, 0, clock())


async def test_two_leases_never_take_the_same_delivery(store: Store) -> None:
    ids = await prepare(store, 5)
    async with store.begin() as tx:
        for _ in range(8):
            await record(tx, ids)

    taken = await asyncio.gather(*(lease(store, 7, worker=f"w{i}") for i in range(8)))

    seen = Counter(order.delivery_id for orders in taken for order in orders)
    assert [delivery for delivery, times in seen.items() if times > 1] == []
    await assert_lanes_are_right(store)


async def test_many_workers_send_everything_once(store: Store) -> None:
    ids = await prepare(store, 10)
    async with store.begin() as tx:
        for one in ids:
            await add_backlog(tx, one, 300)
    sent: Counter[str] = Counter()

    async def work(worker: str) -> None:
        misses = 0
        while misses < 5:
            orders = await lease(store, 100, worker=worker)
            misses = 0 if orders else misses + 1
            sent.update(order.delivery_id for order in orders)
            await settle(store, [result_of(order) for order in orders], worker=worker)

    await asyncio.gather(*(work(f"w{i}") for i in range(4)))

    assert sorted(sent.values()) == [1] * 3000
    assert set((await states(store)).values()) == {"delivered"}
    await assert_lanes_are_right(store)


async def test_a_long_lane_does_not_keep_short_ones_waiting(store: Store) -> None:
    busy, *quiet = await prepare(store, 21)
    async with store.begin() as tx:
        await add_backlog(tx, busy, 1000)
        await record(tx, quiet)

    orders = await lease(store, 64)

    assert {order.lane_id for order in orders} == {busy, *quiet}
    assert sorted(order.lane_id for order in orders if order.lane_id != busy) == quiet


async def test_lanes_take_turns_when_there_are_more_than_a_lease_holds(store: Store) -> None:
    ids = await prepare(store, 6)
    async with store.begin() as tx:
        for _ in range(2):
            await record(tx, ids)

    first = await lease(store, 3)
    async with store.begin() as tx:
        await tx.run(
            update(t.lanes).where(t.lanes.c.served_at == tx.now).values(max_inflight=9)
        )
    second = await lease(store, 3)

    assert sorted(order.lane_id for order in [*first, *second]) == ids


async def test_a_lane_sends_no_more_at_once_than_its_width(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        for _ in range(lanes.WIDTH + 10):
            await record(tx, [one])

    first = await lease(store)
    async with store.begin() as tx:
        second = await deliveries.lease(tx, "w2", tx.now + timedelta(seconds=30), 500)
    await settle(store, [result_of(order) for order in first[:4]])
    third = await lease(store)

    assert (len(first), len(second.orders), second.outlook.is_crowded, len(third)) == (
        lanes.WIDTH,
        0,
        True,
        4,
    )


async def test_a_lane_is_served_in_the_order_of_due_times(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    made = []
    for _ in range(3):
        async with store.begin() as tx:
            made += await record(tx, [one])
        clock.move(seconds=1)

    taken = [(await lease(store, 1))[0].delivery_id for _ in range(3)]

    assert taken == made


async def test_nothing_is_leased_before_it_is_due(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    due = clock() + timedelta(seconds=5)
    await settle(store, [again(order, due)])

    clock.move(seconds=4.999)
    async with store.begin() as tx:
        early = await deliveries.lease(tx, "w1", tx.now + timedelta(seconds=30), 10)
    clock.move(seconds=0.001)
    (late,) = await lease(store)

    assert (list(early.orders), early.outlook.next_due_at) == ([], due)
    assert (late.delivery_id, late.tries, late.attempts) == (order.delivery_id, 1, 1)


async def test_the_outlook_is_empty_when_nothing_waits(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])

    async with store.begin() as tx:
        leased = await deliveries.lease(tx, "w1", tx.now + timedelta(seconds=30), 10)

    assert (len(leased.orders), leased.outlook) == (1, lanes.Outlook(None, is_crowded=False))


# Settling


async def test_settling_writes_the_attempt_and_moves_the_delivery(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    (order,) = await lease(store)
    exchange = Exchange(
        address="192.0.2.7",
        status=201,
        request_headers=(("webhook-id", delivery_id),),
        response_headers=(("server", "ünï"),),
        response_body=b"\x00\xffthanks",
        phases={"total": 0.25},
    )
    clock.move(seconds=1)

    await settle(store, [result_of(order, Delivered(exchange, detail="a\x00b"))])

    table = t.attempts.c
    assert await rows(
        store,
        select(
            table.number, table.outcome, table.code, table.detail, table.fault, table.status,
            table.address, table.duration_micros, table.phases, table.request_headers,
            table.response_headers, table.response_body, table.worker,
        ),
    ) == [
        (
            1, "delivered", "ok", "a�b", None, 201, "192.0.2.7", 3000, {"total": 0.25},
            [["webhook-id", delivery_id]], [["server", "ünï"]], b"\x00\xffthanks", "w1",
        )
    ]  # fmt: skip
    table = t.deliveries.c
    assert await rows(
        store,
        select(
            table.state, table.tries, table.attempts, table.lease, table.leased_by,
            table.leased_until, table.code, table.finished_at,
        ),
    ) == [("delivered", 1, 1, None, None, None, "ok", clock())]  # fmt: skip
    await assert_lanes_are_right(store)


async def test_a_header_with_half_a_character_is_kept_without_it(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)

    exchange = Exchange(response_headers=(("x", "a\udcffb"),))
    await settle(store, [result_of(order, Delivered(exchange))])

    assert await rows(store, select(t.attempts.c.response_headers)) == [([["x", "a?b"]],)]


async def test_a_batch_of_results_is_settled_whole_or_not_at_all(store: Store) -> None:
    ids = await prepare(store, 3)
    async with store.begin() as tx:
        await record(tx, ids)
    orders = await lease(store)

    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await deliveries.settle(tx, [result_of(order) for order in orders], "w1")
            raise ZeroDivisionError

    assert set((await states(store)).values()) == {"sending"}
    assert await rows(store, select(t.attempts)) == []
    await assert_lanes_are_right(store)


async def test_a_postponed_try_is_not_charged(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)

    outcome = Failed(Code.DNS_FAILED, "No name server answers.", fault=Fault.OURS)
    await settle(
        store,
        [result_of(order, outcome, state=State.WAITING, due_at=clock(), is_charged=False)],
    )

    (next_order,) = await lease(store)
    assert (next_order.tries, next_order.attempts) == (0, 1)


async def test_a_late_result_is_written_down_and_moves_nothing(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    (first,) = await lease(store, worker="slow")
    clock.move(minutes=1)
    async with store.begin() as tx:
        rescued = (await deliveries.rescue(tx, lambda: 0.0)).all
    (second,) = await lease(store, worker="quick")

    settled = await settle(store, [result_of(first)], worker="slow")

    assert (list(rescued), [one.order for one in settled.late]) == ([delivery_id], [first])
    assert await states(store) == {delivery_id: "sending"}
    await assert_lanes_are_right(store)
    await settle(store, [dead(second)], worker="quick")
    assert await states(store) == {delivery_id: "dead"}
    assert await attempts(store, delivery_id) == [
        (1, "failed", "interrupted"),
        (2, "late", "ok"),
        (3, "failed", "http_5xx"),
    ]
    await assert_lanes_are_right(store)


async def test_two_leases_of_one_delivery_may_end_in_one_batch(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    (first,) = await lease(store)
    clock.move(minutes=1)
    async with store.begin() as tx:
        await deliveries.rescue(tx, lambda: 0.0)
    (second,) = await lease(store)

    settled = await settle(store, [dead(first), result_of(second)])

    assert [one.order for one in settled.late] == [first]
    assert await states(store) == {delivery_id: "delivered"}
    await assert_lanes_are_right(store)


async def test_results_of_deliveries_that_are_gone_do_no_harm(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    async with store.begin() as tx:
        await tx.run(t.deliveries.delete())

    settled = await settle(store, [result_of(order)])

    assert [late.order for late in settled.late] == [order]
    assert await rows(store, select(t.attempts)) == []


# Streaks, pausing, parking


async def test_three_deliveries_given_up_in_a_row_pause_the_notification(store: Store) -> None:
    one, other = await prepare(store, 2)
    seen = []
    for _ in range(3):
        async with store.begin() as tx:
            await record(tx, [one, other])
        orders = await lease(store)
        settled = await settle(
            store,
            [dead(order) if order.lane_id == one else result_of(order) for order in orders],
        )
        seen.append((await _standing(store, one), dict(settled.paused)))

    assert seen == [
        ((1, False, None, False), {}),
        ((2, False, None, False), {}),
        ((3, True, "failures", True), {one: PauseReason.FAILURES}),
    ]
    assert await _standing(store, other) == (0, False, None, False)


async def test_a_success_ends_the_streak(store: Store) -> None:
    (one,) = await prepare(store)
    for ending in (dead, dead, result_of, dead):
        async with store.begin() as tx:
            await record(tx, [one])
        (order,) = await lease(store)
        await settle(store, [ending(order)])

    assert await _standing(store, one) == (1, False, None, False)


async def test_results_in_one_batch_count_in_the_order_they_ended(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        for _ in range(5):
            await record(tx, [one])
    a, b, c, d, e = await lease(store)

    await settle(store, [dead(a), dead(b), result_of(c), dead(d), result_of(e)])

    assert await _standing(store, one) == (0, False, None, False)


async def test_a_delivery_given_up_by_our_own_fault_does_not_count(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)

    await settle(store, [dead(order, Failed(Code.INTERNAL_ERROR, "A bug.", fault=Fault.OURS))])

    assert await _standing(store, one) == (0, False, None, False)


async def test_a_target_that_is_gone_pauses_at_once(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)

    gone = Rejected(Code.HTTP_410, "The target answered 410 Gone.", gone=True)
    await settle(store, [dead(order, gone)])

    assert await _standing(store, one) == (1, True, "gone", True)


async def test_events_of_a_paused_notification_are_parked_and_released_in_order(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (retrying,) = await record(tx, [one])
    (order,) = await lease(store)
    await settle(store, [again(order, clock() + timedelta(hours=5))])
    async with store.begin() as tx:
        await notifications.pause(tx, one, PauseReason.PERSON)
        await deliveries.pause(tx, one)
    parked = []
    for _ in range(2):
        clock.move(seconds=1)
        async with store.begin() as tx:
            parked += await record(tx, [(one, True)])
    while_paused = await lease(store)

    async with store.begin() as tx:
        await notifications.resume(tx, one)
        await deliveries.resume(tx, one)

    released = await lease(store)
    assert list(while_paused) == []
    assert [order.delivery_id for order in released] == [retrying, *parked]
    await assert_lanes_are_right(store)


async def test_the_first_event_of_a_paused_notification_is_parked_too(store: Store) -> None:
    (one,) = await prepare(store)

    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [(one, True)])

    assert list(await lease(store)) == []
    assert await states(store) == {delivery_id: "waiting"}


async def test_tests_go_past_a_backlog_and_reach_a_paused_notification(store: Store) -> None:
    busy, paused, *rest = await prepare(store, 30)
    async with store.begin() as tx:
        await deliveries.pause(tx, paused)
        for _ in range(3):
            await record(tx, [busy, *rest, (paused, True)])
    await lease(store, 10)
    async with store.begin() as tx:
        tests = [
            *(await record(tx, [busy], Trigger.TEST)),
            *(await record(tx, [(paused, True)], Trigger.TEST)),
        ]

    orders = await lease(store, 2)

    assert sorted(order.delivery_id for order in orders) == sorted(tests)
    assert {order.trigger for order in orders} == {Trigger.TEST}


async def test_a_failed_test_changes_no_streak(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
        await record(tx, [one], Trigger.TEST)
    gone = Rejected(Code.HTTP_410, "Gone.", gone=True)

    for order in await lease(store):
        await settle(store, [dead(order, gone if order.trigger is Trigger.TEST else DOWN)])

    assert await _standing(store, one) == (1, False, None, False)


async def test_a_delivered_test_resumes_a_paused_notification(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        for _ in range(3):
            await record(tx, [one])
    await settle(store, [dead(order) for order in await lease(store)])
    async with store.begin() as tx:
        (parked,) = await record(tx, [(one, True)])
        await record(tx, [(one, True)], Trigger.TEST)
    (test,) = await lease(store)

    settled = await settle(store, [result_of(test)])

    assert (list(settled.resumed), await _standing(store, one)) == (
        [one],
        (0, False, None, False),
    )
    assert [order.delivery_id for order in await lease(store)] == [parked]


async def test_a_delivered_test_of_a_healthy_notification_keeps_its_streak(
    store: Store,
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    await settle(store, [dead(order) for order in await lease(store)])
    async with store.begin() as tx:
        await record(tx, [one], Trigger.TEST)

    await settle(store, [result_of(order) for order in await lease(store)])

    assert await _standing(store, one) == (1, False, None, False)


# Rescuing, releasing, cancelling


async def test_a_lease_that_ran_out_is_taken_back_without_charge(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    await lease(store, span=timedelta(seconds=30))
    clock.move(seconds=29)
    async with store.begin() as tx:
        early = (
            await deliveries.has_expired(tx),
            (await deliveries.rescue(tx, lambda: 0.0)).all,
        )

    clock.move(seconds=1)
    async with store.begin() as tx:
        late = (
            await deliveries.has_expired(tx),
            (await deliveries.rescue(tx, lambda: 0.0)).all,
        )

    assert (early, late) == ((False, []), (True, [delivery_id]))
    assert await attempts(store, delivery_id) == [(1, "failed", "interrupted")]
    await assert_lanes_are_right(store)
    (order,) = await lease(store)
    assert (order.delivery_id, order.tries, order.attempts) == (delivery_id, 0, 1)


async def test_a_process_that_owns_everything_takes_back_fresh_leases(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        made = await record(tx, [one])
    await lease(store)

    async with store.begin() as tx:
        rescued = (await deliveries.rescue(tx, lambda: 0.0, own_everything=True)).all

    assert list(rescued) == list(made)
    assert [order.delivery_id for order in await lease(store)] == list(made)


async def test_an_answer_ends_the_count_of_interruptions(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    for _ in range(4):
        await lease(store)
        clock.move(minutes=1)
        async with store.begin() as tx:
            await deliveries.rescue(tx, lambda: 0.0)
        clock.move(minutes=1)
        (order,) = await lease(store)
        await settle(store, [again(order, clock())])

    assert await states(store) == {delivery_id: "waiting"}


async def test_released_leases_wait_again_and_leave_no_trace(store: Store) -> None:
    ids = await prepare(store, 2)
    async with store.begin() as tx:
        await record(tx, ids)
    orders = await lease(store, worker="w1")

    async with store.begin() as tx:
        released = await deliveries.release(tx, orders)

    await assert_lanes_are_right(store)
    retaken = await lease(store, worker="w2")
    assert sorted(released) == sorted(order.delivery_id for order in retaken)
    assert [(order.tries, order.attempts) for order in retaken] == [(0, 0), (0, 0)]
    async with store.begin() as tx:
        assert await deliveries.release(tx, orders) == []  # they are w2's now
    assert set((await states(store)).values()) == {"sending"}


async def test_deleting_a_notification_cancels_all_that_waits(
    store: Store, clock: SetClock
) -> None:
    one, other = await prepare(store, 2)
    async with store.begin() as tx:
        for _ in range(lanes.WIDTH + 5):
            await record(tx, [one, other])
        await record(tx, [one], Trigger.TEST)
    sending = [order for order in await lease(store, 8) if order.notification_id == one]

    async with store.begin() as tx:
        cancelled = await deliveries.cancel_for(tx, one)
        await notifications.delete(tx, one)

    assert cancelled == lanes.WIDTH + 6 - len(sending)
    await settle(store, [again(order, clock()) for order in sending])
    left = await rows(
        store,
        select(t.deliveries.c.state).where(t.deliveries.c.notification_id == one).distinct(),
    )
    assert sorted(row[0] for row in left) == ["cancelled", "waiting"]  # the engine sees these
    await assert_lanes_are_right(store)


async def test_an_event_recorded_while_its_notification_is_deleted_is_still_seen(
    store: Store,
) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await deliveries.pause(tx, one)
        await deliveries.cancel_for(tx, one)
        await notifications.delete(tx, one)
        (late,) = await record(tx, [(one, True)])

    orders = await lease(store)

    assert [order.delivery_id for order in orders] == [late]
    async with store.begin() as tx:
        await deliveries.release(tx, orders, state=State.CANCELLED)
    assert await states(store) == {late: "cancelled"}


async def test_recording_while_others_lease_loses_nothing(
    store: Store, clock: SetClock
) -> None:
    """Producers that do not touch a busy lane, and leases that put it to rest, must not miss each other."""
    (one,) = await prepare(store)
    wanted, sent = 60, set()

    async def produce() -> None:
        for _ in range(wanted // 6):
            async with store.begin() as tx:
                await record(tx, [one])

    async def consume(worker: str, until: asyncio.Event) -> None:
        while not until.is_set():
            clock.move(milliseconds=5)
            orders = await lease(store, 3, worker=worker)
            sent.update(order.delivery_id for order in orders)
            await settle(store, [result_of(order) for order in orders], worker=worker)

    over = asyncio.Event()
    consumers = [asyncio.create_task(consume(f"w{i}", over)) for i in range(2)]
    await asyncio.gather(*(produce() for _ in range(6)))
    async with asyncio.timeout(10):
        while len(sent) < wanted:
            await asyncio.sleep(0.005)
    over.set()
    await asyncio.gather(*consumers)

    assert len(sent) == wanted
    await assert_lanes_are_right(store)


async def test_an_open_producer_keeps_a_lease_from_putting_its_lane_to_rest(
    database_url: str, store: Store, clock: SetClock
) -> None:
    """PostgreSQL only: SQLite has one writer. The producer saw a busy lane, so it did not wake it."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time, so there is nobody to meet")
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (early,) = await record(tx, [one])

    async with store.begin() as producer:
        (late,) = await record(producer, [one])
        first = await lease(store)
    clock.move(seconds=0.02)
    second = await lease(store)

    assert [order.delivery_id for order in first] == [early]
    assert [order.delivery_id for order in second] == [late]


async def test_producers_of_one_notification_do_not_wait_for_each_other(
    database_url: str, store: Store
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])

    async with store.begin() as slow, asyncio.timeout(5):
        await record(slow, [one])
        async with store.begin() as quick:
            await record(quick, [one])
        leased = await lease(store)

    assert len(leased) == 2


async def test_attempts_are_numbered_without_gaps(store: Store, clock: SetClock) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [one])
    for _ in range(3):
        (order,) = await lease(store)
        await settle(store, [again(order, clock())])

    assert [number for number, _, _ in await attempts(store, delivery_id)] == [1, 2, 3]


async def test_an_idle_lease_writes_nothing(store: Store) -> None:
    if not store.is_sqlite:
        pytest.skip("counts the writes of SQLite's own connection")
    await prepare(store)
    async with store.begin() as tx:
        before = (await tx.first(text("SELECT total_changes()")))[0]  # type: ignore[index] -- one row

    await lease(store)

    async with store.begin() as tx:
        after = (await tx.first(text("SELECT total_changes()")))[0]  # type: ignore[index] -- one row
    assert after == before


async def test_an_attempt_cannot_take_the_number_of_another(store: Store) -> None:
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    async with store.begin() as tx:
        await attempts_store.record_late(tx, 1, result_of(order), "w1")

    with pytest.raises(Exception, match=r"(?i)unique"):
        await settle(store, [result_of(order)])

    await assert_lanes_are_right(store)
