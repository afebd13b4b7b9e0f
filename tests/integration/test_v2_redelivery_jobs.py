"""Sending many deliveries again: exact counts, pausing, a crash in the middle, and who may."""

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from dockbell.domain.accounts import ANONYMOUS, SYSTEM
from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.errors import ForbiddenError
from dockbell.services import redelivery_jobs
from dockbell.store import notifications
from dockbell.store import redelivery_jobs as rows
from dockbell.store.tables import deliveries, lanes
from dockbell.store.transactions import Store
from tests import queues, records
from tests.accounts import Statements
from tests.asgi import Client
from tests.conftest import SetClock
from tests.engines import push
from tests.world import World, open_world

BASE = "/api/v2/redelivery-jobs"
NEW: dict[str, Any] = {"repository": "acme/web"}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def add_dead(world: World, clock: SetClock, count: int) -> list[str]:
    """So many deliveries that were given up, the oldest first."""
    made: list[str] = []
    for _ in range(count):
        clock.move(seconds=1)
        made += await records.deliveries_of(world.store, await records.push(world))
    await records.try_all(world.store, records.DOWN, state=State.DEAD)
    return made


async def step(store: Store) -> bool:
    async with store.begin() as tx:
        return await redelivery_jobs.step(tx, SYSTEM)


async def finish(store: Store) -> None:
    while await step(store):
        pass


async def progress(client: Client, job: str) -> tuple[str, int, int, int]:
    shown = (await client.get(f"{BASE}/{job}")).json()
    return shown["state"], shown["total"], shown["sent"], shown["skipped"]


async def test_a_count_changes_nothing(world: World, admin: Client, clock: SetClock) -> None:
    await records.add_notification(world.store)
    await add_dead(world, clock, 2)
    await records.push(world)
    await records.try_all(world.store)

    counted = await admin.post(BASE, {**NEW, "dry_run": True})
    of_all = await admin.post(BASE, {**NEW, "dry_run": True, "state": []})

    assert (counted.status, counted.json()["id"], counted.json()["total"]) == (200, None, 2)
    assert of_all.json()["total"] == 3
    assert (await admin.get(f"{BASE}?repository=acme/web")).json()["items"] == []
    assert list(await queues.lease(world.store)) == []


async def test_a_job_sends_what_was_given_up_before_it_and_nothing_else(
    world: World, admin: Client, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 2)
    notification = await records.add_notification(world.store)
    await records.push(world)
    await records.try_all(world.store)
    dead = await add_dead(world, clock, 2)
    async with world.store.begin() as tx:  # three in a row would pause it
        await notifications.resume(tx, notification)
    dead += await add_dead(world, clock, 1)
    await admin.post(f"/api/v2/notifications/{notification}/test?wait=0")

    created = await admin.post(BASE, NEW)
    clock.move(seconds=1)
    job = created.json()["id"]
    assert (created.status, await progress(admin, job)) == (201, ("running", 3, 0, 0))
    await step(world.store)
    assert await progress(admin, job) == ("running", 3, 2, 0)
    await finish(world.store)

    assert await progress(admin, job) == ("done", 3, 3, 0)
    orders = await queues.lease(world.store)
    assert sorted(order.delivery_id for order in orders if order.attempts) == sorted(dead)
    await queues.settle(world.store, [queues.result_of(order) for order in orders])
    await finish(world.store)
    assert list(await queues.lease(world.store)) == []
    await queues.assert_lanes_are_right(world.store)


async def test_a_part_that_fails_is_undone_whole_and_done_again(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    await add_dead(world, clock, 2)
    job = (await admin.post(BASE, NEW)).json()["id"]

    with pytest.raises(RuntimeError):
        async with world.store.begin() as tx:
            await redelivery_jobs.step(tx, SYSTEM)
            raise RuntimeError("the process dies here")
    assert await progress(admin, job) == ("running", 2, 0, 0)
    await finish(world.store)

    assert await progress(admin, job) == ("done", 2, 2, 0)
    assert len(await queues.lease(world.store)) == 2


@pytest.mark.slow
async def test_thousands_are_sent_again_once_each_though_the_process_dies_in_the_middle(
    world: World, admin: Client, clock: SetClock
) -> None:
    count = 5000
    await records.add_notification(world.store)
    repository = await records.repository_id_of(world.store, "acme/web")
    draft = push(clock, namespace_id="ns_acme", repository_id=repository)
    async with world.store.begin() as tx:
        await world.faces.intake.record_many(tx, [draft] * count)
        await tx.run(update(deliveries).values(state=State.DEAD.value))
        await tx.run(update(lanes).values(next_due_at=None))
    clock.move(seconds=1)
    job = (await admin.post(BASE, NEW)).json()["id"]

    for _ in range(3):
        await step(world.store)
        with pytest.raises(RuntimeError):
            async with world.store.begin() as tx:
                await redelivery_jobs.step(tx, SYSTEM)
                raise RuntimeError("the process dies here")
    await finish(world.store)

    assert await progress(admin, job) == ("done", count, count, 0)
    states = Counter((await queues.states(world.store)).values())
    assert states == {"waiting": count}
    await queues.assert_lanes_are_right(world.store)


async def test_what_cannot_be_sent_is_skipped_and_counted(
    world: World, admin: Client, clock: SetClock
) -> None:
    gone = await records.add_notification(world.store)
    paused = await records.add_notification(world.store)
    await records.add_notification(world.store)
    await add_dead(world, clock, 1)
    await admin.delete(f"/api/v2/notifications/{gone}")
    await records.pause(world.store, paused, PauseReason.PERSON)
    job = (await admin.post(BASE, NEW)).json()["id"]

    await finish(world.store)

    assert await progress(admin, job) == ("done", 3, 1, 2)


async def test_a_job_is_paused_resumed_and_cancelled_until_it_is_over(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    await add_dead(world, clock, 1)
    job = (await admin.post(BASE, NEW)).json()["id"]

    paused = await admin.post(f"{BASE}/{job}/pause")
    await finish(world.store)
    while_paused = await progress(admin, job)
    resumed = await admin.post(f"{BASE}/{job}/resume")
    cancelled = await admin.post(f"{BASE}/{job}/cancel")
    again = await admin.post(f"{BASE}/{job}/cancel")
    late = await admin.post(f"{BASE}/{job}/resume")

    assert [one.json()["state"] for one in (paused, resumed, cancelled, again)] == [
        "paused",
        "running",
        "cancelled",
        "cancelled",
    ]
    assert while_paused == ("paused", 1, 0, 0)
    assert (late.status, late.json()["title"]) == (409, "Job over")
    await finish(world.store)
    assert list(await queues.lease(world.store)) == []


async def test_a_list_takes_the_same_number_of_queries_for_one_row_and_three(
    world: World, admin: Client
) -> None:
    await admin.post(BASE, NEW)
    statements = Statements.of(world.store)
    await admin.get(f"{BASE}?repository=acme/web")
    for_one = statements.take()
    await admin.post(BASE, NEW)
    await admin.post(BASE, NEW)
    statements.take()

    answer = await admin.get(f"{BASE}?repository=acme/web")

    assert len(answer.json()["items"]) == 3
    assert statements.take() == for_one


@pytest.mark.parametrize("who", ["anonymous", "reader", "writer", "fresh", "narrow"])
async def test_only_an_admin_of_the_repository_sends_many_again(
    world: World, admin: Client, who: str
) -> None:
    job = (await admin.post(BASE, NEW)).json()["id"]
    if who == "anonymous":
        client = world.anonymous
    elif who == "narrow":
        client = await world.client("admin", "repo:write")
    else:
        client = await world.client(who)

    by_id = [
        (await client.send(verb, f"{BASE}/{job}{path}")).status
        for verb, path in (
            ("GET", ""),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/cancel"),
        )
    ]
    by_path = [
        (await client.get(f"{BASE}?repository=acme/web")).status,
        (await client.post(BASE, NEW)).status,
        (await client.post(BASE, {**NEW, "dry_run": True})).status,
    ]

    assert by_id == [{"anonymous": 401, "narrow": 403}.get(who, 404)] * 4
    assert by_path == [401 if who == "anonymous" else 403] * 3
    assert await progress(admin, job) == ("running", 0, 0, 0)


async def test_only_the_server_works_a_job_off(world: World) -> None:
    async with world.store.begin() as tx:
        with pytest.raises(ForbiddenError):
            await redelivery_jobs.step(tx, ANONYMOUS)
        with pytest.raises(ForbiddenError):
            await redelivery_jobs.has_running(tx, ANONYMOUS)
