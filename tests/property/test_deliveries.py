"""Whatever happens in whatever order: nothing is lost, nothing is leased twice, and the counters are right."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from dockbell.domain.deliveries import Order, PauseReason, State, Trigger
from dockbell.domain.outcomes import Code, Rejected
from dockbell.store import deliveries, notifications, redeliveries
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock

NOTIFICATIONS = 3
GONE = Rejected(Code.HTTP_410, "410", gone=True)

_number = st.integers(0, NOTIFICATIONS - 1)
a_step = st.one_of(
    st.tuples(st.just("record"), st.sets(_number, min_size=1)),
    st.tuples(st.just("record"), st.sets(_number, min_size=1)),
    st.tuples(st.just("test"), _number),
    st.tuples(st.just("lease"), st.integers(1, 6)),
    st.tuples(st.just("lease"), st.integers(1, 6)),
    st.tuples(
        st.just("settle"), st.lists(st.sampled_from(["delivered", "dead", "again", "gone"]))
    ),
    st.tuples(
        st.just("settle"), st.lists(st.sampled_from(["delivered", "dead", "again", "gone"]))
    ),
    st.tuples(st.just("release"), st.integers(1, 3)),
    st.tuples(st.just("pass"), st.sampled_from([1, 10, 40])),
    st.tuples(st.just("rescue"), st.booleans()),
    st.tuples(st.just("pause"), _number),
    st.tuples(st.just("resume"), _number),
    st.tuples(st.just("redeliver"), st.integers(0, 20)),
    st.tuples(st.just("redeliver"), st.integers(0, 20)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
)


@dataclass
class History:
    """What a test does to a store, and what it must remember to check it."""

    store: Store
    clock: SetClock
    ids: list[str]
    held: list[Order] = field(
        default_factory=list
    )  # leased and not settled, as far as workers know
    recorded: int = 0

    async def take(self, step: tuple[str, object]) -> None:
        name, argument = step
        await getattr(self, f"_{name}")(argument)

    async def _record(self, numbers: set[int]) -> None:
        async with self.store.begin() as tx:
            wanted = [(self.ids[one], await self._is_paused(one)) for one in sorted(numbers)]
            self.recorded += len(await queues.record(tx, wanted))

    async def _test(self, number: int) -> None:
        async with self.store.begin() as tx:
            pair = (self.ids[number], await self._is_paused(number))
            self.recorded += len(await queues.record(tx, [pair], Trigger.TEST))

    async def _is_paused(self, number: int) -> bool:
        async with self.store.read() as tx:
            return (await notifications.load(tx, self.ids[number])).paused_at is not None

    async def _lease(self, limit: int) -> None:
        before = await queues.states(self.store)
        orders = await queues.lease(self.store, limit)
        assert len(orders) <= limit
        assert {before[order.delivery_id] for order in orders} <= {"waiting"}
        self.held += orders

    async def _settle(self, endings: list[str]) -> None:
        ended, self.held = self.held[: len(endings)], self.held[len(endings) :]
        results = []
        for order, ending in zip(ended, endings, strict=False):
            if ending == "delivered":
                results.append(queues.result_of(order))
            elif ending == "again":
                results.append(queues.again(order, self.clock() + timedelta(seconds=5)))
            else:
                results.append(queues.dead(order, GONE if ending == "gone" else queues.DOWN))
        await queues.settle(self.store, results)

    async def _release(self, count: int) -> None:
        given_back, self.held = self.held[:count], self.held[count:]
        async with self.store.begin() as tx:
            await deliveries.release(tx, given_back)

    async def _pass(self, seconds: int) -> None:
        self.clock.move(seconds=seconds)

    async def _rescue(self, own_everything: bool) -> None:  # noqa: FBT001 -- drawn by hypothesis
        async with self.store.begin() as tx:
            await deliveries.rescue(tx, lambda: 0.5, own_everything=own_everything)
            assert not await deliveries.has_expired(tx)  # I2

    async def _pause(self, number: int) -> None:
        async with self.store.begin() as tx:
            await notifications.pause(tx, self.ids[number], PauseReason.PERSON)
            await deliveries.pause(tx, self.ids[number])

    async def _resume(self, number: int) -> None:
        async with self.store.begin() as tx:
            await notifications.resume(tx, self.ids[number])
            await deliveries.resume(tx, self.ids[number])

    async def _redeliver(self, place: int) -> None:
        """Send one of the deliveries again, as people may who see it on a page."""
        one = await self._at(place)
        if one is None:
            return
        delivery_id, notification_id, trigger, state = one
        async with self.store.begin() as tx:
            is_done = await redeliveries.redeliver(
                tx, delivery_id, notification_id, Trigger(trigger), None
            )
        assert is_done == (state != "sending")

    async def _cancel(self, place: int) -> None:
        one = await self._at(place)
        if one is None:
            return
        async with self.store.begin() as tx:
            is_done = await redeliveries.cancel(tx, one[0])
        assert is_done == (one[3] == "waiting")

    async def _at(self, place: int) -> tuple[str, str, str, str] | None:
        columns = t.deliveries.c
        statement = select(
            columns.id, columns.notification_id, columns.trigger, columns.state
        ).order_by(columns.id)
        found = await queues.rows(self.store, statement)
        return found[place] if place < len(found) else None  # type: ignore[return-value] -- four columns

    async def end(self) -> None:
        """All targets are well again, nobody is paused, and time goes by."""
        self.held.clear()
        for _ in range(100):
            await self._rescue(own_everything=True)
            for number in range(NOTIFICATIONS):
                await self._resume(number)
            self.clock.move(minutes=2)  # longer than any wait in these histories
            await self._lease(500)
            if not self.held:
                return
            await self._settle(["delivered"] * len(self.held))
        raise AssertionError("It does not end.")

    async def check(self) -> None:
        await queues.assert_lanes_are_right(self.store)  # I6
        columns = t.deliveries.c
        found = await queues.rows(
            self.store,
            select(
                columns.id, columns.state, columns.attempts, columns.lease, columns.finished_at
            ),
        )
        counted = await queues.rows(
            self.store,
            select(t.attempts.c.delivery_id, func.count()).group_by(t.attempts.c.delivery_id),
        )
        written = {row[0]: row[1] for row in counted}
        assert len(found) == self.recorded
        for delivery_id, state, attempts, lease, finished_at in found:
            assert attempts == written.get(delivery_id, 0)
            assert (lease is not None) == (state == "sending")
            assert (finished_at is not None) == (state not in {"waiting", "sending"})


_Kind = TypeVar("_Kind", bound=History)


async def fresh(store: Store, clock: SetClock, kind: type[_Kind]) -> _Kind:
    """Such a history, of an empty store with some notifications."""
    async with store.begin() as tx:
        for table in (t.attempts, t.deliveries, t.lanes, t.events, t.notifications):
            await tx.run(delete(table))
        if await tx.first(select(t.namespaces.c.id)) is None:
            await queues.add_place(tx)
        ids = [(await queues.add_notification(tx)).id for _ in range(NOTIFICATIONS)]
    return kind(store, clock, ids)


# The store is emptied for each example, so that it may be shared.
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(a_step, min_size=5, max_size=25))
@example(
    steps=[("record", {2}), ("lease", 1), ("settle", ["again"]), ("pass", 1), ("resume", 2)]
)  # what waits for a retry is due since it was made
@example(
    steps=[
        *[("record", {0}), ("lease", 1), ("settle", ["again"]), ("pass", 10)],
        *[("record", {0}), ("lease", 5), ("settle", ["again", "again"])],
    ]
)  # a retry fails again together with news that fails for the first time
async def test_no_history_loses_a_delivery_or_miscounts_a_lane(
    store: Store, clock: SetClock, steps: list[tuple[str, object]]
) -> None:
    history = await fresh(store, clock, History)
    for step in steps:
        await history.take(step)
        await history.check()

    await history.end()

    await history.check()
    left = set((await queues.states(store)).values())
    assert left <= {State.DELIVERED.value, State.DEAD.value, State.CANCELLED.value}  # I1
