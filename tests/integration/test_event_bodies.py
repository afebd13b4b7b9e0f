"""Expunging an event: who may, what is left, and that it cannot be sent again."""

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import ANONYMOUS, SYSTEM
from dockbell.domain.errors import ConflictError, NotFoundError, UnauthenticatedError
from dockbell.services import event_bodies, users
from dockbell.store import deliveries
from dockbell.store import tables as t
from dockbell.store.history import Expunged
from dockbell.store.transactions import Store
from tests import engines, queues
from tests.conftest import SetClock


async def expunge(store: Store, event_id: str) -> Expunged:
    async with store.begin() as tx:
        return await event_bodies.expunge(tx, await users.superuser(tx, SYSTEM), event_id)


async def test_the_change_is_written_down_without_what_was_forgotten(
    store: Store, clock: SetClock
) -> None:
    await queues.prepare(store)
    event_id = await engines.record(store, clock)

    done = await expunge(store, event_id)

    entry = select(
        t.audit_entries.c.kind, t.audit_entries.c.actor_name, t.audit_entries.c.metadata
    )
    assert done == Expunged(cancelled=1, attempts=0, notices=0)
    assert await queues.rows(store, entry) == [
        ("expunge_event", "dockbell", {"event": event_id, "cancelled": 1, "attempts": 0})
    ]


async def test_an_event_that_is_being_sent_is_not_expunged(
    store: Store, clock: SetClock
) -> None:
    await queues.prepare(store)
    event_id = await engines.record(store, clock)
    await queues.lease(store)

    with pytest.raises(ConflictError) as refused:
        await expunge(store, event_id)

    body = await queues.rows(store, select(t.events.c.body))
    assert (
        refused.value.detail == "The event is being sent at this moment. Try again in a minute."
    )
    assert body != [(b"",)]


async def test_an_unknown_event_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError):
        await expunge(store, "evt_none")


async def test_only_a_superuser_may(store: Store) -> None:
    with pytest.raises(UnauthenticatedError):
        async with store.begin() as tx:
            await users.superuser(tx, ANONYMOUS)


async def test_an_expunged_event_that_is_due_again_is_not_sent(
    store: Store, clock: SetClock
) -> None:
    (notification,) = await queues.prepare(store)
    event_id = await engines.record(store, clock)
    await expunge(store, event_id)
    async with store.begin() as tx:
        await tx.run(t.deliveries.update().values(state="waiting", finished_at=None))
        await deliveries.resume(tx, notification)

    async with engines.running(store, clock):
        await engines.until_states(store, "dead")

    assert await queues.attempts(store, await engines.the_delivery(store)) == [
        (1, "rejected", "event_unknown")
    ]
