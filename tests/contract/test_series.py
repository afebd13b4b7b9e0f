"""Series of tries: a redelivery begins one, and which tries are its own is in the tables, on both databases."""

from datetime import timedelta

from dockbell.domain.deliveries import Order, State, Trigger
from dockbell.domain.records import DeliveryFilter
from dockbell.store import redeliveries, redelivery_jobs
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import DOWN, dead, lease, prepare, record, result_of, settle


async def give_up(store: Store, clock: SetClock) -> Order:
    """A delivery that is dead after two tries that count and one that does not; its last order."""
    (one,) = await prepare(store)
    async with store.begin() as tx:
        await record(tx, [one])
    await try_once(store, clock, is_charged=False)
    await try_once(store, clock, is_charged=True)
    (order,) = await lease(store)
    await settle(store, [dead(order)])
    return order


async def try_once(store: Store, clock: SetClock, *, is_charged: bool) -> Order:
    (order,) = await lease(store)
    due_at = clock() + timedelta(minutes=1)
    result = result_of(order, DOWN, state=State.WAITING, due_at=due_at, is_charged=is_charged)
    await settle(store, [result])
    clock.move(minutes=1)
    return order


async def send_again(store: Store, order: Order) -> None:
    async with store.begin() as tx:
        await redeliveries.redeliver(
            tx, order.delivery_id, order.notification_id, Trigger.EVENT, None
        )


async def test_without_a_redelivery_all_tries_that_do_not_count_are_of_one_series(
    store: Store, clock: SetClock
) -> None:
    order = await give_up(store, clock)

    assert (order.attempts, order.tries, order.postponed) == (2, 1, 1)


async def test_a_redelivery_begins_a_series_that_any_process_can_go_on_with(
    store: Store, clock: SetClock
) -> None:
    await send_again(store, await give_up(store, clock))

    seen = [await try_once(store, clock, is_charged=False) for _ in range(3)]
    seen.append(await try_once(store, clock, is_charged=True))
    seen.append(await try_once(store, clock, is_charged=False))

    assert [one.postponed for one in seen] == [0, 1, 2, 3, 3]
    assert [one.tries for one in seen] == [0, 0, 0, 0, 1]


async def test_a_second_redelivery_begins_anew(store: Store, clock: SetClock) -> None:
    order = await give_up(store, clock)
    await send_again(store, order)
    await try_once(store, clock, is_charged=False)
    await send_again(store, order)

    (last,) = await lease(store)

    assert (last.attempts, last.postponed) == (4, 0)


async def test_a_job_that_sends_many_again_begins_a_series_for_each(
    store: Store, clock: SetClock
) -> None:
    await give_up(store, clock)
    async with store.begin() as tx:
        await redelivery_jobs.add(tx, "rep_web", DeliveryFilter(), "ann")
    async with store.begin() as tx:
        await redelivery_jobs.step(tx)

    seen = [await try_once(store, clock, is_charged=False) for _ in range(2)]

    assert [one.postponed for one in seen] == [0, 1]
