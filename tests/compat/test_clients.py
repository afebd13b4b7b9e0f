"""What real clients send, in their order, and what they rely on in the answers (clients.md 1, quay-compat 11)."""

from typing import Any

import pytest

from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, invalid, said
from tests.asgi import Client
from tests.world import World, open_world

WEB = "/api/v1/repository/acme/web/notification/"
KEYS = ["uuid", "title", "event", "method", "config", "event_config", "number_of_failures"]
JSON = {"Content-Type": "application/json"}
URL = {"url": "https://hooks.example.com/x"}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def test_the_ansible_collection_manages_a_notification(admin: Client) -> None:
    new = {
        "title": "Critical ones",
        "event": "vulnerability_found",
        "eventConfig": {"level": "1"},
        "event_config": {"level": "1"},
        "method": "slack",
        "config": URL,
    }

    before = await admin.get(WEB)
    made = await admin.post(WEB, new)
    uuid = made.json()["uuid"]
    found = (await admin.get(WEB)).json()["notifications"]
    tested = await admin.post(f"{WEB}{uuid}/test", {})
    reset = await admin.post(WEB + uuid, {})
    deleted = await admin.delete(WEB + uuid, headers=JSON)
    again = await admin.delete(WEB + uuid, headers=JSON)

    shown = {
        "uuid": uuid,
        "title": "Critical ones",
        "event": "vulnerability_found",
        "method": "slack",
        "config": URL,
        "event_config": {"level": "1"},
        "number_of_failures": 0,
    }
    assert said(before) == (200, {"notifications": []})
    assert (said(made), found) == ((201, shown), [shown])
    assert (said(tested), said(reset), said(deleted)) == ((200, {}), (204, None), (204, None))
    # Either 400 or 404 says "gone already" there; the reason is looked for in `message` first.
    assert said(again) == (
        400,
        invalid(f"No repository notification found for: acme, web, {uuid}"),
    )


async def test_the_ansible_collection_finds_that_things_are_absent(world: World) -> None:
    boss = await world.client("boss", "repo:admin user:admin org:admin")

    answers = [
        said(await boss.get("/api/v1/repository/acme/nope/notification/")),
        said(await boss.get("/api/v1/repository/acme/nope")),
        said(await boss.get("/api/v1/organization/nope")),
        said(await boss.get("/api/v1/users/nope")),
    ]
    robots = [
        await boss.get(f"/api/v1/{owner}/robots/nope")
        for owner in ("user", "organization/acme")
    ]

    assert answers == [(404, NOT_FOUND)] * 4
    assert [said(one) for one in robots] == [
        (400, {"message": "Could not find robot with specified username"})
    ] * 2


async def test_go_quay_needs_an_event_config_and_resets_where_it_means_to_update(
    admin: Client,
) -> None:
    bare = {"event": "repo_push", "method": "webhook", "config": URL, "title": "t"}

    refused = await admin.post(WEB, bare)
    made = await admin.post(WEB, {**bare, "eventConfig": {}})
    uuid = made.json()["uuid"]
    tested = await admin.post(f"{WEB}{uuid}/test", headers=JSON)
    updated = await admin.post(WEB + uuid, {**bare, "title": "other"})
    reset = await admin.post(f"{WEB}{uuid}/reset", headers=JSON)
    got = await admin.get(WEB + uuid)

    assert said(refused) == (400, invalid("'eventConfig' is a required property"))
    assert (said(tested), said(updated), said(reset)) == ((200, {}), (204, None), (200, {}))
    assert said(got) == (200, made.json())


async def test_terraform_writes_the_repository_as_one_segment_and_knows_seven_keys(
    world: World, admin: Client
) -> None:
    base = "/api/v1/repository/acme%2Fteam%2Fapp/notification/"
    reader = await world.client("reader")

    made = await admin.post(
        base, {"event": "repo_push", "method": "webhook", "config": URL, "eventConfig": {}}
    )
    uuid = made.json()["uuid"]
    listed = await admin.get(base)
    got = await admin.get(base + uuid)
    plain = await admin.get(f"/api/v1/repository/acme/team/app/notification/{uuid}")
    tested = await admin.post(f"{base}{uuid}/test")
    unknown = await admin.get(f"{base}nope")
    refused = await reader.get(base)

    assert (made.status, list(made.json())) == (201, KEYS)
    assert said(listed) == (200, {"notifications": [made.json()]})
    assert said(got) == said(plain) == (200, made.json())
    assert said(tested) == (200, {})
    assert [said(unknown), said(refused)] == [(404, NOT_FOUND), (403, FORBIDDEN)]


# What Quay's page sends for each method: every field of its form, both spellings, an empty template.
FROM_THE_PAGE: list[dict[str, Any]] = [
    {"method": "webhook", "config": {"url": "https://hooks.example.com/x", "template": ""}},
    {"method": "slack", "config": {"url": "https://hooks.slack.com/services/T0/B0/x"}},
    {
        "method": "quay_notification",
        "config": {
            "target": {
                "name": "devs",
                "kind": "team",
                "is_robot": False,
                "avatar": {"name": "devs", "hash": "1f", "color": "#fff", "kind": "team"},
                "is_org_member": True,
            }
        },
    },
]


async def test_quays_page_gets_back_what_it_sent(admin: Client) -> None:
    for form in FROM_THE_PAGE:
        sent = {"event": "repo_image_expiry", "title": "", **form}
        filters = {"eventConfig": {"days": 10}, "event_config": {"days": 10}}
        made = await admin.post(WEB, {**sent, **filters})
        uuid = made.json()["uuid"]
        tested = await admin.post(f"{WEB}{uuid}/test")
        enabled = await admin.post(WEB + uuid)
        listed = await admin.get(WEB)
        deleted = await admin.delete(WEB + uuid)

        shown = {
            "uuid": uuid,
            **sent,
            "event_config": {"days": 10},
            "number_of_failures": 0,
        }
        assert said(made) == (201, shown)
        assert said(listed) == (200, {"notifications": [shown]})
        assert [one.status for one in (tested, enabled, deleted)] == [200, 204, 204]


async def test_qucli_counts_severities_in_strings(admin: Client) -> None:
    for level in ("0", "1", "2", "3", "4", "5", "6"):
        made = await admin.post(
            WEB,
            {
                "event": "vulnerability_found",
                "method": "webhook",
                "config": URL,
                "eventConfig": {"level": level, "ref-regex": ""},
            },
        )

        assert (made.status, made.json()["event_config"]) == (
            201,
            {"level": level, "ref-regex": ""},
        )
