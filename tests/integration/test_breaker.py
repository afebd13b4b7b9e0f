"""A host that is down or slow is left alone, and holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from dockbell.domain.deliveries import Trigger
from dockbell.engine.breaker import FAILURES_TO_OPEN
from dockbell.engine.retry import Policy
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import deliveries
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, record, running, until, until_states
from tests.receiver import Receiver

# A failed try is not due again while the test looks.
PATIENT = Policy(waits=(timedelta(hours=1),) * 3, jitter=0.0)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


async def happen(store: Store, clock: SetClock) -> None:
    """Record an event, and let a moment pass: a lease that met its open transaction looks again a little later."""
    await record(store, clock)
    clock.move(seconds=1)


async def breaker_rows(store: Store) -> list[tuple[object, ...]]:
    return await queues.rows(
        store, select(t.breakers.c.host, t.breakers.c.failed_trials, t.breakers.c.code)
    )


async def open_breaker(store: Store, clock: SetClock, receiver: Receiver) -> None:
    """Let the receiver fail until its breaker opens. An engine must be running, with one notification."""
    receiver.answer(status=503)
    for _ in range(FAILURES_TO_OPEN):
        await happen(store, clock)
    await until(lambda: breaker_rows(store))


def host_of(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}"


async def test_a_host_that_fails_again_and_again_gets_nothing_for_a_while(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a"))
    async with running(store, clock, policy=PATIENT):
        await open_breaker(store, clock, receiver)
        asked = len(receiver.requests)

        await happen(store, clock)  # for both, and neither is tried
        await add(store, receiver.url("/b"))
        await happen(store, clock)
        await until(
            lambda: queues.rows(
                store, select(t.lanes.c.id).where(t.lanes.c.held_until.is_not(None))
            )
        )

    assert asked == FAILURES_TO_OPEN
    assert len(receiver.requests) == asked
    assert await breaker_rows(store) == [(host_of(receiver), 0, "http_5xx")]
    tries = select(t.deliveries.c.tries).order_by(t.deliveries.c.tries.desc())
    assert await queues.rows(store, tries) == [(1,)] * FAILURES_TO_OPEN + [(0,)] * 3
    await queues.assert_lanes_are_right(store)


async def test_other_hosts_are_served_while_one_is_left_alone(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a"))
    async with running(store, clock, policy=PATIENT):
        await open_breaker(store, clock, receiver)
        async with Receiver() as well:
            await add(store, well.url("/b"))
            await happen(store, clock)
            await well.wait_for(1)

    assert len(receiver.requests) == FAILURES_TO_OPEN


async def test_one_trial_finds_out_that_a_host_is_back_and_all_of_it_goes_out(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a?token=livesecret99"))
    with capture_logs() as lines:
        async with running(store, clock, policy=PATIENT) as engine:
            await open_breaker(store, clock, receiver)
            for _ in range(3):
                await happen(store, clock)
            receiver.answer(status=200)
            clock.move(seconds=40)
            engine.ring()
            await until_states(store, *["waiting"] * FAILURES_TO_OPEN, *["delivered"] * 3)

    assert await breaker_rows(store) == []
    opened, closed = [line for line in lines if "breaker" in line["event"]]
    assert 30 <= opened.pop("seconds") <= 36
    assert opened == {
        "event": "a host is left alone: its breaker opened",
        "log_level": "warning",
        "host": host_of(receiver),
        "failures": FAILURES_TO_OPEN,
        "code": "http_5xx",
    }
    assert closed == {
        "event": "a host is back: its breaker closed",
        "log_level": "info",
        "host": host_of(receiver),
    }
    assert len(receiver.requests) == FAILURES_TO_OPEN + 3


async def test_a_trial_that_fails_is_the_only_one(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a"))
    async with running(store, clock, policy=PATIENT) as engine:
        await open_breaker(store, clock, receiver)
        for _ in range(3):
            await happen(store, clock)
        clock.move(seconds=40)
        engine.ring()

        async def is_reopened() -> bool:
            return await breaker_rows(store) == [(host_of(receiver), 1, "http_5xx")]

        await until(is_reopened)

    assert len(receiver.requests) == FAILURES_TO_OPEN + 1


async def test_a_test_is_tried_although_the_breaker_is_open_and_closes_it(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    notification = await add(store, receiver.url("/a"))
    async with running(store, clock, policy=PATIENT):
        await open_breaker(store, clock, receiver)
        receiver.answer(status=200)
        async with store.begin() as tx:
            await queues.record(tx, [notification.id], Trigger.TEST)

        async def is_closed() -> bool:
            return await breaker_rows(store) == []

        await until(is_closed)

    assert len(receiver.requests) == FAILURES_TO_OPEN + 1


@pytest.mark.slow
async def test_a_host_that_hangs_leaves_room_for_the_others(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    for number in range(8):
        await add(store, receiver.url(f"/{number}"))

    async with running(store, clock, concurrency=8, drain_within=0.0):
        for _ in range(10):
            await happen(store, clock)
        await receiver.wait_for(16)  # more than there are places: the slow ones gave theirs up
        async with Receiver() as quick:
            await add(store, quick.url("/quick"))
            await happen(store, clock)
            await quick.wait_for(1)
        may_answer.set()


@pytest.mark.slow
async def test_three_hundred_hosts_that_hang_leave_room_for_the_others(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    """More than a process has places, and each a host of its own, so that no breaker sums them up."""
    receiver.answer(wait=asyncio.Event())
    resolver = Resolver(lookup=lambda _: ["127.0.0.1"])
    sender = Sender(EgressPolicy.of("loopback"), resolver, timeout=20, max_inflight=1024)
    sender.start()
    for number in range(300):
        await add(store, receiver.url(f"/{number}", host=f"h{number}.example.org"))

    loop = asyncio.get_running_loop()
    waits = []
    async with running(
        store, clock, concurrency=256, timeout=20, outbound=sender, drain_within=0.0
    ):
        await happen(store, clock)
        await receiver.wait_for(300, within=15)
        async with Receiver() as quick:
            await add(store, quick.url("/quick"))
            for count in range(1, 11):
                began = loop.time()
                await happen(store, clock)
                await quick.wait_for(count)
                waits.append(loop.time() - began)
    await sender.close()
    await resolver.close()

    assert len(receiver.requests) >= 300
    assert max(waits) < 5


async def test_news_that_waited_too_long_expires_instead_of_being_sent(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a"))
    await happen(store, clock)
    clock.move(days=6)
    await happen(store, clock)
    clock.move(days=1, seconds=1)

    async with running(store, clock):
        await until_states(store, "expired", "delivered")

    assert len(receiver.requests) == 1
    await queues.assert_lanes_are_right(store)


async def test_what_waits_in_a_paused_lane_expires_there(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    notification = await add(store, receiver.url("/a"))
    async with store.begin() as tx:
        await deliveries.pause(tx, notification.id)
        await queues.record(tx, [(notification.id, True)])
    clock.move(days=8)
    async with store.begin() as tx:
        await queues.record(tx, [(notification.id, True)])
        expired = await deliveries.expire(tx, clock() - timedelta(days=7), limit=100)

    assert expired == 1
    assert sorted((await queues.states(store)).values()) == ["expired", "waiting"]
    await queues.assert_lanes_are_right(store)
