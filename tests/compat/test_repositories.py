"""Repositories (quay-compat 6.6)."""

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from dockbell.store.tables import audit_entries, deliveries, permissions, repositories
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.world import World, add_repository, open_world

NEW = {"namespace": "acme", "repository": "new", "visibility": "private", "description": "d"}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_create_repository_answers_with_its_names(world: World) -> None:
    boss = await world.client("boss", "repo:create repo:read")

    nested = await boss.post("/api/v1/repository", {**NEW, "repository": "a/b.c/d_e"})
    own = await boss.post(
        "/api/v1/repository/",
        {"repository": "mine", "visibility": "public", "description": "", "repo_kind": None},
    )
    shown = await boss.get("/api/v1/repository/acme/a/b.c/d_e")

    assert said(nested) == (
        201,
        {"namespace": "acme", "name": "a/b.c/d_e", "kind": "image"},
    )
    assert said(own) == (201, {"namespace": "boss", "name": "mine", "kind": "image"})
    assert said(shown) == (
        200,
        {
            "namespace": "acme",
            "name": "a/b.c/d_e",
            "kind": "image",
            "description": "d",
            "is_public": False,
            "is_organization": True,
            "is_starred": False,
            "status_token": "",
            "trust_enabled": False,
            "tag_expiration_s": 1209600,
            "is_free_account": True,
            "state": "NORMAL",
            "tags": {},
            "can_write": False,
            "can_admin": False,
        },
    )


_BAD_CHANGES: Sequence[tuple[dict[str, object], str]] = [
    ({"repository": "web"}, "Repository already exists"),
    ({"repository": "UPPER"}, "Invalid repository name"),
    ({"repository": "a//b"}, "Invalid repository name"),
    ({"repository": ""}, "Invalid repository name"),
    ({"repository": "r" * 256}, "Invalid repository name"),
    ({"visibility": "secret"}, "'secret' is not one of ['public', 'private']"),
    ({"description": None}, "None is not of type 'string'"),
    ({"repo_kind": "application"}, "'application' is not one of ['image']"),
]


async def test_create_repository_refuses_bad_bodies(world: World) -> None:
    boss = await world.client("boss", "repo:create")

    answers = [
        said(await boss.post("/api/v1/repository", {**NEW, **change}))
        for change, _ in _BAD_CHANGES
    ]

    assert answers == [(400, invalid(detail)) for _, detail in _BAD_CHANGES]


async def test_create_repository_needs_right_and_scope(world: World) -> None:
    stranger = await world.client("fresh", "repo:create")
    small = await world.client("boss", "repo:admin user:admin")
    org_admin = await world.client("boss", "org:admin")

    answers = [
        said(await world.anonymous.post("/api/v1/repository", {})),
        said(await small.post("/api/v1/repository", {})),
        said(await stranger.post("/api/v1/repository", NEW)),
        said(await stranger.post("/api/v1/repository", {**NEW, "namespace": "nothing"})),
    ]
    allowed = await org_admin.post("/api/v1/repository", NEW)

    assert answers == [
        (401, UNAUTHENTICATED),
        (403, FORBIDDEN),
        (403, FORBIDDEN),
        (403, FORBIDDEN),
    ]
    assert allowed.status == 201


async def test_a_repository_that_does_not_exist_shows_only_to_the_admins_of_its_namespace(
    world: World,
) -> None:
    boss = await world.client("boss", "repo:admin")
    stranger = await world.client("fresh", "repo:admin")
    path = "/api/v1/repository/acme/nope"

    answers = [said(await client.get(path)) for client in (boss, stranger, world.anonymous)]

    assert answers == [(404, NOT_FOUND), (403, FORBIDDEN), (401, UNAUTHENTICATED)]


async def test_what_the_caller_may_do_is_shown(world: World) -> None:
    shown = {}
    for name in ("reader", "writer", "admin", "boss"):
        client = await world.client(name, "repo:admin")
        body = (await client.get("/api/v1/repository/acme/web?includeTags=false")).json()
        shown[name] = (body["can_write"], body["can_admin"], "tags" in body)

    assert shown == {
        "reader": (False, False, False),
        "writer": (True, False, False),
        "admin": (True, True, False),
        "boss": (True, True, False),
    }


async def test_lists_hold_what_the_caller_may_see(world: World) -> None:
    reader = await world.client("reader", "repo:read")
    scopeless = await world.client("boss", "user:admin")

    async def names(client_: object, query: str) -> list[str]:
        answer = await client_.get(f"/api/v1/repository{query}")  # type: ignore[attr-defined]
        return [f"{one['namespace']}/{one['name']}" for one in answer.json()["repositories"]]

    assert await names(reader, "?namespace=acme") == ["acme/web", "acme/api", "acme/team/app"]
    assert await names(reader, "?namespace=admin") == ["admin/open"]
    assert await names(reader, "?public=true") == [
        "acme/web",
        "acme/api",
        "acme/team/app",
        "admin/open",
    ]
    assert await names(world.anonymous, "?public=true") == ["admin/open"]
    assert await names(world.anonymous, "?namespace=acme") == []
    assert await names(scopeless, "?namespace=acme") == []
    assert await names(reader, "?namespace=Bad+Name") == []
    assert await names(reader, "?starred=true") == []


async def test_a_row_of_the_list_has_quays_keys(world: World) -> None:
    reader = await world.client("reader", "repo:read")

    plain = await reader.get("/api/v1/repository?namespace=admin")
    full = await reader.get(
        "/api/v1/repository?namespace=admin&last_modified=true&popularity=true"
    )

    row = {
        "namespace": "admin",
        "name": "open",
        "description": "",
        "is_public": True,
        "kind": "image",
        "state": "NORMAL",
        "is_starred": False,
    }
    assert said(plain) == (200, {"repositories": [row]})
    assert said(full) == (
        200,
        {"repositories": [{**row, "last_modified": None, "popularity": 0.0}]},
    )


async def test_lists_need_a_filter_and_a_right_page(world: World) -> None:
    reader = await world.client("reader", "repo:read")

    unfiltered = await reader.get("/api/v1/repository")
    bad_page = await reader.get("/api/v1/repository?public=true&next_page=xyz")
    starred = await world.anonymous.get("/api/v1/repository?starred=true")

    assert said(unfiltered) == (
        400,
        invalid("namespace, starred or public are required for this API call"),
    )
    assert said(bad_page) == (400, invalid("Invalid next_page token"))
    assert said(starred) == (401, UNAUTHENTICATED)


async def test_long_lists_come_in_pages_of_a_hundred_with_the_same_queries(
    world: World,
) -> None:
    boss = await world.client("boss", "repo:read")
    statements = Statements.of(world.store)
    await boss.get("/api/v1/repository?namespace=acme&last_modified=true")
    for_three = statements.take()
    async with world.store.begin() as tx:
        for number in range(150):
            await add_repository(tx, "acme", f"r{number:03}")

    statements.take()
    first = (await boss.get("/api/v1/repository?namespace=acme&last_modified=true")).json()
    for_many = statements.take()
    second = (
        await boss.get(f"/api/v1/repository?namespace=acme&next_page={first['next_page']}")
    ).json()

    names = [one["name"] for one in first["repositories"] + second["repositories"]]
    assert (len(first["repositories"]), list(second)) == (100, ["repositories"])
    assert names == ["web", "api", "team/app", *(f"r{number:03}" for number in range(150))]
    assert for_many == for_three


async def test_description_and_visibility_change(world: World) -> None:
    writer = await world.client("writer", "repo:write")
    admin = await world.client("admin", "repo:admin")
    path = "/api/v1/repository/acme/web"

    described = await writer.put(path, {"description": "# New"})
    refused = await writer.post(f"{path}/changevisibility", {"visibility": "nonsense"})
    opened = await admin.post(f"{path}/changevisibility", {"visibility": "public"})
    bad = await admin.post(f"{path}/changevisibility", {"visibility": "nonsense"})
    seen = await world.anonymous.get(path)

    assert said(described) == (200, {"success": True})
    assert said(refused) == (403, FORBIDDEN)
    assert said(opened) == (200, {"success": True})
    assert said(bad) == (400, invalid("'nonsense' is not one of ['public', 'private']"))
    assert (seen.json()["description"], seen.json()["is_public"]) == ("# New", True)


async def test_delete_takes_all_it_owned_and_cancels_what_waits(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    made = await admin.post(
        "/api/v1/repository/acme/web/notification/",
        {
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": "https://hooks.example.com/x"},
            "eventConfig": {},
        },
    )
    await admin.post(f"/api/v1/repository/acme/web/notification/{made.json()['uuid']}/test")

    deleted = await admin.delete("/api/v1/repository/acme/web")

    async with world.store.read() as tx:
        states = [row.state for row in await tx.rows(select(deliveries.c.state))]
        left = await tx.first(
            select(func.count()).where(
                permissions.c.repository_id.not_in(select(repositories.c.id))
            )
        )
        entry = await tx.first(
            select(audit_entries).where(audit_entries.c.kind == "delete_repo")
        )
    assert left is not None
    assert entry is not None
    assert (said(deleted), states, left[0]) == ((204, None), ["cancelled"], 0)
    assert (entry.actor_name, entry.ip, entry.metadata["repo"]) == ("admin", "192.0.2.7", "web")


@pytest.mark.quirk("Q31")
async def test_deleting_what_does_not_exist_succeeds_for_the_admins_of_the_namespace(
    world: World,
) -> None:
    boss = await world.client("boss", "repo:admin")
    stranger = await world.client("fresh", "repo:admin")
    path = "/api/v1/repository/acme/nope"

    answers = [said(await client.delete(path)) for client in (boss, stranger, world.anonymous)]

    assert answers == [(204, None), (403, FORBIDDEN), (401, UNAUTHENTICATED)]
