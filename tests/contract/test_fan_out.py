"""Events with very many deliveries: made in parts, each once, in order, and counted all the while, on both databases."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.deliveries import State
from dockbell.domain.records import Verdict
from dockbell.services import areas, events, statistics
from dockbell.store import backlog, fan_out, history
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.engines import INTAKE, push, record, running, until_states
from tests.factories import KINDS
from tests.queues import assert_lanes_are_right, lease, prepare, rows, states
from tests.receiver import Receiver

PART = 3
ALL = 10


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "PART", PART)


async def make_part(store: Store) -> bool:
    async with store.begin() as tx:
        return await fan_out.make_part(tx)


async def add_administrator(store: Store) -> None:
    """`ann`, who administers `acme/web`."""
    async with store.begin() as tx:
        await tx.run(
            insert(t.namespaces).values(
                id="nsp_ann", name="ann", kind="user", email=None, created_at=tx.now
            )
        )
        await tx.run(insert(t.users).values(namespace_id="nsp_ann"))
        await tx.run(
            insert(t.permissions).values(
                repository_id="rep_web", holder_id="nsp_ann", user_id="nsp_ann", role="admin"
            )
        )


async def reached(store: Store) -> list[str]:
    found = await rows(
        store, select(t.deliveries.c.notification_id).order_by(t.deliveries.c.id)
    )
    return [row[0] for row in found]


async def test_a_small_event_is_made_at_once(store: Store, clock: SetClock) -> None:
    ids = await prepare(store, PART)

    await record(store, clock)

    assert await reached(store) == ids
    assert await make_part(store) is False


async def test_a_large_event_has_its_first_part_at_once_and_the_rest_in_parts(
    store: Store, clock: SetClock
) -> None:
    ids = await prepare(store, ALL)
    async with store.begin() as tx:
        (kept,) = await INTAKE.record_many(tx, [push(clock)])
    steps = [len(await reached(store))]

    while await make_part(store):
        steps.append(len(await reached(store)))

    assert kept.deliveries == ALL
    assert steps == [3, 6, 9, 10]
    assert await reached(store) == ids
    await assert_lanes_are_right(store)


async def test_a_part_that_is_undone_is_made_whole_later(store: Store, clock: SetClock) -> None:
    ids = await prepare(store, ALL)
    await record(store, clock)
    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await fan_out.make_part(tx)
            raise ZeroDivisionError  # killed in the middle
    before = await reached(store)

    while await make_part(store):
        pass

    assert before == ids[:PART]
    assert await reached(store) == ids


async def test_what_is_rolled_back_leaves_nothing_to_make(
    store: Store, clock: SetClock
) -> None:
    await prepare(store, ALL)
    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await INTAKE.record(tx, push(clock))
            raise ZeroDivisionError

    assert await make_part(store) is False
    assert await states(store) == {}


async def test_a_repeat_of_a_large_event_makes_nothing_twice(
    store: Store, clock: SetClock
) -> None:
    ids = await prepare(store, ALL)
    await record(store, clock, producer_key="one")
    await record(store, clock, producer_key="one")

    while await make_part(store):
        pass

    assert await reached(store) == ids


async def test_many_processes_share_the_parts(store: Store, clock: SetClock) -> None:
    ids = await prepare(store, ALL)
    await record(store, clock)
    await record(store, clock)

    async def work() -> None:
        while await make_part(store):
            pass

    await asyncio.gather(*(work() for _ in range(4)))

    # Whoever passes over a part that another holds may end early, but none is left.
    assert await make_part(store) is False
    assert sorted(await reached(store)) == sorted(ids * 2)
    await assert_lanes_are_right(store)


async def test_what_is_made_later_stands_before_a_later_event(
    store: Store, clock: SetClock
) -> None:
    *_, last = await prepare(store, ALL)
    first_event = await record(store, clock)
    clock.move(seconds=1)
    async with store.begin() as tx:
        await tx.run(delete(t.notifications).where(t.notifications.c.id != last))
    second_event = await record(store, clock)
    clock.move(seconds=1)

    while await make_part(store):
        pass

    orders = [one for one in await lease(store) if one.notification_id == last]
    assert [one.event_id for one in orders] == [first_event, second_event]
    assert orders[0].created_at == clock() - timedelta(seconds=2)


async def test_what_is_paused_meanwhile_is_parked(store: Store, clock: SetClock) -> None:
    *_, last = await prepare(store, ALL)
    await record(store, clock)
    async with store.begin() as tx:
        await tx.run(
            update(t.notifications).where(t.notifications.c.id == last).values(paused_at=tx.now)
        )

    while await make_part(store):
        pass

    assert last not in {one.notification_id for one in await lease(store)}


async def test_what_is_deleted_meanwhile_is_cancelled_by_the_engine(
    store: Store, clock: SetClock
) -> None:
    *_, last = await prepare(store, ALL)
    await record(store, clock)
    async with store.begin() as tx:
        await tx.run(
            update(t.notifications).values(paused_at=tx.now)  # they need no target then
        )
        await tx.run(update(t.lanes).values(is_paused=True))
        await tx.run(delete(t.notifications).where(t.notifications.c.id == last))

    async with running(store, clock):
        await until_states(store, *["waiting"] * (ALL - 1), "cancelled")

    await assert_lanes_are_right(store)


async def test_an_engine_makes_and_sends_all_of_it_and_one_that_starts_goes_on(
    store: Store, clock: SetClock
) -> None:
    async with Receiver() as target:
        async with store.begin() as tx:
            await tx.run(delete(t.notifications))
        ids = await prepare(store, ALL)
        async with store.begin() as tx:
            sealed = tx.seal.close(b'{"url": "%s"}' % target.url().encode())
            await tx.run(update(t.notifications).values(config_sealed=sealed))
        await record(store, clock)
        await make_part(store)

        async with running(store, clock):
            await until_states(store, *["delivered"] * ALL)
            await record(store, clock)
            await until_states(store, *["delivered"] * 2 * ALL)

    assert sorted(await reached(store)) == sorted(ids * 2)


async def test_counts_hold_what_is_still_to_be_made(store: Store, clock: SetClock) -> None:
    ids = await prepare(store, ALL)
    await add_administrator(store)
    event_id = await record(store, clock)
    seen: list[tuple[int, int, int]] = []
    verdicts: list[Sequence[Verdict]] = []

    for _ in range(4):
        async with store.read() as tx:
            actor = Actor(kind=ActorKind.USER, id="nsp_ann", name="ann")
            admin = await areas.admin_of_named(tx, actor, areas.NamedPlace("acme/web", None))
            ((listed,), _) = await events.list_page(tx, admin, kind=None, before="", limit=5)
            figures = await statistics.load(
                tx,
                admin,
                notification_id=None,
                since=clock() - timedelta(hours=1),
                until=clock() + timedelta(hours=1),
                width=timedelta(hours=1),
            )
            queue = await backlog.count(tx)
            full = await events.load(tx, actor, event_id, KINDS)
        seen.append(
            (
                sum(listed.counts.values()),
                figures.by_state[State.WAITING],
                queue.pending["due"],
            )
        )
        verdicts.append([one.verdict for one in full.considered])
        await make_part(store)

    assert seen == [(ALL, ALL, ALL)] * 4
    assert [one.count(Verdict.MATCHED) for one in verdicts] == [3, 6, 9, 10]
    assert [one.count(Verdict.PENDING) for one in verdicts] == [7, 4, 1, 0]
    assert [one.notification_id for one in full.considered] == ids


async def test_what_is_still_to_be_made_of_an_expunged_event_is_not(
    store: Store, clock: SetClock
) -> None:
    await prepare(store, ALL)
    event_id = await record(store, clock)

    async with store.begin() as tx:
        done = await history.expunge(tx, event_id)

    assert done is not None
    assert done.cancelled == ALL
    assert await make_part(store) is False
    assert set((await states(store)).values()) == {"cancelled"}
