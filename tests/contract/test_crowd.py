"""Fairness between namespaces while more lanes are ready than a lease can serve, on both databases."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from dockbell.domain.deliveries import Order
from dockbell.domain.notifications import Notification
from dockbell.engine.attempt import Job
from dockbell.engine.crowd import Crowd
from dockbell.store import deliveries, fan_out
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import LEASE, assert_lanes_are_right, prepare, result_of, rows, settle

LIMIT = 10
TURN = timedelta(milliseconds=20)


class Hall:
    """Namespaces with so many notifications each, and an engine's leases among them."""

    def __init__(self, store: Store, clock: SetClock, sizes: Mapping[str, int]) -> None:
        self.store = store
        self.clock = clock
        self.crowd = Crowd()
        self.lanes = {
            name: [f"ntf_{name}_{number:04}" for number in range(size)]
            for name, size in sizes.items()
        }
        self._example: Notification | None = None

    async def open(self) -> "Hall":
        await prepare(self.store)
        async with self.store.read() as tx:
            row = await tx.first(select(t.notifications.c.id))
            assert row is not None
            from dockbell.store import notifications  # noqa: PLC0415 -- beside its one use

            self._example = await notifications.load(tx, row.id)
        return self

    async def add(self, name: str, count: int = 1) -> None:
        """So many deliveries for each lane of the namespace."""
        async with self.store.begin() as tx:
            for _ in range(count):
                event_id = tx.new_id("evt")
                await fan_out.record(
                    tx, [(event_id, f"rep_{name}", one, False) for one in self.lanes[name]]
                )
        self.clock.now += timedelta(milliseconds=1)

    async def serve(self, limit: int = LIMIT) -> Counter[str]:
        """One lease, whose deliveries arrive; how many each namespace had of it."""
        async with self.store.begin() as tx:
            leased = await deliveries.lease(tx, "w1", tx.now + LEASE, limit)
            await self.crowd.take_turns(
                tx, [self._job_of(order) for order in leased.orders], leased.front
            )
        await settle(self.store, [result_of(order) for order in leased.orders])
        self.clock.now += TURN
        return Counter(self._owner_of(order) for order in leased.orders)

    def _owner_of(self, order: Order) -> str:
        return order.notification_id.split("_")[1]

    def _job_of(self, order: Order) -> Job:
        assert self._example is not None
        owner = replace(self._example, namespace_id=f"nsp_{self._owner_of(order)}")
        return Job(order, None, owner)


async def served(hall: Hall, turns: int) -> Sequence[Counter[str]]:
    return [await hall.serve() for _ in range(turns)]


async def test_a_namespace_with_one_lane_has_its_turn_in_each_lease_beside_one_with_many(
    store: Store, clock: SetClock
) -> None:
    hall = await Hall(store, clock, {"quiet": 1, "flood": 200}).open()
    await hall.add("quiet")
    await hall.serve()
    await hall.add("flood", 4)
    await hall.add("quiet", 40)

    seen = await served(hall, 40)

    assert [one["quiet"] for one in seen] == [1] * 40
    assert [one["flood"] for one in seen] == [LIMIT - 1] * 40
    await assert_lanes_are_right(store)


async def test_two_namespaces_with_unequal_numbers_of_lanes_are_served_alike(
    store: Store, clock: SetClock
) -> None:
    hall = await Hall(store, clock, {"small": 20, "large": 100}).open()
    await hall.add("large", 7)
    await hall.add("small", 30)
    await served(hall, 24)  # two rounds, until all have their turns

    total = sum(await served(hall, 40), Counter())

    assert total.total() == 40 * LIMIT
    assert 0.8 < total["small"] / total["large"] < 1.25


async def test_nobody_waits_for_ever_where_many_are_modest(
    store: Store, clock: SetClock
) -> None:
    names = {f"one{number:02}": 1 for number in range(30)}
    hall = await Hall(store, clock, names).open()
    for name in names:
        await hall.add(name, 12)

    total = sum(await served(hall, 30), Counter())

    assert total.total() == 30 * LIMIT
    assert set(total) == set(names)
    assert max(total.values()) - min(total.values()) <= 6


async def test_all_of_one_namespace_are_served_in_order_and_nothing_is_written_for_it(
    store: Store, clock: SetClock
) -> None:
    hall = await Hall(store, clock, {"only": 30}).open()
    await hall.add("only", 2)
    before = clock()

    await served(hall, 3)

    turns = await rows(store, select(t.lanes.c.served_at).order_by(t.lanes.c.served_at))
    assert [turn for (turn,) in turns] == [before + number // 10 * TURN for number in range(30)]


async def test_where_there_is_no_crowd_no_turn_is_set(store: Store, clock: SetClock) -> None:
    hall = await Hall(store, clock, {"one": 3, "two": 3}).open()
    await hall.add("one")
    await hall.add("two")

    while await hall.serve(1000):
        pass

    turns = await rows(store, select(t.lanes.c.served_at))
    assert max(turn for (turn,) in turns) < clock()
