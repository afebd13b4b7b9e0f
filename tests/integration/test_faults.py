"""Faults in the middle: of the database, of its disk, of the clock. Nothing is lost and nobody is charged."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from dockbell.domain.errors import UnavailableError
from dockbell.engine import attempt, dispatcher, engine
from dockbell.engine.retry import Policy
from dockbell.store import breakers, clock_jumps, deliveries, lanes
from dockbell.store import tables as t
from dockbell.store.clocks import DatabaseClock
from dockbell.store.transactions import Store, Tx
from tests import queues
from tests.conftest import SetClock
from tests.disks import disk_of
from tests.engines import add, record, running, the_delivery, until, until_states
from tests.receiver import Receiver

LONG = os.urandom(8000).hex()  # which no database makes shorter


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the engine's next turn comes at once."""
    monkeypatch.setattr(dispatcher, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(dispatcher, "_LONGEST_WAIT", 0.01)


def ids_of(receiver: Receiver) -> list[str | None]:
    return [request.header("webhook-id") for request in receiver.requests]


# The database


@pytest.mark.usefixtures("impatient")
async def test_statements_that_fail_now_and_then_cost_no_try(
    store: Store, clock: SetClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await add(store, receiver.url(f"/{number}"))
    for _ in range(10):
        await record(store, clock)
    chance, failures = random.Random(29), 0
    ways = {name: getattr(Tx, name) for name in ("hot_run", "hot_each", "rows", "first", "run")}

    def failing(name: str) -> Any:
        async def way(self: Tx, *arguments: Any) -> Any:
            nonlocal failures
            if chance.random() < 0.4:
                failures += 1
                raise UnavailableError("Undone, for another transaction.")
            return await ways[name](self, *arguments)

        return way

    for name in ways:
        monkeypatch.setattr(Tx, name, failing(name))
    async with running(store, clock, concurrency=2) as one:
        async with asyncio.timeout(20):
            while len(receiver.requests) < 30:
                one.ring()
                await asyncio.sleep(0.01)
        for name, way in ways.items():
            monkeypatch.setattr(Tx, name, way)
        await until_states(store, *["delivered"] * 30)

    assert failures > 5
    assert len(ids_of(receiver)) == len(set(ids_of(receiver))) == 30
    columns = t.deliveries.c
    assert set(await queues.rows(store, select(columns.tries, columns.attempts))) == {(1, 1)}
    await queues.assert_lanes_are_right(store)


@pytest.mark.usefixtures("impatient")
async def test_a_commit_whose_answer_was_lost_sends_nothing_twice(
    store: Store, clock: SetClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    begin = store.begin

    @contextlib.asynccontextmanager
    async def losing() -> AsyncIterator[Tx]:
        async with begin() as tx:
            yield tx
        monkeypatch.setattr(store, "begin", begin)
        raise UnavailableError("The connection broke.")

    async with running(store, clock) as one:
        await record(store, clock)
        await receiver.wait_for(1)
        monkeypatch.setattr(store, "begin", losing)
        may_answer.set()
        await until_states(store, "delivered")
        await one.drain(within=1)

    assert len(receiver.requests) == 1
    attempts = await queues.attempts(store, await the_delivery(store))
    assert attempts[:1] == [(1, "delivered", "ok")]
    await queues.assert_lanes_are_right(store)


@pytest.mark.usefixtures("impatient")
async def test_a_full_disk_stops_sending_and_loses_nothing(
    database_url: str,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "_SLOW_SECONDS", 60.0)  # what waits here keeps its place
    async with disk_of(store, database_url) as disk:
        for number in range(4):
            await add(store, receiver.url(f"/{number}"))
        for _ in range(20):
            await record(store, clock)
        may_answer = asyncio.Event()
        receiver.answer(wait=may_answer, body=LONG.encode())  # the log needs pages for it

        async with running(store, clock, concurrency=8):
            await receiver.wait_for(8)
            await disk.fill()
            with pytest.raises(UnavailableError):
                for _ in range(100):
                    await record(store, clock, LONG)
            under_way = len(receiver.requests)
            may_answer.set()
            await receiver.wait_for_answers(under_way)
            await asyncio.sleep(0.3)  # nothing may follow
            during = len(receiver.requests), set((await queues.states(store)).values())
            await disk.free()
            count = len(await queues.states(store))
            await until_states(store, *["delivered"] * count)

    assert under_way < 80
    assert during == (under_way, {"sending", "waiting"})
    assert len(ids_of(receiver)) == len(set(ids_of(receiver))) == count
    await queues.assert_lanes_are_right(store)


# The clock


async def test_the_clock_of_the_database_counts(store: Store, clock: SetClock) -> None:
    skewed = DatabaseClock(clock)  # half a year off

    await skewed.set_by(store)

    async with store.read() as tx:
        row = await tx.first(text("SELECT CAST(CURRENT_TIMESTAMP AS TEXT)"))
    assert row is not None
    if store.is_sqlite:
        assert skewed() == clock()
    else:
        assert str(row[0])[:16] == str(skewed())[:16]


async def test_retries_that_a_jump_of_the_clock_makes_due_are_made_once(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a"))
    await add(store, receiver.url("/b"))
    receiver.answer(status=404)
    policy = Policy(waits=(timedelta(hours=1),) * 5, jitter=0.0)

    async with running(store, clock, policy=policy) as one:
        for _ in range(10):
            await record(store, clock)
        await receiver.wait_for(20)
        await until_states(store, *["waiting"] * 20)
        receiver.answer(status=200)
        clock.move(hours=2)
        one.ring()
        await until_states(store, *["delivered"] * 20)

    assert len(receiver.requests) == 40
    assert set(await queues.rows(store, select(t.deliveries.c.tries))) == {(2,)}


async def test_a_jump_ahead_takes_no_lease_from_a_process_that_lives(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    steady = [0.0]
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    await add(store, receiver.url())

    async with running(store, clock, worker="one") as one:
        await record(store, clock)
        await receiver.wait_for(1)
        async with running(store, clock, worker="two", steady=lambda: steady[0]) as other:
            steady[0] += 10
            clock.move(hours=2, seconds=10)
            await other.look_at_clock()
            taken = [await other.rescue()]
            may_answer.set()
            await until_states(store, "delivered")
            await one.drain(within=1)
            async with store.begin() as tx:  # of a process that is gone
                await tx.run(
                    update(t.deliveries).values(
                        state="sending", leased_by="gone", lease="lse", leased_until=tx.now
                    )
                )
            taken.append(await other.rescue())
            steady[0] += 120
            sent = len(receiver.requests)  # what is taken back may be sent at once
            taken.append(await other.rescue())

    assert (taken, sent) == ([0, 0, 1], 1)


async def test_a_clock_that_goes_back_holds_up_nothing_new(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())

    async with running(store, clock):
        await record(store, clock, "before")
        await until_states(store, "delivered")
        clock.move(hours=-2)
        await record(store, clock, "after")
        await until_states(store, "delivered", "delivered")

    assert len(receiver.requests) == 2
    await queues.assert_lanes_are_right(store)


async def _are_charged(store: Store, count: int) -> bool:
    charged = select(t.deliveries.c.id).where(t.deliveries.c.tries > 0)
    return len(await queues.rows(store, charged)) == count


async def test_what_waits_is_pulled_forward_when_the_clock_goes_back(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    steady = [0.0]
    await add(store, receiver.url("/a"))
    other = await add(store, receiver.url("/b"))
    receiver.answer(status=404)
    policy = Policy(waits=(timedelta(minutes=1),) * 5, jitter=0.0)

    async with running(store, clock, policy=policy, steady=lambda: steady[0]) as one:
        await record(store, clock)
        await until(lambda: _are_charged(store, 2))
        async with store.begin() as tx:
            retries = lanes.lane_of_retries(other.id)
            await lanes.hold(tx, {retries: clock() + timedelta(minutes=2)}, "b.test:80")
            await breakers.open_for(tx, "b.test:80", "http_5xx", clock() + timedelta(hours=9))
        receiver.answer(status=200)
        steady[0] += 10
        clock.move(seconds=10, hours=-2)
        await one.look_at_clock()
        waits = [
            (due_at - clock()).total_seconds()
            for (due_at,) in await queues.rows(store, select(t.deliveries.c.due_at))
        ]
        held = await queues.rows(
            store, select(t.lanes.c.held_until).where(t.lanes.c.held_until.is_not(None))
        )
        open_until = await queues.rows(store, select(t.breakers.c.open_until))
        clock.move(minutes=1)
        one.ring()
        await until_states(store, "waiting", "delivered")

    later = clock() - timedelta(minutes=1)
    assert waits == [50, 50]
    assert held == [(later + timedelta(seconds=110),)]
    assert open_until == [(later + timedelta(hours=9, seconds=-10),)]
    assert len(receiver.requests) == 3
    entries = await queues.rows(
        store, select(t.audit_entries.c.kind, t.audit_entries.c.metadata)
    )
    assert entries == [("clock_went_back", {"seconds": 7200.0})]
    await queues.assert_lanes_are_right(store)


async def test_one_of_many_processes_sets_right_what_waits(
    store: Store, clock: SetClock
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one process that delivers")
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [notification])
    (order,) = await queues.lease(store)
    await queues.settle(store, [queues.again(order, clock() + timedelta(hours=5))])
    clock.move(hours=-2)

    done = []
    for _ in range(2):
        async with store.begin() as tx:
            done.append(await clock_jumps.set_right(tx, timedelta(hours=2)))

    ((due_at,),) = await queues.rows(store, select(t.deliveries.c.due_at))
    assert (done, due_at - clock()) == ([True, False], timedelta(hours=5))


async def test_the_lease_of_a_process_that_died_ends_though_the_clock_goes_back(
    store: Store, clock: SetClock
) -> None:
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [notification])
    await queues.lease(store)
    clock.move(hours=-2)
    async with store.begin() as tx:
        await clock_jumps.set_right(tx, timedelta(hours=2))

    clock.now += queues.LEASE

    async with store.read() as tx:
        assert await deliveries.has_expired(tx)


async def test_a_jump_of_a_workers_own_clock_changes_nothing(
    store: Store, clock: SetClock
) -> None:
    if store.is_sqlite:
        pytest.skip("on SQLite there is no other clock")
    steady = [0.0]
    skewed = DatabaseClock(clock, lambda: steady[0])
    await skewed.set_by(store)
    before = skewed()

    clock.move(hours=3)
    steady[0] += 60

    assert skewed() - before == timedelta(seconds=60)


async def test_what_is_late_because_we_stood_still_is_nobodys_fault(
    store: Store, clock: SetClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_STOOD_STILL", timedelta(seconds=0.3))
    monkeypatch.setattr(engine, "_GUARD_MARGIN", timedelta(seconds=0.1))
    for number in range(6):  # enough to open a breaker
        await add(store, receiver.url(f"/{number}"))
    receiver.answer(drop="stall", times=6)

    async with running(store, clock, timeout=0.2) as one:
        await record(store, clock)
        await receiver.wait_for(6)
        time.sleep(1.0)  # noqa: ASYNC251 -- as a process that is frozen, or whose loop is blocked
        await until_states(store, *["waiting"] * 6)
        charged = await queues.rows(store, select(t.deliveries.c.tries).distinct())
        breakers = await queues.rows(store, select(t.breakers.c.host))
        clock.move(minutes=1)
        one.ring()
        await until_states(store, *["delivered"] * 6)

    assert (charged, breakers) == ([(0,)], [])
    told = select(t.attempts.c.code, t.attempts.c.detail, t.attempts.c.fault).distinct()
    assert await queues.rows(store, told.where(t.attempts.c.number == 1)) == [
        (
            "interrupted",
            "This server stood still during the try. It may have arrived.",
            "ours",
        )
    ]


# Standings


async def test_workers_that_reach_the_limit_together_pause_once(
    store: Store, clock: SetClock
) -> None:
    (one,) = await queues.prepare(store)
    async with store.begin() as tx:
        for _ in range(10):
            await queues.record(tx, [one])
    orders = await queues.lease(store)

    done = await asyncio.gather(
        *(
            queues.settle(store, [queues.dead(order)], worker=f"w{number}")
            for number, order in enumerate(orders)
        )
    )

    assert sorted(list(settled.paused) for settled in done) == [[]] * 9 + [[one]]
    columns = t.notifications.c
    assert await queues.rows(store, select(columns.failure_streak, columns.pause_reason)) == [
        (3, "failures")
    ]
    await queues.assert_lanes_are_right(store)


async def test_a_streak_outlives_the_processes(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    receiver.answer(status=400)
    for number in range(3):
        async with running(store, clock, policy=Policy(waits=()), worker=f"w{number}"):
            await record(store, clock)
            await until_states(store, *["dead"] * (number + 1))

    columns = t.notifications.c
    assert await queues.rows(store, select(columns.failure_streak, columns.pause_reason)) == [
        (3, "failures")
    ]


async def test_a_target_that_fails_every_other_time_is_never_paused(
    store: Store, clock: SetClock
) -> None:
    (one,) = await queues.prepare(store)
    for number in range(6 * 24):
        async with store.begin() as tx:
            await queues.record(tx, [one])
        (order,) = await queues.lease(store)
        await queues.settle(
            store, [queues.result_of(order) if number % 2 else queues.dead(order)]
        )
        clock.move(hours=1)

    columns = t.notifications.c
    assert await queues.rows(store, select(columns.failure_streak, columns.paused_at)) == [
        (0, None)
    ]


# Fan-out


async def test_a_fan_out_to_thousands_is_there_whole_and_once(store: Store) -> None:
    await queues.prepare(store)
    many = [f"ntf_{number:04}" for number in range(5000)]
    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await queues.record(tx, many)
            raise ZeroDivisionError  # killed in the middle
    before = len(await queues.states(store))

    async with store.begin() as tx:
        await queues.record(tx, many)
    ((event_id,),) = set(await queues.rows(store, select(t.deliveries.c.event_id)))
    async with store.begin() as tx:
        await queues.record_again(tx, event_id, many)

    reached = await queues.rows(store, select(t.deliveries.c.notification_id))
    assert before == 0
    assert sorted(row[0] for row in reached) == many
    await queues.assert_lanes_are_right(store)
