"""Which deliveries are set aside when one process after another ends while it sends them."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select

from dockbell.domain.interruptions import LIMIT, WAITS, name_of
from dockbell.store import deliveries
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import (
    LEASE,
    assert_lanes_are_right,
    attempts,
    lease,
    prepare,
    record,
    rows,
    states,
)

YOUNG = name_of("w1", timedelta(0))
LONG = timedelta(hours=3)  # longer than any wait


async def rescue(store: Store, clock: SetClock, *, chance: float = 0.0) -> Sequence[str]:
    """Take back what ran out; return what was set aside. All that waits is due afterwards."""
    async with store.begin() as tx:
        dead = (await deliveries.rescue(tx, lambda: chance)).dead
    clock.now += LONG
    return dead


async def interrupt(store: Store, clock: SetClock, *, worker: str = "w1") -> Sequence[str]:
    """Lease all that is due and let the leases run out; return what was set aside."""
    await lease(store, worker=worker)
    clock.now += LEASE
    return await rescue(store, clock)


async def add(store: Store, count: int) -> list[str]:
    (one,) = await prepare(store)
    return [await add_one(store, one) for _ in range(count)]


async def add_one(store: Store, notification_id: str) -> str:
    async with store.begin() as tx:
        (delivery_id,) = await record(tx, [notification_id])
    return delivery_id


async def test_what_ends_one_steady_process_after_another_is_set_aside(
    store: Store, clock: SetClock
) -> None:
    (delivery_id,) = await add(store, 1)

    seen = [await interrupt(store, clock, worker=f"w{number}") for number in range(LIMIT)]

    assert seen == [*[[]] * (LIMIT - 1), [delivery_id]]
    assert await states(store) == {delivery_id: "dead"}
    assert await attempts(store, delivery_id) == [
        (number, "failed", "interrupted") for number in range(1, LIMIT + 1)
    ]
    workers = select(t.attempts.c.worker).order_by(t.attempts.c.number)
    assert await rows(store, workers) == [(f"w{number}",) for number in range(LIMIT)]
    await assert_lanes_are_right(store)


async def test_a_delivery_waits_longer_after_each_interruption(
    store: Store, clock: SetClock
) -> None:
    await add(store, 1)
    waits = []
    for _ in range(LIMIT - 1):
        await lease(store)
        clock.now += LEASE
        async with store.begin() as tx:
            await deliveries.rescue(tx, lambda: 0.5)
        ((due_at,),) = await rows(store, select(t.deliveries.c.due_at))
        waits.append(due_at - clock())
        clock.now = due_at

    assert waits == [wait * 1.5 for wait in WAITS[: LIMIT - 1]]


async def test_processes_that_end_soon_after_their_start_speak_against_nothing(
    store: Store, clock: SetClock
) -> None:
    (delivery_id,) = await add(store, 1)

    seen = [await interrupt(store, clock, worker=YOUNG) for _ in range(3 * LIMIT)]

    assert seen == [[]] * (3 * LIMIT)
    assert await states(store) == {delivery_id: "waiting"}
    workers = select(t.attempts.c.worker).distinct()
    assert await rows(store, workers) == [("w1",)]


async def test_two_that_are_always_sent_together_are_not_set_aside(
    store: Store, clock: SetClock
) -> None:
    await add(store, 2)

    seen = [await interrupt(store, clock) for _ in range(2 * LIMIT)]

    assert seen == [[]] * (2 * LIMIT)


async def test_company_counts_though_its_lease_ends_later(
    store: Store, clock: SetClock
) -> None:
    first, second = await add(store, 2)
    for _ in range(LIMIT - 1):
        await interrupt(store, clock)
    await lease(store, 1)
    clock.now += LEASE / 2
    await lease(store, 1)  # the other one, by the same process

    clock.now += LEASE / 2
    earlier = await rescue(store, clock)
    clock.now += LEASE / 2
    later = await rescue(store, clock)

    assert (earlier, later) == ([], [])
    assert await states(store) == {first: "waiting", second: "waiting"}


async def test_what_is_set_aside_takes_nothing_new_with_it(
    store: Store, clock: SetClock
) -> None:
    (one,) = await prepare(store)
    guilty = await add_one(store, one)
    for _ in range(LIMIT - 1):
        await interrupt(store, clock)
    fresh = [await add_one(store, one) for _ in range(5)]

    dead = await interrupt(store, clock)

    assert dead == [guilty]
    assert await states(store) == {guilty: "dead", **dict.fromkeys(fresh, "waiting")}
    await assert_lanes_are_right(store)


async def test_owners_hear_of_what_is_set_aside(store: Store, clock: SetClock) -> None:
    (delivery_id,) = await add(store, 1)
    for _ in range(LIMIT - 1):
        await interrupt(store, clock)
    told = select(t.notices.c.namespace_id, t.notices.c.kind, t.notices.c.metadata)
    before = await rows(store, told)

    await interrupt(store, clock)

    ((uuid, streak),) = await rows(
        store, select(t.notifications.c.uuid, t.notifications.c.failure_streak)
    )
    assert before == []
    assert await rows(store, told) == [
        (
            "nsp_acme",
            "delivery_set_aside",
            {
                "namespace": "acme",
                "notification": uuid,
                "title": None,
                "event": "repo_push",
                "method": "webhook",
                "message": "One server process after another stopped while it sent this message, so it is set aside "
                "and not tried again. Tell whoever runs this server. Once the cause is mended, redeliver it.",
                "delivery": delivery_id,
                "repository": "acme/web",
            },
        )
    ]
    assert streak == 0


async def test_nobody_hears_of_what_is_set_aside_of_a_deleted_notification(
    store: Store, clock: SetClock
) -> None:
    (delivery_id,) = await add(store, 1)
    for _ in range(LIMIT - 1):
        await interrupt(store, clock)
    async with store.begin() as tx:
        await tx.run(delete(t.notifications))

    dead = await interrupt(store, clock)

    assert dead == [delivery_id]
    assert await rows(store, select(t.notices.c.id)) == []
