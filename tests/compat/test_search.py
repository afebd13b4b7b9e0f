"""Finding repositories by a part of their name, as Quay's web interface does."""

from typing import Any

import pytest

from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.world import World, add_repository, open_world

REPOSITORIES = "/api/v1/find/repositories"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def paths(client: Client, query: str) -> list[str]:
    answer = await client.get(f"{REPOSITORIES}?query={query}")
    assert answer.status == 200, answer.body
    return [f"{one['namespace']['name']}/{one['name']}" for one in answer.json()["results"]]


async def test_each_finds_what_they_may_see(world: World) -> None:
    reader = await world.client("reader", "repo:read")
    capped = await world.client("reader", "user:read")
    fresh = await world.client("fresh", "repo:read")
    boss = await world.client("boss", "repo:read")

    assert await paths(reader, "") == ["acme/api", "acme/team/app", "acme/web", "admin/open"]
    assert await paths(boss, "ACME/") == ["acme/api", "acme/team/app", "acme/web"]
    assert await paths(reader, "ap") == ["acme/api", "acme/team/app"]
    for stranger in (world.anonymous, capped, fresh):
        assert await paths(stranger, "") == ["admin/open"]
    assert await paths(reader, "%25") == []


async def test_what_is_named_so_comes_first_and_pages_follow_each_other(
    world: World, store: Store
) -> None:
    async with store.begin() as tx:
        for number in range(11):
            await add_repository(tx, "admin", f"aweb{number:02}", is_public=True)
        await add_repository(tx, "reader", "web", is_public=True)
    first = await world.anonymous.get(f"{REPOSITORIES}?query=web")
    last = await world.anonymous.get(f"{REPOSITORIES}?query=web&page=2")
    page: dict[str, Any] = first.json()

    assert [one["name"] for one in page.pop("results")] == [
        "web",
        *(f"aweb{number:02}" for number in range(9)),
    ]
    assert page == {"has_additional": True, "page": 1, "page_size": 10, "start_index": 0}
    assert [one["name"] for one in last.json()["results"]] == ["aweb09", "aweb10"]
    assert (await world.anonymous.get(f"{REPOSITORIES}?page=x")).status == 400
    assert (await world.anonymous.get(f"{REPOSITORIES}?query={'x' * 256}")).status == 400


async def test_everything_that_is_ones_own_is_found(world: World) -> None:
    boss = await world.client("boss", "repo:read")

    found = (await boss.get("/api/v1/find/all?query=acme")).json()["results"]
    nothing = await boss.get("/api/v1/find/all?query=")
    strange = await world.anonymous.get("/api/v1/find/all?query=acme")

    assert [(one["kind"], one["name"], one["href"], one["score"]) for one in found] == [
        ("repository", "api", "/repository/acme/api", 2.0),
        ("repository", "team/app", "/repository/acme/team/app", 2.0),
        ("repository", "web", "/repository/acme/web", 2.0),
        ("organization", "acme", "/organization/acme", 1.0),
    ]
    assert (nothing.json(), strange.json()) == ({"results": []}, {"results": []})
