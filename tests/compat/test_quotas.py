"""Quay's quota API: organizations', users' own, and the superusers' routes."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, invalid, said
from tests.apps import app_of
from tests.asgi import Client
from tests.world import World, open_world

ORG = "/api/v1/organization/acme/quota"
OWN = "/api/v1/user/quota"
SUPER_ORG = "/api/v1/superuser/organization/acme/quota"
SUPER_USER = "/api/v1/superuser/users/admin/quota"
GIB = 1 << 30


@pytest.fixture
async def world(store: Store) -> World:
    opened = await open_world(store)
    async with store.begin() as tx:
        await tx.run(
            update(t.users)
            .where(t.users.c.namespace_id == "ns_fresh")
            .values(is_superuser=True)
        )
    return opened


@pytest.fixture
async def superuser(world: World) -> Client:
    return await world.client("fresh", "super:user user:admin org:admin")


def quota(quota_id: int, size: int, shown: str, *limits: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": quota_id,
        "limit_bytes": size,
        "limit": shown,
        "default_config": False,
        "limits": list(limits),
        "default_config_exists": False,
    }


async def test_an_organizations_quota_from_its_making_to_its_end(superuser: Client) -> None:
    before = await superuser.get(ORG)
    made = await superuser.post(ORG, {"limit_bytes": GIB})
    again = await superuser.post(ORG, {"limit_bytes": GIB})
    (listed,) = (await superuser.get(ORG)).json()
    one = f"{ORG}/{listed['id']}"
    shown = await superuser.get(one)
    changed = await superuser.put(one, {"limit": "2 GiB"})
    unchanged = await superuser.put(one, {})
    gone = await superuser.delete(one)

    assert said(before) == (200, [])
    assert said(made) == (201, "Created")
    assert said(again) == (400, invalid("Organization quota for 'acme' already exists"))
    assert said(shown) == (200, quota(listed["id"], GIB, "1.0 GiB"))
    assert said(changed) == (200, quota(listed["id"], 2 * GIB, "2.0 GiB"))
    assert said(unchanged) == said(changed)
    assert (gone.status, gone.body) == (204, b"")
    assert said(await superuser.get(one)) == (404, NOT_FOUND)


async def test_limits_are_made_shown_changed_and_deleted(superuser: Client) -> None:
    await superuser.post(ORG, {"limit_bytes": GIB})
    (listed,) = (await superuser.get(ORG)).json()
    limits = f"{ORG}/{listed['id']}/limit"

    warning = await superuser.post(limits, {"type": "Warning", "threshold_percent": 80})
    reject = await superuser.post(limits, {"type": "reject", "threshold_percent": 100})
    twice = await superuser.post(limits, {"type": "Warning", "threshold_percent": 80})
    second = await superuser.post(limits, {"type": "Reject", "threshold_percent": 90})
    shown = (await superuser.get(limits)).json()
    one = f"{limits}/{shown[0]['id']}"
    changed = await superuser.put(one, {"type": "Warning", "threshold_percent": 70})
    alone = await superuser.get(one)
    gone = await superuser.delete(one)

    assert said(warning) == said(reject) == (201, "Created")
    assert said(twice) == (400, invalid("Quota limit already exists"))
    assert said(second) == (400, invalid("Only one quota limit of type 'Reject' allowed."))
    assert [(each["type"], each["limit_percent"]) for each in shown] == [
        ("Warning", 80),
        ("Reject", 100),
    ]
    assert [each["limit_percent"] for each in changed.json()["limits"]] == [70, 100]
    assert said(alone) == (200, {**shown[0], "limit_percent": 70})
    assert gone.status == 204
    assert (await superuser.get(limits)).json() == shown[1:]
    assert said(await superuser.get(one)) == (404, NOT_FOUND)


async def test_superusers_give_users_quotas_which_these_may_read(
    world: World, superuser: Client
) -> None:
    made = await superuser.post(SUPER_USER, {"limit_bytes": 2048})
    (listed,) = (await superuser.get(SUPER_USER)).json()
    changed = await superuser.put(f"{SUPER_USER}/{listed['id']}", {"limit_bytes": 4096})
    admin = await world.client("admin")
    own = await admin.get(OWN)
    alone = await admin.get(f"{OWN}/{listed['id']}")
    limits = await admin.get(f"{OWN}/{listed['id']}/limit")
    nobodys = await (await world.client("writer")).get(f"{OWN}/{listed['id']}")
    deleted = await superuser.delete(f"{SUPER_USER}/{listed['id']}")

    expected = quota(listed["id"], 4096, "4.0 KiB")
    assert [made.status, changed.status, deleted.status] == [201, 200, 204]
    assert (said(own), said(alone)) == ((200, [expected]), (200, expected))
    assert said(limits) == (200, [])
    assert said(nobodys) == (404, NOT_FOUND)
    assert said(await admin.get(OWN)) == (200, [])


async def test_what_has_a_quota_shows_it_with_what_it_stores(
    world: World, superuser: Client
) -> None:
    await superuser.post(ORG, {"limit_bytes": GIB})
    (listed,) = (await superuser.get(ORG)).json()
    await superuser.post(
        f"{ORG}/{listed['id']}/limit", {"type": "Warning", "threshold_percent": 80}
    )
    await superuser.post(SUPER_USER, {"limit_bytes": 4096})
    async with world.store.begin() as tx:
        of_acme = t.namespace_storage.c.namespace_id == "ns_acme"
        await tx.run(update(t.namespace_storage).where(of_acme).values(used_bytes=7))
    boss = await world.client("boss", "org:admin repo:read")

    organization = (await boss.get("/api/v1/organization/acme")).json()
    stranger = (await (await world.client("admin")).get("/api/v1/organization/acme")).json()
    own = (await (await world.client("admin")).get("/api/v1/user/")).json()
    every = (await superuser.get("/api/v1/superuser/organizations/")).json()["organizations"]
    people = (await superuser.get("/api/v1/superuser/users/")).json()["users"]
    listed_web = await boss.get("/api/v1/repository?namespace=acme&quota=true")
    web = listed_web.json()["repositories"][0]

    def report(used: int, size: int | None, *limits: dict[str, Any]) -> dict[str, Any]:
        return {
            "quotas": limits,
            "quota_report": {
                "quota_bytes": used,
                "configured_quota": size,
                "running_backfill": "complete",
                "backfill_status": "complete",
            },
        }

    def quotas_in(view: dict[str, Any]) -> dict[str, Any]:
        short = [
            (
                one["limit_bytes"],
                [(each["type"], each["limit_percent"]) for each in one["limits"]],
            )
            for one in view["quotas"]
        ]
        return {"quotas": short, "quota_report": view["quota_report"]}

    acme = {**report(7, GIB), "quotas": [(GIB, [("Warning", 80)])]}
    admin = {**report(0, 4096), "quotas": [(4096, [])]}
    assert quotas_in(organization) == acme
    assert "quotas" not in stranger
    assert sorted(organization["quotas"][0]) == ["id", "limit_bytes", "limits"]
    assert quotas_in(own) == admin
    assert {one["name"]: quotas_in(one) for one in every} == {
        "acme": acme,
        "other": {**report(0, None), "quotas": []},
    }
    assert quotas_in(next(one for one in people if one["name"] == "admin")) == admin
    assert web["quota_report"] == {"quota_bytes": 0, "configured_quota": GIB}


async def test_the_superusers_route_of_organizations_is_about_the_same_quota(
    superuser: Client,
) -> None:
    await superuser.post(SUPER_ORG, {"limit_bytes": GIB})

    assert said(await superuser.get(SUPER_ORG)) == said(await superuser.get(ORG))


async def test_the_servers_default_is_shown_where_an_organization_has_no_quota(
    world: World,
) -> None:
    faces = replace(world.faces, default_quota=GIB)
    limited = replace(world, faces=faces, anonymous=Client(app_of(world.store, faces)))
    superuser = await limited.client("fresh", "super:user user:admin org:admin")
    boss = await limited.client("boss", "org:admin user:admin")

    default = await boss.get(ORG)
    own = await boss.get(OWN)
    seen = await superuser.get(SUPER_ORG)
    organization = (await boss.get("/api/v1/organization/acme")).json()
    await superuser.post(ORG, {"limit_bytes": 2 * GIB})
    (listed,) = (await boss.get(ORG)).json()

    expected = {**quota(0, GIB, "1.0 GiB"), "id": None, "default_config": True}
    assert said(default) == (200, [{**expected, "default_config_exists": True}])
    assert said(own) == said(seen) == (200, [])
    assert organization["quotas"] == []
    assert organization["quota_report"]["configured_quota"] == GIB
    assert (listed["default_config"], listed["default_config_exists"]) == (False, True)


async def test_members_see_a_quota_and_only_superusers_change_it(
    world: World, superuser: Client
) -> None:
    await superuser.post(ORG, {"limit_bytes": GIB})
    (listed,) = (await superuser.get(ORG)).json()
    one, limits = f"{ORG}/{listed['id']}", f"{ORG}/{listed['id']}/limit"
    boss = await world.client("boss", "org:admin user:admin")
    member = await world.client("reader", "org:admin")
    stranger = await world.client("admin", "org:admin")
    limit = {"type": "Warning", "threshold_percent": 80}

    assert [(await who.get(ORG)).status for who in (boss, member)] == [200, 200]
    assert said(await stranger.get(ORG)) == (403, FORBIDDEN)
    assert said(await world.anonymous.get(ORG)) == (401, UNAUTHENTICATED)
    for answer in (
        await boss.post(ORG, {}),
        await boss.put(one, {}),
        await boss.delete(one),
        await boss.post(limits, limit),
        await boss.get(SUPER_ORG),
        await boss.post(SUPER_USER, {"limit_bytes": 1}),
    ):
        assert said(answer) == (403, FORBIDDEN)
    assert said(await world.anonymous.post(ORG, {})) == (401, UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "'limit_bytes' is a required property"),
        ({"limit_bytes": "1"}, "'1' is not of type 'integer'"),
        ({"limit_bytes": 0}, "Invalid quota size limit value: '0'"),
        ({"limit_bytes": 1 << 70}, f"limit_bytes must be from 1 to {(1 << 63) // 100}"),
        ({"limit": "a lot"}, "limit must be a size such as '10 GiB'"),
        ({"limit": "1 GiB", "limit_bytes": 1}, "Give limit_bytes or limit, not both"),
    ],
)
async def test_a_size_that_is_none_is_refused_in_words(
    superuser: Client, body: dict[str, Any], detail: str
) -> None:
    assert said(await superuser.post(ORG, body)) == (400, invalid(detail))


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"threshold_percent": 1}, "'type' is a required property"),
        ({"type": "Warning"}, "'threshold_percent' is a required property"),
        (
            {"type": "Shout", "threshold_percent": 1},
            "Quota type 'Shout' is not one of Warning, Reject",
        ),
        (
            {"type": "Warning", "threshold_percent": 0},
            "Quota limit threshold must be between 1 and 100",
        ),
        (
            {"type": "Warning", "threshold_percent": 101},
            "Quota limit threshold must be between 1 and 100",
        ),
    ],
)
async def test_a_limit_that_is_none_is_refused_in_words(
    superuser: Client, body: dict[str, Any], detail: str
) -> None:
    await superuser.post(ORG, {"limit_bytes": GIB})
    (listed,) = (await superuser.get(ORG)).json()

    answer = await superuser.post(f"{ORG}/{listed['id']}/limit", body)

    assert said(answer) == (400, invalid(detail))


async def test_what_does_not_exist_is_404(superuser: Client) -> None:
    nobody = "/api/v1/superuser/organization/nobody/quota"

    for answer in (
        await superuser.get(nobody),
        await superuser.post(nobody, {"limit_bytes": 1}),
        await superuser.put(f"{ORG}/1", {"limit_bytes": 1}),
        await superuser.get(f"{ORG}/99999999999999999999"),
        await superuser.get(f"{ORG}/x/limit"),
        await superuser.delete(f"{ORG}/1/limit/1"),
    ):
        assert said(answer) == (404, NOT_FOUND)
