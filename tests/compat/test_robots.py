"""Robots of organizations and users (quay-compat 6.6), and how they sign in (7.1)."""

import pytest

from dockbell.services import authentication
from dockbell.services.authentication import SignInError
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.world import World, open_world

ALL = "/api/v1/organization/acme/robots"
UNKNOWN = (400, {"message": "Could not find robot with specified username"})


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_create_answers_with_the_robot_and_its_token(world: World) -> None:
    boss = await world.client("boss", "org:admin")

    made = await boss.put(
        f"{ALL}/ci-1", {"description": "builds", "unstructured_metadata": {"a": [1]}}
    )
    shown = await boss.get(f"{ALL}/ci-1")
    without_body = await boss.put(f"{ALL}/plain")

    body = made.json()
    assert made.status == 201
    assert (len(body["token"]), body["token"].isalnum()) == (64, True)
    assert {key: body[key] for key in body if key != "token"} == {
        "name": "acme+ci-1",
        "created": "Sat, 14 Mar 2026 12:00:00 -0000",
        "last_accessed": None,
        "description": "builds",
        "unstructured_metadata": {"a": [1]},
    }
    assert said(shown) == (200, body)
    assert (without_body.status, without_body.json()["description"]) == (201, "")


async def test_refusals_name_their_reason_in_quays_words(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    await boss.put(f"{ALL}/ci")

    answers = [
        said(await boss.put(f"{ALL}/ci")),
        said(await boss.put(f"{ALL}/Bad%20Name")),
        said(await boss.put(f"{ALL}/good", {"description": 5})),
        said(await boss.get(f"{ALL}/none")),
        said(await boss.delete(f"{ALL}/none")),
        said(await boss.post(f"{ALL}/none/regenerate")),
        said(await boss.get(f"{ALL}/none/permissions")),
        said(await boss.get(f"{ALL}?limit=x")),
    ]

    assert answers == [
        (400, invalid("Existing robot with name: acme+ci")),
        (
            400,
            invalid(
                "The name for the robot 'Bad Name' is invalid: "
                "Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"
            ),
        ),
        (400, invalid("5 is not of type 'string'")),
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        UNKNOWN,
        (400, {"message": {"limit": "If specified, the number of robots to return. (int)"}}),
    ]


async def test_the_list_shows_tokens_and_roles_to_admins_only(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    member = await world.client("reader", "org:admin")
    token = (await boss.put(f"{ALL}/ci", {"description": "d"})).json()["token"]
    await boss.put("/api/v1/repository/acme/web/permissions/user/acme+ci", {"role": "read"})
    await boss.put("/api/v1/organization/acme/team/devs/members/acme+ci")

    full = await boss.get(f"{ALL}?permissions=true")
    plain = await boss.get(ALL)
    bare = await boss.get(f"{ALL}?token=false&limit=5")
    none = await boss.get(f"{ALL}?limit=0")
    seen = await member.get(f"{ALL}?permissions=true")

    row = {
        "name": "acme+ci",
        "created": "Sat, 14 Mar 2026 12:00:00 -0000",
        "last_accessed": None,
        "description": "d",
    }
    shown = full.json()["robots"][0]
    assert [team["name"] for team in shown.pop("teams")] == ["devs"]
    assert shown == {**row, "repositories": ["web"], "token": token}
    assert said(plain) == (200, {"robots": [{**row, "token": token}]})
    assert said(bare) == (200, {"robots": [row]})
    assert said(none) == (200, {"robots": []})
    assert said(seen) == (200, {"robots": [row]})


async def test_regenerate_voids_the_old_token(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    old = (await boss.put(f"{ALL}/ci")).json()["token"]

    renewed = await boss.post(f"{ALL}/ci/regenerate")

    new = renewed.json()["token"]
    async with world.store.read() as tx:
        actor = await authentication.actor_of_password(tx, "acme+ci", new, None)
        with pytest.raises(SignInError) as refused:
            await authentication.actor_of_password(tx, "acme+ci", old, None)
    assert (renewed.status, "unstructured_metadata" in renewed.json()) == (200, False)
    assert (actor.name, actor.kind) == ("acme+ci", "robot")
    assert refused.value.detail == (
        "Could not find robot with username: acme+ci and supplied password."
    )


async def test_a_deleted_robot_is_gone_with_its_roles(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    await boss.put(f"{ALL}/ci")
    await boss.put("/api/v1/repository/acme/web/permissions/user/acme+ci", {"role": "read"})
    roles = await boss.get(f"{ALL}/ci/permissions")

    deleted = await boss.delete(f"{ALL}/ci")
    again = await boss.delete(f"{ALL}/ci")
    left = await boss.get("/api/v1/repository/acme/web/permissions/user/")

    assert said(roles) == (
        200,
        {"permissions": [{"repository": {"name": "web", "is_public": False}, "role": "read"}]},
    )
    assert (said(deleted), said(again)) == ((204, None), UNKNOWN)
    assert list(left.json()["permissions"]) == ["admin", "reader", "writer"]


async def test_a_user_has_robots_of_their_own(world: World) -> None:
    reader = await world.client("reader", "user:admin")
    small = await world.client("reader", "repo:admin org:admin")

    made = await reader.put("/api/v1/user/robots/laptop")
    listed = await reader.get("/api/v1/user/robots?organization=acme")
    refused = await small.put("/api/v1/user/robots/laptop")
    anonymous = await world.anonymous.get("/api/v1/user/robots")

    assert (made.status, made.json()["name"]) == (201, "reader+laptop")
    assert [robot["name"] for robot in listed.json()["robots"]] == ["reader+laptop"]
    assert (said(refused), said(anonymous)) == ((403, FORBIDDEN), (401, UNAUTHENTICATED))


async def test_only_admins_reach_an_organizations_robots(world: World) -> None:
    member = await world.client("reader", "org:admin")
    small = await world.client("boss", "repo:admin user:admin")
    own = await world.client("boss", "org:admin")

    answers = [
        said(await member.get(f"{ALL}/ci")),
        said(await member.put(f"{ALL}/ci", {"description": 5})),
        said(await small.put(f"{ALL}/ci")),
        said(await (await world.client("fresh", "org:admin")).get(ALL)),
        said(await world.anonymous.get(ALL)),
        said(await own.get("/api/v1/organization/boss/robots/ci")),
    ]

    assert answers == [
        (403, FORBIDDEN),
        (403, FORBIDDEN),
        (403, FORBIDDEN),
        (403, FORBIDDEN),
        (401, UNAUTHENTICATED),
        (404, NOT_FOUND),
    ]


async def test_the_list_takes_the_same_queries_for_one_and_for_three(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    statements = Statements.of(world.store)
    counts = []

    for names in (("one",), ("two", "three")):
        for name in names:
            await boss.put(f"{ALL}/{name}")
            await boss.put(
                f"/api/v1/repository/acme/web/permissions/user/acme+{name}", {"role": "read"}
            )
        statements.take()
        await boss.get(f"{ALL}?permissions=true")
        counts.append(statements.take())

    assert counts[0] == counts[1]
