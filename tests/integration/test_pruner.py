"""The pruner on a real store: what it throws away, in steps, and how it is told what to keep."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from dockbell.domain.accounts import AppToken
from dockbell.engine import pruner as module
from dockbell.engine.pruner import Keep, Pruner
from dockbell.observability.metrics import Metrics
from dockbell.store import app_tokens, sessions
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.world import add_namespace

ALL = Keep(
    attempts=timedelta(days=30),
    events=timedelta(days=30),
    notices=timedelta(days=90),
    audit_entries=timedelta(days=365),
    tokens=timedelta(days=30),
)


async def fill(store: Store, number: int) -> None:
    (notification,) = await queues.prepare(store)
    async with store.begin() as tx:
        for _ in range(number):
            await queues.record(tx, [notification])
    while orders := await queues.lease(store):
        await queues.settle(store, [queues.result_of(one) for one in orders])


async def left(store: Store) -> list[int]:
    return [
        int((await queues.rows(store, select(func.count()).select_from(table)))[0][0])
        for table in (t.attempts, t.deliveries, t.events)
    ]


async def test_a_round_throws_away_all_that_is_old(store: Store, clock: SetClock) -> None:
    metrics = Metrics()
    await fill(store, 5)
    clock.move(days=31)

    has_more = await Pruner(store, clock, timedelta(days=7), ALL, metrics=metrics).throw_away()

    assert (has_more, await left(store)) == (False, [0, 0, 0])
    (family,) = [one for one in metrics.families() if one.name == "dockbell_pruned_rows_total"]
    assert {one.labels["kind"]: one.value for one in family.samples} == {
        "attempts": 5, "deliveries": 5, "events": 5,
    }  # fmt: skip


async def test_without_limits_everything_is_kept(store: Store, clock: SetClock) -> None:
    await fill(store, 2)
    clock.move(days=4000)

    has_more = await Pruner(store, clock, timedelta(days=7)).throw_away()

    assert (has_more, await left(store)) == (False, [2, 2, 2])


async def test_tries_can_go_before_their_deliveries(store: Store, clock: SetClock) -> None:
    await fill(store, 2)
    clock.move(days=31)
    keep = replace(ALL, events=timedelta(days=365))

    await Pruner(store, clock, timedelta(days=7), keep).throw_away()

    assert await left(store) == [0, 2, 2]


async def test_a_round_ends_after_so_many_steps_and_says_that_there_is_more(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STEP", 2)
    monkeypatch.setattr(module, "_STEPS_AT_ONCE", 2)
    await fill(store, 5)
    clock.move(days=31)
    pruner = Pruner(store, clock, timedelta(days=7), Keep(attempts=timedelta(days=30)))

    rounds = [await pruner.throw_away() for _ in range(2)]

    assert (rounds, await left(store)) == ([True, False], [0, 5, 5])


async def test_ended_sessions_go_at_once_and_ended_app_tokens_with_the_others(
    store: Store, clock: SetClock
) -> None:
    async with store.begin() as tx:
        await add_namespace(tx, "alice")
        for days in (1, 7):
            await sessions.add(
                tx,
                "ns_alice",
                secret_hash=f"{days}",
                credential="",
                expires_at=clock() + timedelta(days=days),
            )
            token = AppToken(
                tx.new_id("apt"), f"{days}", "x", clock(), clock() + timedelta(days=days), None
            )
            await app_tokens.add(tx, token, user_id="ns_alice", lookup=f"{days}", token_hash="")
    left = []

    for days in (2, 30):
        clock.move(days=days)
        await Pruner(store, clock, timedelta(days=7), ALL).throw_away()
        left += [
            len(await queues.rows(store, select(table.c.id)))
            for table in (t.sessions, t.app_tokens)
        ]

    assert left == [1, 2, 0, 1]
