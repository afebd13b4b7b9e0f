"""A receiver that is away: for five minutes nobody notices, past the whole schedule its owner decides; nothing is lost."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import SYSTEM
from dockbell.engine.engine import Engine
from dockbell.engine.retry import Policy
from dockbell.services import redelivery_jobs
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues, records
from tests.asgi import Client
from tests.conftest import SetClock
from tests.engines import running, until
from tests.receiver import Receiver
from tests.world import World, open_world

BASE = "/api/v1/repository/acme/web/notification/"


@pytest.fixture
async def world(store: Store) -> World:
    made = await open_world(store)
    made.guard.allows_loopback = True
    return made


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


@pytest.fixture
async def port() -> int:
    """A port that is free, and where nobody listens until a test does."""
    async with Receiver() as receiver:
        return receiver.port


async def make(admin: Client, port: int) -> str:
    answer = await admin.post(
        BASE,
        {
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": f"http://127.0.0.1:{port}/hook"},
            "eventConfig": {},
        },
    )
    assert answer.status == 201
    return str(answer.json()["uuid"])


async def earliest(store: Store) -> datetime | None:
    """When something may next be sent, of what is not parked."""
    lanes = select(t.lanes.c.next_due_at, t.lanes.c.held_until).where(
        ~t.lanes.c.is_paused, t.lanes.c.next_due_at.is_not(None)
    )
    return min(
        (max(due, held or due) for due, held in await queues.rows(store, lanes)), default=None
    )


async def let_pass(
    store: Store, clock: SetClock, engine: Engine, until_moment: datetime
) -> None:
    """Let the time go by, from one try to the next."""

    async def are_at_rest() -> bool:
        due = await earliest(store)  # first: what is leased meanwhile shows as being sent
        states = Counter((await queues.states(store)).values())
        return not states["sending"] and (due is None or due > clock.now)

    while True:
        engine.ring()
        await until(are_at_rest)
        due = await earliest(store)
        if due is None or due > until_moment:
            clock.now = max(clock.now, until_moment)
            return
        clock.now = due


async def failures(admin: Client, uuid: str) -> int:
    shown: Any = (await admin.get(BASE + uuid)).json()
    return int(shown["number_of_failures"])


async def bells(admin: Client) -> list[str]:
    """The kinds of the notices in the admin's inbox, the newest first."""
    shown: Any = (await admin.get("/api/v1/user/notifications")).json()
    return [one["kind"] for one in shown["notifications"]]


async def work_off(store: Store) -> None:
    """The jobs that send many deliveries again, as the server does."""
    is_needed = True
    while is_needed:
        async with store.begin() as tx:
            is_needed = await redelivery_jobs.step(tx, SYSTEM)


def tags_of(receiver: Receiver) -> list[str]:
    return [json.loads(one.body)["updated_tags"][0] for one in receiver.requests]


async def test_five_minutes_away_lose_nothing_and_pause_nothing(
    world: World, admin: Client, store: Store, clock: SetClock, port: int
) -> None:
    uuid = await make(admin, port)
    began = clock.now

    async with running(store, clock) as engine:
        for number in range(20):
            await records.push(world, tag=f"v{number}")
            await let_pass(store, clock, engine, began + timedelta(seconds=15 * (number + 1)))
        while_away = await failures(admin, uuid)
        async with Receiver(port=port) as receiver:
            await let_pass(store, clock, engine, began + timedelta(minutes=30))

    assert Counter((await queues.states(store)).values()) == {"delivered": 20}
    assert sorted(tags_of(receiver)) == sorted(f"v{number}" for number in range(20))
    assert (while_away, await failures(admin, uuid)) == (0, 0)
    assert await bells(admin) == []
    await queues.assert_lanes_are_right(store)


async def test_past_the_whole_schedule_it_is_paused_told_and_parked_and_one_call_brings_all(
    world: World, admin: Client, store: Store, clock: SetClock, port: int
) -> None:
    uuid = await make(admin, port)
    began = clock.now

    async with running(store, clock) as engine:
        for number in range(3):
            await records.push(world, tag=f"early{number}")
            await let_pass(store, clock, engine, clock.now + timedelta(minutes=1))
        await let_pass(store, clock, engine, began + timedelta(days=4, hours=12))
        while_away = await failures(admin, uuid)
        for number in range(10):
            await records.push(world, tag=f"late{number}")
            await let_pass(store, clock, engine, clock.now + timedelta(minutes=1))
        parked = Counter((await queues.states(store)).values())
        told = await bells(admin)
        async with Receiver(port=port) as receiver:
            await let_pass(store, clock, engine, clock.now + timedelta(hours=1))
            before = len(receiver.requests)
            reset = await admin.post(BASE + uuid)
            await let_pass(store, clock, engine, clock.now + timedelta(hours=1))

            # What was given up before is there to be sent again, by one call too.
            job = await admin.post("/api/v2/redelivery-jobs", {"repository": "acme/web"})
            await work_off(store)
            await let_pass(store, clock, engine, clock.now + timedelta(hours=1))

    assert (while_away, parked) == (3, {"dead": 3, "waiting": 10})
    # After an hour, at half of the five days, and with long waits at seven tenths too.
    assert told[0] == "notification_paused"
    assert told[1:] in (["notification_failing"] * 2, ["notification_failing"] * 3)
    assert (before, reset.status, job.status) == (0, 204, 201)
    tags = tags_of(receiver)
    assert tags[:10] == [f"late{number}" for number in range(10)]
    assert sorted(tags[10:]) == ["early0", "early1", "early2"]
    assert Counter((await queues.states(store)).values()) == {"delivered": 13}
    assert await failures(admin, uuid) == 0
    await queues.assert_lanes_are_right(store)


async def test_a_target_that_refuses_for_ever_is_paused_and_holds_up_nobody(
    world: World, admin: Client, store: Store, clock: SetClock
) -> None:
    async with Receiver() as refusing, Receiver() as good:
        refusing.answer(status=400)
        bad = await make(admin, refusing.port)
        await make(admin, good.port)

        async with running(
            store, clock, policy=Policy(waits=(timedelta(seconds=5),))
        ) as engine:
            for number in range(60):
                await records.push(world, tag=f"v{number}")
                await good.wait_for(number + 1)
                await let_pass(store, clock, engine, clock.now + timedelta(seconds=2))

        assert tags_of(good) == [f"v{number}" for number in range(60)]
        assert 6 <= len(refusing.requests) <= 12  # three were given up, others had begun
        assert await failures(admin, bad) == 3
        left = Counter((await queues.states(store)).values())
        assert left == {"delivered": 60, "dead": 3, "waiting": 57}
