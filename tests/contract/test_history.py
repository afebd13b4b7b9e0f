"""What is thrown away and what is kept, on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from dockbell.domain.deliveries import Trigger
from dockbell.domain.outcomes import Delivered, Exchange
from dockbell.store import deliveries, events, history
from dockbell.store import tables as t
from dockbell.store.history import Expunged
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock

SAID = Exchange(
    status=200,
    request_headers=(("webhook-id", "dlv"),),
    response_headers=(("server", "x"),),
    response_body=b"what the target said",
)
MONTH = timedelta(days=30)


async def run(store: Store, prune: object, clock: SetClock, limit: int = 100) -> int:
    async with store.begin() as tx:
        step = await prune(tx, clock() - MONTH, "", limit)  # type: ignore[operator] -- a Prune
        return int(step.deleted)


async def count(store: Store, table: object) -> int:
    ((number,),) = await queues.rows(store, select(func.count()).select_from(table))  # type: ignore[arg-type] -- a Table
    return int(number)


async def deliver(store: Store, notification: str, *, number: int = 1) -> list[str]:
    """So many events, each delivered at the first try; return the ids of the deliveries."""
    async with store.begin() as tx:
        for _ in range(number):
            await queues.record(tx, [notification])
    orders = await queues.lease(store)
    await queues.settle(store, [queues.result_of(one, Delivered(SAID)) for one in orders])
    return [one.delivery_id for one in orders]


async def everything(store: Store) -> tuple[int, int, int]:
    return (
        await count(store, t.attempts),
        await count(store, t.deliveries),
        await count(store, t.events),
    )


async def prune_all(store: Store, clock: SetClock) -> tuple[int, int, int]:
    return (
        await run(store, history.prune_attempts, clock),
        await run(store, history.prune_deliveries, clock),
        await run(store, history.prune_events, clock),
    )


async def test_what_is_old_enough_goes_with_all_that_belongs_to_it(
    store: Store, clock: SetClock
) -> None:
    (notification,) = await queues.prepare(store)
    await deliver(store, notification, number=3)
    clock.move(days=31)
    await deliver(store, notification)

    pruned = await prune_all(store, clock)

    assert pruned == (3, 3, 3)
    assert await everything(store) == (1, 1, 1)


async def test_what_is_younger_stays(store: Store, clock: SetClock) -> None:
    (notification,) = await queues.prepare(store)
    await deliver(store, notification)
    clock.move(days=29)

    assert await prune_all(store, clock) == (0, 0, 0)


async def test_an_event_stays_as_long_as_one_of_its_deliveries_is_not_final(
    store: Store, clock: SetClock
) -> None:
    first, second, third = await queues.prepare(store, 3)
    async with store.begin() as tx:
        await queues.record(tx, [first, second])
        await queues.record(tx, [third])
    done, waits, sent = await queues.lease(store)
    await queues.settle(
        store, [queues.result_of(done), queues.again(waits, clock() + timedelta(days=90))]
    )
    clock.move(days=31)

    pruned = await prune_all(store, clock)

    # Of the three, the delivered one goes; its event, the one that waits and the one being sent do not.
    assert pruned == (1, 1, 0)
    assert sorted(await queues.states(store)) == sorted([waits.delivery_id, sent.delivery_id])
    assert await everything(store) == (1, 2, 2)


async def test_a_delivery_that_ended_lately_stays_however_old_it_is(
    store: Store, clock: SetClock
) -> None:
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [notification])
    clock.move(days=31)
    (order,) = await queues.lease(store)
    await queues.settle(store, [queues.result_of(order)])

    assert (
        await run(store, history.prune_deliveries, clock),
        await run(store, history.prune_events, clock),
    ) == (0, 0)


async def test_an_event_without_any_delivery_goes_by_its_age(
    store: Store, clock: SetClock
) -> None:
    await queues.prepare(store)
    async with store.begin() as tx:
        await queues.record(tx, [])
    clock.move(days=31)
    async with store.begin() as tx:
        await queues.record(tx, [])

    assert await run(store, history.prune_events, clock) == 1
    assert await count(store, t.events) == 1


async def test_a_step_deletes_no_more_than_it_may(store: Store, clock: SetClock) -> None:
    (notification,) = await queues.prepare(store)
    await deliver(store, notification, number=5)
    clock.move(days=31)

    steps = [await run(store, history.prune_deliveries, clock, limit=2) for _ in range(4)]

    assert steps == [2, 2, 1, 0]
    assert await everything(store) == (0, 0, 5)


async def test_old_notices_audit_entries_and_ended_tokens_go(
    store: Store, clock: SetClock
) -> None:
    async def add(number: int) -> None:
        async with store.begin() as tx:
            if number == 0:
                await queues.add_place(tx)
            await tx.run(
                insert(t.notices).values(
                    id=tx.new_id("ntc"), uuid=tx.new_id("uuid"), namespace_id="nsp_acme",
                    kind="repo_push", metadata={}, created_at=tx.now,
                )
            )  # fmt: skip
            await tx.run(
                insert(t.audit_entries).values(
                    id=tx.new_id("aud"), kind="x", actor_kind="user", actor_name="a",
                    metadata={}, created_at=tx.now,
                )
            )  # fmt: skip
            for ends in (tx.now + timedelta(days=1), tx.now + timedelta(days=900), None):
                await tx.run(
                    insert(t.tokens).values(
                        id=tx.new_id("tok"), uuid=tx.new_id("uuid"), user_id="nsp_acme",
                        lookup=tx.new_id("l"), token_hash="h", scope="", created_at=tx.now,
                        expires_at=ends,
                    )
                )  # fmt: skip

    await add(0)
    clock.move(days=32)
    await add(1)

    pruned = [
        await run(store, prune, clock)
        for prune in (history.prune_notices, history.prune_audit_entries, history.prune_tokens)
    ]

    assert pruned == [1, 1, 1]
    assert [await count(store, table) for table in (t.notices, t.audit_entries, t.tokens)] == [
        1, 1, 5,
    ]  # fmt: skip


# Expunging


async def event_of(store: Store, delivery_id: str) -> str:
    statement = select(t.deliveries.c.event_id).where(t.deliveries.c.id == delivery_id)
    return str((await queues.rows(store, statement))[0][0])


async def test_an_expunged_event_keeps_that_it_happened_and_nothing_it_said(
    store: Store, clock: SetClock
) -> None:
    (notification,) = await queues.prepare(store)
    one, other = await deliver(store, notification, number=2)
    event_id = await event_of(store, one)
    async with store.begin() as tx:
        await tx.run(
            update(t.events).values(
                performer_name="alice", performer_kind="user", facts={"who": "alice"}
            )
        )

    async with store.begin() as tx:
        done = await history.expunge(tx, event_id)

    kept = await queues.rows(
        store,
        select(
            t.events.c.kind, t.events.c.repository, t.events.c.body, t.events.c.facts,
            t.events.c.performer_name,
        ).where(t.events.c.id == event_id),
    )  # fmt: skip
    tries = await queues.rows(
        store,
        select(
            t.attempts.c.delivery_id, t.attempts.c.status, t.attempts.c.code,
            t.attempts.c.request_headers, t.attempts.c.response_body,
        ).order_by(t.attempts.c.delivery_id),
    )  # fmt: skip
    async with store.read() as tx:
        sendable = list(await events.load_many(tx, [event_id, await event_of(store, other)]))
    assert done == Expunged(cancelled=0, attempts=1, notices=0)
    assert kept == [("repo_push", "web", b"", {}, None)]
    assert tries == [
        (one, 200, "ok", [], None),
        (other, 200, "ok", [["webhook-id", "dlv"]], b"what the target said"),
    ]
    assert sendable == [await event_of(store, other)]
    assert await queues.states(store) == {one: "delivered", other: "delivered"}


async def test_what_waits_of_an_expunged_event_is_cancelled(
    store: Store, clock: SetClock
) -> None:
    first, second = await queues.prepare(store, 2)
    async with store.begin() as tx:
        one, other = await queues.record(tx, [first, second])
        (test,) = await queues.record(tx, [first], Trigger.TEST)
    event_id = await event_of(store, one)

    async with store.begin() as tx:
        is_busy = await history.is_being_sent(tx, event_id)
        done = await history.expunge(tx, event_id)

    assert (is_busy, done) == (False, Expunged(cancelled=2, attempts=0, notices=0))
    assert await queues.states(store) == {one: "cancelled", other: "cancelled", test: "waiting"}
    await queues.assert_lanes_are_right(store)


async def test_an_event_that_is_being_sent_is_seen(store: Store) -> None:
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        (one,) = await queues.record(tx, [notification])
    await queues.lease(store)

    async with store.begin() as tx:
        assert await history.is_being_sent(tx, await event_of(store, one)) is True


async def test_an_unknown_event_is_not_expunged(store: Store) -> None:
    async with store.begin() as tx:
        assert await history.expunge(tx, "evt_none") is None


async def test_nothing_of_an_expunged_body_is_left_in_the_file(
    store: Store, clock: SetClock
) -> None:
    if not store.is_sqlite:
        pytest.skip("PostgreSQL's files are the server's")
    (notification,) = await queues.prepare(store)
    (one,) = await deliver(store, notification)
    event_id = await event_of(store, one)
    marker = b"a-secret-that-somebody-pushed-" * 400  # more than a page
    async with store.begin() as tx:
        await tx.run(update(t.events).values(body=marker))
    files = [Path(store.address.removeprefix("sqlite:///") + end) for end in ("", "-wal")]
    await history.sweep(store)
    before = [b"somebody-pushed" in file.read_bytes() for file in files]

    async with store.begin() as tx:
        await history.expunge(tx, event_id)
    await history.sweep(store)

    after = [b"somebody-pushed" in file.read_bytes() for file in files]
    assert (before, after) == ([True, False], [False, False])


async def test_the_sweep_after_an_expunge_works_on_both(store: Store) -> None:
    await history.sweep(store)

    async with store.begin() as tx:
        assert await deliveries.has_expired(tx) is False
