"""The six calls of the guide (Quay 11.3, "Creating notifications by using the API"), in its order."""

from collections.abc import Mapping

import pytest

from dockbell.store.transactions import Store
from tests.world import World, add_namespace, open_world

# As the guide prints it: a browser sends the whole entity, avatar included, and gets all of it back.
CONFIG: Mapping[str, object] = {
    "target": {
        "name": "quayadmin",
        "kind": "user",
        "is_robot": False,
        "avatar": {
            "name": "quayadmin",
            "hash": "b28d563a6dc76b4431fc7b0524bbff6b810387dac86d9303874871839859c7cc",
            "color": "#17becf",
            "kind": "user",
        },
    }
}


@pytest.fixture
async def world(store: Store) -> World:
    opened = await open_world(store)
    async with store.begin() as tx:
        await add_namespace(tx, "quayadmin")
    return opened


async def test_the_guide_works_from_the_first_call_to_the_last(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    base = "/api/v1/repository/acme/web/notification"

    created = await admin.post(
        base,
        {
            "event": "repo_push",
            "method": "quay_notification",
            "config": CONFIG,
            "eventConfig": {},
        },
    )
    uuid = created.json()["uuid"]
    looked_at = await admin.get(f"{base}/{uuid}")
    tested = await admin.post(f"{base}/{uuid}/test")
    reset = await admin.post(f"{base}/{uuid}")
    deleted = await admin.delete(f"{base}/{uuid}")
    listed = await admin.get(base, headers={"Accept": "application/json"})
    listed_with_slash = await admin.get(f"{base}/", headers={"Accept": "application/json"})

    shown = {
        "uuid": uuid,
        "title": None,
        "event": "repo_push",
        "method": "quay_notification",
        "config": CONFIG,
        "event_config": {},
        "number_of_failures": 0,
    }
    assert (created.status, created.json()) == (201, shown)
    assert (looked_at.status, looked_at.json()) == (200, shown)
    assert list(looked_at.json()) == list(shown)
    assert looked_at.body.decode() == (
        f'{{"uuid": "{uuid}", "title": null, "event": "repo_push", '
        '"method": "quay_notification", "config": {"target": {"name": "quayadmin", '
        '"kind": "user", "is_robot": false, "avatar": {"name": "quayadmin", '
        '"hash": "b28d563a6dc76b4431fc7b0524bbff6b810387dac86d9303874871839859c7cc", '
        '"color": "#17becf", "kind": "user"}}}, "event_config": {}, "number_of_failures": 0}\n'
    )
    assert (tested.status, tested.body) == (200, b"{}\n")
    assert (reset.status, reset.body) == (204, b"")
    assert (deleted.status, deleted.body) == (204, b"")
    assert (listed.status, listed.body) == (200, b'{"notifications": []}\n')
    assert listed_with_slash.body == listed.body
