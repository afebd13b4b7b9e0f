"""How many notifications there may be, and how many test messages one may ask for."""

from dataclasses import replace

import pytest

from dockbell.store.transactions import Store
from tests.apps import app_of
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import World, open_world

WEB = "/api/v1/repository/acme/web/notification/"
API = "/api/v1/repository/acme/api/notification/"
OWN = "/api/v1/repository/admin/open/notification/"
NEW = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com/hook"},
    "eventConfig": {},
}


@pytest.fixture
async def world(store: Store) -> World:
    """A server that allows two notifications in a place, and three tests in a minute."""
    world = await open_world(store)
    narrow = replace(world.faces.notifications, most=2, tests_per_minute=3)
    faces = replace(world.faces, notifications=narrow)
    return replace(world, faces=faces, anonymous=Client(app_of(store, faces)))


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(client: Client, base: str) -> str:
    return str((await client.post(base, NEW)).json()["uuid"])


async def test_a_repository_has_no_more_notifications_than_an_operator_allows(
    admin: Client,
) -> None:
    first = await make(admin, WEB)
    await make(admin, WEB)

    refused = await admin.post(WEB, NEW)
    elsewhere = await admin.post(API, NEW)
    await admin.delete(WEB + first)
    again = await admin.post(WEB, NEW)

    assert (refused.status, elsewhere.status, again.status) == (400, 201, 201)
    assert refused.json()["error_message"] == (
        "There are 2 notifications here already, and no more are allowed. Delete one, or ask an operator to raise "
        "most_notifications"
    )


async def test_tests_are_no_way_to_look_for_ports(
    world: World, admin: Client, clock: SetClock
) -> None:
    boss = await world.client("boss")
    web, api, own = [await make(admin, base) for base in (WEB, API, OWN)]

    # Whichever notification of the namespace they are for, they count together.
    good = [
        await admin.post(f"{base}{uuid}/test") for base, uuid in ((WEB, web), (API, api)) * 2
    ]
    others = [await boss.post(f"{WEB}{web}/test"), await admin.post(f"{OWN}{own}/test")]
    clock.move(seconds=61)
    later = await admin.post(f"{WEB}{web}/test")

    assert [one.status for one in good] == [200, 200, 200, 429]
    assert good[3].json()["error_message"] == (
        "You asked for 3 test messages in the last minute. Wait a minute."
    )
    assert [one.status for one in [*others, later]] == [200, 200, 200]
