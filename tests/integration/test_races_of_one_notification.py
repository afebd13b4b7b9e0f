"""One notification changed by many callers at the same moment, on both databases: no 5xx, nothing half done."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues, records
from tests.asgi import Answer, Client
from tests.world import World, open_world

V1 = "/api/v1/repository/acme/web/notification"
V2 = "/api/v2/notifications"
MANY = 3  # of each call
ROUNDS = 4

Call = Callable[[Client, str, str], Awaitable[Answer]]
# Each call with what it is given: the caller, the notification's id and its UUID.
CHANGES: dict[str, Call] = {
    "pause": lambda who, one, _: who.post(f"{V2}/{one}/pause"),
    "resume": lambda who, one, _: who.post(f"{V2}/{one}/resume"),
    "reset": lambda who, _, uuid: who.post(f"{V1}/{uuid}/reset"),
    "old reset": lambda who, _, uuid: who.post(f"{V1}/{uuid}"),
    "test": lambda who, one, _: who.post(f"{V2}/{one}/test?wait=0"),
    "old test": lambda who, _, uuid: who.post(f"{V1}/{uuid}/test"),
    "retitle": lambda who, one, _: who.send("PATCH", f"{V2}/{one}", {"title": "new"}),
    "to slack": lambda who, one, _: who.send(
        "PATCH",
        f"{V2}/{one}",
        {"method": "slack", "config": {"url": "https://hooks.slack.com/services/a"}},
    ),
    "back": lambda who, one, _: who.send(
        "PATCH", f"{V2}/{one}", {"method": "webhook", "config": {"url": "https://hooks.test/b"}}
    ),
    "message": lambda who, one, _: who.put(f"{V2}/{one}/message", {"signatures": ["v1a"]}),
    "rotate": lambda who, one, _: who.post(f"{V2}/{one}/signing-secrets"),
    "secrets": lambda who, one, _: who.get(f"{V2}/{one}/signing-secrets"),
    "standing": lambda who, one, _: who.get(f"{V2}/{one}/standing"),
    "copy": lambda who, one, _: who.post(f"{V2}/{one}/copy", {"repository": "acme/api"}),
    "deliveries": lambda who, one, _: who.get(f"/api/v2/deliveries?notification={one}"),
    "again": lambda who, one, _: who.post(
        "/api/v2/redelivery-jobs",
        {"repository": "acme/web", "notification": one, "state": ["waiting", "dead"]},
    ),
}
REMOVALS: dict[str, Call] = {
    "delete": lambda who, one, _: who.delete(f"{V2}/{one}"),
    "old delete": lambda who, _, uuid: who.delete(f"{V1}/{uuid}"),
}
GOOD = {200, 201, 202, 204}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(world: World, admin: Client) -> tuple[str, str]:
    """A notification with two deliveries that wait: its id and its UUID."""
    answer = await admin.post(
        V2,
        {
            "repository": "acme/web",
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": "https://hooks.test/a"},
        },
    )
    assert answer.status == 201, answer.body
    shown = answer.json()["notification"]
    for tag in ("a", "b"):
        await records.push(world, tag=tag)
    return shown["id"], shown["uuid"]


async def all_at_once(
    calls: dict[str, Call], admin: Client, one: str, uuid: str, turn: int
) -> Counter[tuple[str, int]]:
    """How often each call was answered with each status, made in an order that differs from turn to turn."""
    order = sorted(calls) * MANY
    random.Random(turn).shuffle(order)
    answers = await asyncio.gather(*(calls[name](admin, one, uuid) for name in order))
    return Counter((name, answer.status) for name, answer in zip(order, answers, strict=True))


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_changes_at_once_are_all_answered_and_leave_the_queue_right(
    world: World, admin: Client, turn: int
) -> None:
    one, uuid = await make(world, admin)

    found = await all_at_once(CHANGES, admin, one, uuid, turn)

    odd = {key: times for key, times in found.items() if key[1] not in GOOD}
    assert {key[0] for key in odd} <= {"message", "rotate"}  # what slack does not have
    assert {key[1] for key in odd} <= {409}
    await queues.assert_lanes_are_right(world.store)
    tests = await queues.rows(
        world.store, select(t.deliveries.c.id).where(t.deliveries.c.trigger == "test")
    )
    assert len(tests) == found["test", 202] + found["old test", 200] == 2 * MANY
    live = await queues.rows(
        world.store, select(t.notifications.c.paused_at, t.notifications.c.id)
    )
    assert len(live) == 1 + found["copy", 201]


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_a_removal_among_changes_leaves_nothing_of_the_notification(
    world: World, admin: Client, turn: int
) -> None:
    one, uuid = await make(world, admin)

    found = await all_at_once(CHANGES | REMOVALS, admin, one, uuid, turn)

    statuses = {key[1] for key in found}
    assert statuses <= GOOD | {400, 404, 409}
    assert found["delete", 204] + found["old delete", 204] == 1
    await queues.assert_lanes_are_right(world.store)
    left = {
        "notifications": select(t.notifications.c.id).where(t.notifications.c.id == one),
        "secrets": select(t.signing_secrets.c.id).where(
            t.signing_secrets.c.notification_id == one
        ),
        "waiting": select(t.deliveries.c.id).where(
            t.deliveries.c.notification_id == one, t.deliveries.c.state == "waiting"
        ),
    }
    assert {name: await queues.rows(world.store, query) for name, query in left.items()} == {
        "notifications": [],
        "secrets": [],
        "waiting": [],
    }
