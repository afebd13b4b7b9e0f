"""Immutable tags: Quay's API for the rules, and what they keep from happening."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.store.tables import audit_entries
from dockbell.store.transactions import Store
from tests.accounts import NOT_FOUND, said
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.hub import Hub, digest_of, errors_of, open_hub_beside, push_image, push_manifest
from tests.world import World, open_world

POLICIES = "/api/v1/repository/acme/web/immutabilitypolicy/"
TAG = "/api/v1/repository/acme/web/tag/"


@pytest.fixture
async def world(store: Store, clock: SetClock) -> World:
    return await open_world(store)


@pytest.fixture
async def hub(world: World, store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub_beside(store, tmp_path / "data", clock)


@pytest.fixture
async def registry(hub: Hub) -> Client:
    return await hub.client("writer")


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin", "repo:admin repo:write repo:read")


async def test_rules_are_made_listed_changed_and_deleted(admin: Client) -> None:
    made = await admin.post(POLICIES, {"tagPattern": " v.* "})
    uuid = made.json()["uuid"]
    other = await admin.post(POLICIES, {"tagPattern": "dev", "tagPatternMatches": False})
    shown = await admin.get(f"{POLICIES}{uuid}")
    changed = await admin.put(f"{POLICIES}{uuid}", {"tagPattern": "release"})
    deleted = await admin.delete(f"{POLICIES}{other.json()['uuid']}")

    assert (made.status, changed.status, said(deleted)) == (
        201,
        204,
        (200, {"uuid": other.json()["uuid"]}),
    )
    assert said(shown) == (
        200,
        {"uuid": uuid, "tagPattern": "v.*", "tagPatternMatches": True},
    )
    assert said(await admin.get(POLICIES)) == (
        200,
        {"policies": [{"uuid": uuid, "tagPattern": "release", "tagPatternMatches": True}]},
    )


async def test_odd_rules_and_unknown_ones_are_refused(world: World, admin: Client) -> None:
    await admin.post(POLICIES, {"tagPattern": "v.*"})
    writer = await world.client("writer", "repo:admin repo:write")

    wrong = [
        await admin.post(POLICIES, {}),
        await admin.post(POLICIES, {"tagPattern": "("}),
        await admin.post(POLICIES, {"tagPattern": ""}),
        await admin.post(POLICIES, {"tagPattern": "v.*"}),
        await admin.post(POLICIES, {"tagPattern": "x", "tagPatternMatches": "yes"}),
    ]
    unknown: list[Any] = [
        await admin.get(f"{POLICIES}none"),
        await admin.put(f"{POLICIES}none", {"tagPattern": "x"}),
        await admin.delete(f"{POLICIES}none"),
    ]

    assert [answer.status for answer in wrong] == [400] * 5
    assert [said(answer) for answer in unknown] == [(404, NOT_FOUND)] * 3
    assert (await writer.get(POLICIES)).status == 403
    assert (await writer.post(POLICIES, {"tagPattern": "x"})).status == 403


async def test_a_tag_under_a_rule_stays_what_it_is(registry: Client, admin: Client) -> None:
    await admin.post(POLICIES, {"tagPattern": "v[0-9]"})
    first = await push_image(registry, "v1", labels={"quay.expires-after": "1h"})
    other = await push_image(registry, "latest")
    digest = {"manifest_digest": digest_of(other)}

    again = await push_manifest(registry, first, "v1")
    refused = [
        await push_manifest(registry, other, "v1"),
        await registry.delete("/v2/acme/web/manifests/v1"),
        await registry.delete(f"/v2/acme/web/manifests/{digest_of(first)}"),
    ]
    api = [
        await admin.put(f"{TAG}v1", digest),
        await admin.post(f"{TAG}v1/restore", digest),
        await admin.put(f"{TAG}v1", {"expiration": int(NOON.timestamp()) + 100}),
        await admin.delete(f"{TAG}v1"),
    ]

    assert again.status == 201
    message = "The tag v1 is immutable: a rule of the repository or of its organization keeps it as it is."
    assert [(each.status, errors_of(each)) for each in refused] == [
        (403, [("DENIED", message)])
    ] * 3
    assert [(each.status, each.json()["error_type"]) for each in api] == [
        (409, "tag_immutable")
    ] * 4
    assert (await registry.get("/v2/acme/web/manifests/v1")).body == first
    # What may not change does not expire either, whatever the image says.
    (tag,) = (await admin.get(f"{TAG}?specificTag=v1&onlyActiveTags=1")).json()["tags"]
    assert "end_ts" not in tag


async def test_other_tags_change_as_ever_and_a_rule_may_be_about_the_others(
    registry: Client, admin: Client
) -> None:
    rule = (
        await admin.post(POLICIES, {"tagPattern": "dev", "tagPatternMatches": False})
    ).json()["uuid"]
    one, two = await push_image(registry, "dev-1"), await push_image(registry, "v1")

    moved = await push_manifest(registry, two, "dev-1")
    kept = await push_manifest(registry, one, "v1")
    await admin.delete(f"{POLICIES}{rule}")
    after = await push_manifest(registry, one, "v1")

    assert (moved.status, kept.status, after.status) == (201, 403, 201)


async def test_a_push_by_digest_with_tags_is_all_or_nothing(
    registry: Client, admin: Client
) -> None:
    await admin.post(POLICIES, {"tagPattern": "v1"})
    await push_image(registry, "v1")
    other = await push_image(registry, "latest")

    answer = await registry.put(
        f"/v2/acme/web/manifests/{digest_of(other)}?tag=new&tag=v1",
        body=other,
        headers={"content-type": "application/vnd.oci.image.manifest.v1+json"},
    )

    assert answer.status == 403
    tags = (await registry.get("/v2/acme/web/tags/list")).json()["tags"]
    assert tags == ["latest", "v1"]


async def test_rules_of_the_organization_hold_for_all_its_repositories(
    world: World, registry: Client, admin: Client, store: Store
) -> None:
    policies = "/api/v1/organization/acme/immutabilitypolicy/"
    owner = await world.client("boss", "org:admin")
    first, other = await push_image(registry, "v1"), await push_image(registry, "latest")

    made = await owner.post(policies, {"tagPattern": "v.*"})
    uuid = made.json()["uuid"]
    refused = await push_manifest(registry, other, "v1")
    seen = [said(await admin.get(POLICIES)), said(await owner.get(policies))]
    again = await owner.post(policies, {"tagPattern": "v.*"})
    changed = await owner.put(f"{policies}{uuid}", {"tagPattern": "x.*"})
    moved = await push_manifest(registry, other, "v1")
    deleted = await owner.delete(f"{policies}{uuid}")

    assert (made.status, again.status, changed.status) == (201, 400, 204)
    assert (refused.status, moved.status, first == other) == (403, 201, False)
    assert seen == [
        (200, {"policies": []}),
        (
            200,
            {"policies": [{"uuid": uuid, "tagPattern": "v.*", "tagPatternMatches": True}]},
        ),
    ]
    assert said(deleted) == (200, {"uuid": uuid})
    async with store.read() as tx:
        noted = await tx.rows(
            select(audit_entries.c.kind, audit_entries.c.repository_id)
            .where(audit_entries.c.kind.like("%_immutability_policy"))
            .order_by(audit_entries.c.id)
        )
    assert [tuple(row) for row in noted] == [
        ("create_immutability_policy", None),
        ("update_immutability_policy", None),
        ("delete_immutability_policy", None),
    ]
