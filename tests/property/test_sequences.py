"""Whatever happens in whatever order: a notification that is sent in order has one delivery under way, the oldest."""

from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from dockbell.domain.deliveries import State
from dockbell.store import sequences
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.property.test_deliveries import History, a_step, fresh

ORDERED, CHANGING = 0, 1  # the third is as any other

_step = st.one_of(
    a_step,
    st.tuples(st.just("record"), st.just({ORDERED, CHANGING})),
    st.tuples(st.just("order"), st.booleans()),
)


@dataclass
class Ordered(History):
    """Histories in which one notification is always sent in order, and one now and then."""

    async def _order(self, begins: bool) -> None:  # noqa: FBT001 -- drawn by hypothesis
        async with self.store.begin() as tx:
            change = sequences.begin if begins else sequences.end
            await change(tx, self.ids[CHANGING])

    async def _lease(self, limit: int) -> None:
        before = await self._of_the_ordered()
        known = {order.lease for order in self.held}
        await super()._lease(limit)

        taken = {one.delivery_id for one in self.held if one.lease not in known}
        ours = taken & set(before)
        is_free = State.SENDING.value not in before.values()
        waiting = [one for one, state in before.items() if state == State.WAITING.value]
        assert ours <= set(waiting[:1] if is_free else [])

    async def _of_the_ordered(self) -> dict[str, str]:
        """The states of the notification's deliveries, tests left out, in the order of their events."""
        columns = t.deliveries.c
        found = await queues.rows(
            self.store,
            select(columns.id, columns.state)
            .where(columns.notification_id == self.ids[ORDERED], columns.trigger != "test")
            .order_by(columns.created_at, columns.id),
        )
        return dict(found)  # type: ignore[arg-type] -- two columns


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_step, min_size=5, max_size=25))
@example(
    steps=[
        *[("record", {0}), ("pass", 1), ("record", {0}), ("lease", 1), ("settle", ["again"])],
        *[("lease", 5), ("pass", 10), ("lease", 5), ("settle", ["dead"]), ("lease", 5)],
    ]
)  # the first fails, waits, and is given up
@example(
    steps=[
        *[("record", {0}), ("pass", 1), ("record", {0}), ("lease", 1), ("pass", 40)],
        *[
            ("rescue", False),
            ("lease", 5),
            ("rescue", True),
            ("lease", 5),
            ("settle", ["again"]),
        ],
    ]
)  # its process is lost twice, and tells late
async def test_no_history_sends_out_of_order_or_two_at_once(
    store: Store, clock: SetClock, steps: list[tuple[str, object]]
) -> None:
    history = await fresh(store, clock, Ordered)
    async with store.begin() as tx:
        await sequences.begin(tx, history.ids[ORDERED])
    for step in steps:
        await history.take(step)
        await history.check()

    await history.end()

    await history.check()
    left = set((await queues.states(store)).values())
    assert left <= {State.DELIVERED.value, State.DEAD.value, State.CANCELLED.value}
