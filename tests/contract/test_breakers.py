"""Breakers and the lanes they hold, on both databases."""

from datetime import timedelta

from dockbell.domain.breakers import Breaker
from dockbell.store import breakers, lanes
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import lease, prepare, record

HOST = "hooks.test:443"


async def test_only_the_first_opens_a_breaker(store: Store, clock: SetClock) -> None:
    first, second = clock() + timedelta(seconds=30), clock() + timedelta(seconds=90)
    async with store.begin() as tx:
        await breakers.open_for(tx, HOST, "connect_refused", first)
        await breakers.open_for(tx, HOST, "http_5xx", second)

    async with store.read() as tx:
        found = await breakers.find_open(tx)

    assert found == {HOST: Breaker(HOST, first, 0, None, "connect_refused")}


async def test_one_trial_is_taken_when_it_is_time(store: Store, clock: SetClock) -> None:
    trial_span = timedelta(seconds=20)
    async with store.begin() as tx:
        await breakers.open_for(tx, HOST, "http_5xx", clock() + timedelta(seconds=30))
        early = await breakers.take_trial(tx, HOST, clock() + trial_span)
    clock.move(seconds=30)
    async with store.begin() as tx:
        taken = await breakers.take_trial(tx, HOST, clock() + trial_span)
        again = await breakers.take_trial(tx, HOST, clock() + trial_span)
    clock.move(seconds=20)
    async with store.begin() as tx:  # its process is gone, or it would have said something
        after_a_loss = await breakers.take_trial(tx, HOST, clock() + trial_span)

    assert (early, taken, again, after_a_loss) == (False, True, False, True)


async def test_a_failed_trial_counts_and_a_good_one_ends_it(
    store: Store, clock: SetClock
) -> None:
    until = clock() + timedelta(minutes=1)
    async with store.begin() as tx:
        await breakers.open_for(tx, HOST, "http_5xx", clock())
        await breakers.take_trial(tx, HOST, until)
        await breakers.reopen(tx, HOST, until)
        reopened = await breakers.find_open(tx)
        await breakers.close(tx, [HOST])
        closed = await breakers.find_open(tx)

    assert reopened == {HOST: Breaker(HOST, until, 1, None, "http_5xx")}
    assert closed == {}


async def test_a_held_lane_is_not_leased_before_its_time(store: Store, clock: SetClock) -> None:
    held, free = await prepare(store, 2)
    until = clock() + timedelta(seconds=30)
    async with store.begin() as tx:
        await record(tx, [held, free])
        await lanes.hold(tx, {held: until}, HOST)
    first = await lease(store)
    async with store.read() as tx:
        outlook = await lanes.outlook(tx)

    clock.move(seconds=30)
    second = await lease(store)

    assert [order.notification_id for order in first] == [free]
    assert (outlook.next_due_at, outlook.is_crowded) == (until, False)
    assert [order.notification_id for order in second] == [held]


async def test_a_host_that_is_back_lets_its_lanes_go(store: Store, clock: SetClock) -> None:
    one, other = await prepare(store, 2)
    until = clock() + timedelta(seconds=30)
    async with store.begin() as tx:
        await record(tx, [one, other])
        await lanes.hold(tx, {one: until}, HOST)
        await lanes.hold(tx, {other: until}, "elsewhere.test:443")

    async with store.begin() as tx:
        await breakers.close(tx, [HOST])

    assert [order.notification_id for order in await lease(store)] == [one]
