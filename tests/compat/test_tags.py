"""Tags of repositories under API v1: the list with its past, moving, ending, removing and restoring."""

from pathlib import Path
from typing import Any

import pytest

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, said
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.hub import Hub, digest_of, open_hub_beside, push_image, push_manifest, rows_of
from tests.world import World, open_world

TAGS = "/api/v1/repository/acme/web/tag/"
SOON = int(NOON.timestamp()) + 1800


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
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write repo:read")


async def names_of(client: Client, query: str = "") -> list[tuple[str, bool]]:
    """Each version's name, and whether it has an end."""
    answer = await client.get(f"{TAGS}{query}")
    assert answer.status == 200, answer.body
    return [(tag["name"], "end_ts" in tag) for tag in answer.json()["tags"]]


async def test_a_tag_is_listed_as_in_quay(registry: Client, writer: Client) -> None:
    manifest = await push_image(registry, "v1", content=b"12345")

    shown = await writer.get(TAGS)

    assert said(shown) == (
        200,
        {
            "tags": [
                {
                    "name": "v1",
                    "reversion": False,
                    "start_ts": int(NOON.timestamp()),
                    "manifest_digest": digest_of(manifest),
                    "is_manifest_list": False,
                    "size": 5,
                    "last_modified": "Sat, 14 Mar 2026 12:00:00 -0000",
                }
            ],
            "page": 1,
            "has_additional": False,
        },
    )


async def test_the_list_holds_the_past_and_is_filtered_and_paged(
    registry: Client, writer: Client, clock: SetClock
) -> None:
    for tag in ("v1", "v2", "v1", "other"):
        await push_image(registry, tag)
        clock.move(minutes=1)
    await registry.delete("/v2/acme/web/manifests/v2")

    first = (await writer.get(f"{TAGS}?limit=3")).json()
    second = (await writer.get(f"{TAGS}?limit=3&page=2")).json()

    assert await names_of(writer) == [
        ("other", False),
        ("v1", False),
        ("v2", True),
        ("v1", True),
    ]
    assert await names_of(writer, "?onlyActiveTags=true") == [("other", False), ("v1", False)]
    assert await names_of(writer, "?specificTag=v1") == [("v1", False), ("v1", True)]
    assert await names_of(writer, "?filter_tag_name=like:v") == [
        ("v1", False),
        ("v2", True),
        ("v1", True),
    ]
    assert await names_of(writer, "?filter_tag_name=eq:other") == [("other", False)]
    assert await names_of(writer, "?filter_tag_name=like:%25") == []
    assert ([tag["name"] for tag in first["tags"]], first["has_additional"]) == (
        ["other", "v1", "v2"],
        True,
    )
    assert ([tag["name"] for tag in second["tags"]], second["page"]) == (["v1"], 2)
    assert second["has_additional"] is False


async def test_odd_questions_are_answered_with_what_is_wrong(writer: Client) -> None:
    wrong = [
        await writer.get(f"{TAGS}?filter_tag_name=v1"),
        await writer.get(f"{TAGS}?page=x"),
        await writer.put(f"{TAGS}-bad", {"manifest_digest": digest_of(b"")}),
        await writer.put(f"{TAGS}v1", {"manifest_digest": 5}),
        await writer.put(f"{TAGS}v1", {"expiration": "soon"}),
        await writer.post(f"{TAGS}v1/restore", {}),
    ]
    missing = [
        await writer.put(f"{TAGS}v1", {"manifest_digest": digest_of(b"nothing")}),
        await writer.put(f"{TAGS}v1", {"manifest_digest": None}),
        await writer.put(f"{TAGS}v1", {"expiration": SOON}),
        await writer.delete(f"{TAGS}none"),
        await writer.post(f"{TAGS}v1/restore", {"manifest_digest": digest_of(b"nothing")}),
    ]

    assert [answer.status for answer in wrong] == [400] * 6
    assert wrong[5].json()["detail"] == "Missing manifest_digest"
    assert [said(answer)[0] for answer in missing] == [404] * 5
    assert said(missing[0]) == (404, NOT_FOUND)


async def test_a_tag_is_made_and_moved(registry: Client, writer: Client, store: Store) -> None:
    one, two = await push_image(registry, "v1"), await push_image(registry, "v2")

    made = await writer.put(f"{TAGS}stable", {"manifest_digest": digest_of(one)})
    moved = await writer.put(f"{TAGS}stable", {"manifest_digest": digest_of(two)})

    assert (made.status, made.json(), moved.status) == (201, "Updated", 201)
    assert (await registry.get("/v2/acme/web/manifests/stable")).body == two
    kinds = [kind for (kind,) in await rows_of(store, tables.audit_entries, "kind")]
    assert sorted(kind for kind in kinds if "tag" in kind) == ["create_tag", "move_tag"]


async def test_a_tag_expires_when_it_was_told_to(
    registry: Client, writer: Client, clock: SetClock
) -> None:
    await push_image(registry, "v1")

    late = await writer.put(f"{TAGS}v1", {"expiration": SOON - 7200})
    odd = [await writer.put(f"{TAGS}v1", {"expiration": number}) for number in (1e300, -1e18)]
    nan = await writer.send(
        "PUT",
        f"{TAGS}v1",
        body=b'{"expiration": NaN}',
        headers={"content-type": "application/json"},
    )
    told = await writer.put(f"{TAGS}v1", {"expiration": SOON})
    before = (await writer.get(TAGS)).json()["tags"][0]
    pulled = await registry.get("/v2/acme/web/manifests/v1")
    clock.move(minutes=40)
    after = [
        await registry.get("/v2/acme/web/manifests/v1"),
        await registry.delete("/v2/acme/web/manifests/v1"),
    ]

    assert (late.status, nan.status, told.status, pulled.status) == (400, 400, 201, 200)
    assert [answer.status for answer in odd] == [400, 400]
    assert (before["end_ts"], before["expiration"]) == (SOON, "Sat, 14 Mar 2026 12:30:00 -0000")
    assert [answer.status for answer in after] == [404, 404]
    assert (await registry.get("/v2/acme/web/tags/list")).json()["tags"] == []
    assert await names_of(writer, "?onlyActiveTags=1") == []
    assert await names_of(writer) == [("v1", True)]
    shown = (await writer.get("/api/v1/repository/acme/web")).json()
    assert shown["tags"] == {}


async def test_an_expiry_can_be_taken_back(
    registry: Client, writer: Client, clock: SetClock
) -> None:
    await push_image(registry, "v1")
    await writer.put(f"{TAGS}v1", {"expiration": SOON})

    answer = await writer.put(f"{TAGS}v1", {"expiration": None})

    clock.move(days=400)
    assert answer.status == 201
    assert await names_of(writer, "?onlyActiveTags=1") == [("v1", False)]


async def test_a_deleted_tag_is_restored_unless_it_was_deleted_for_good(
    registry: Client, writer: Client, clock: SetClock
) -> None:
    manifest = await push_image(registry, "v1")
    digest = digest_of(manifest)
    clock.move(minutes=1)

    deleted = await writer.delete(f"{TAGS}v1")
    clock.move(minutes=1)
    restored = await writer.post(f"{TAGS}v1/restore", {"manifest_digest": digest})

    assert (deleted.status, said(restored)) == (204, (200, {}))
    assert (await registry.get("/v2/acme/web/manifests/v1")).body == manifest
    newest = (await writer.get(TAGS)).json()["tags"][0]
    assert (newest["reversion"], newest["manifest_digest"]) == (True, digest)
    await writer.delete(f"{TAGS}v1?skipRecoveryPeriod=true")
    assert await names_of(writer) == []


@pytest.mark.parametrize(
    ("who", "reading", "writing"),
    [
        ("boss", 200, 404),
        ("admin", 200, 404),
        ("writer", 200, 404),
        ("reader", 200, 403),
        ("fresh", 403, 403),
        (None, 401, 401),
    ],
)
async def test_who_may_do_what_with_tags(
    world: World, who: str | None, reading: int, writing: int
) -> None:
    client = world.anonymous if who is None else await world.client(who, "repo:write repo:read")
    digest = {"manifest_digest": digest_of(b"nothing")}

    read = await client.get(TAGS)
    wrote = [
        await client.put(f"{TAGS}v1", digest),
        await client.delete(f"{TAGS}v1"),
        await client.post(f"{TAGS}v1/restore", digest),
    ]

    assert read.status == reading
    assert [answer.status for answer in wrote] == [writing] * 3
    if writing == 403:
        assert said(wrote[0]) == (403, FORBIDDEN)
    if who is None:
        assert said(read) == (401, UNAUTHENTICATED)


@pytest.mark.parametrize(
    ("label", "hours"),
    [("2h", 2), ("1d", 24), ("1w", 168), ("30s", 1), ("9999w", 104 * 168), ("soon", None)],
)
async def test_an_image_says_itself_when_its_tag_expires(
    registry: Client, writer: Client, label: str, hours: int | None
) -> None:
    await push_image(registry, "v1", labels={"quay.expires-after": label})

    (tag,) = (await writer.get(TAGS)).json()["tags"]

    expected: Any = None if hours is None else int(NOON.timestamp()) + hours * 3600
    assert tag.get("end_ts") == expected


async def test_a_tag_that_is_moved_to_an_image_with_an_end_gets_it_and_loses_it(
    registry: Client, writer: Client
) -> None:
    short = await push_image(registry, "v1", labels={"quay.expires-after": "3h"})
    long = await push_image(registry, "v2")

    await writer.put(f"{TAGS}v3", {"manifest_digest": digest_of(short)})
    first = (await writer.get(f"{TAGS}?specificTag=v3")).json()["tags"][0]
    await writer.put(f"{TAGS}v3", {"manifest_digest": digest_of(long)})
    await push_manifest(registry, long, "v1")

    assert first["end_ts"] == int(NOON.timestamp()) + 3 * 3600
    assert dict(await names_of(writer, "?onlyActiveTags=1")) == {
        "v1": False,
        "v2": False,
        "v3": False,
    }
