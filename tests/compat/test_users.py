"""Oneself, other people, the search for people, and managing all users (quay-compat 6.6)."""

import pytest
from sqlalchemy import update

from dockbell.services import authentication
from dockbell.services.authentication import SignInError
from dockbell.store.tables import namespaces, users
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, invalid, said
from tests.asgi import Client
from tests.world import World, open_world

ALL = "/api/v1/superuser/users/"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _superuser(world: World, scope: str = "super:user") -> Client:
    async with world.store.begin() as tx:
        await tx.run(
            update(users).where(users.c.namespace_id == "ns_boss").values(is_superuser=True)
        )
    return await world.client("boss", scope)


async def test_the_caller_sees_themselves_as_far_as_the_scope_goes(world: World) -> None:
    full = await (await world.client("boss", "user:admin org:admin")).get("/api/v1/user/")
    small = await (await world.client("reader", "user:read")).get("/api/v1/user")

    body = full.json()
    assert full.status == 200
    assert {key: body[key] for key in ("anonymous", "username", "is_me", "email")} == {
        "anonymous": False,
        "username": "boss",
        "is_me": True,
        "email": None,
    }
    assert [
        {key: one[key] for key in one if key != "avatar"} for one in body["organizations"]
    ] == [
        {
            "name": "acme",
            "can_create_repo": True,
            "public": False,
            "is_org_admin": True,
            "preferred_namespace": False,
        }
    ]
    assert list(small.json()) == ["anonymous", "username", "avatar", "organizations"]
    assert [one["can_create_repo"] for one in small.json()["organizations"]] == [False]


async def test_nobody_and_a_token_without_user_scopes_are_told_to_sign_in(
    world: World,
) -> None:
    small = await world.client("boss", "repo:admin org:admin")

    answers = [
        said(await client.get("/api/v1/user/"))
        for client in (world.anonymous, small, world.anonymous.with_token("x" * 40))
    ]

    assert answers == [(401, {"session_required": False, **UNAUTHENTICATED})] * 3


async def test_anybody_may_know_that_a_user_exists(world: World) -> None:
    known = await world.anonymous.get("/api/v1/users/boss")
    unknown = await world.anonymous.get("/api/v1/users/nobody")
    organization = await world.anonymous.get("/api/v1/users/acme")
    strange = await world.anonymous.get("/api/v1/users/%C3%A4%27--")

    body = known.json()
    assert (known.status, list(body), body["username"]) == (
        200,
        ["anonymous", "username", "avatar"],
        "boss",
    )
    assert [said(unknown), said(organization), said(strange)] == [(404, NOT_FOUND)] * 3


async def test_search_finds_users_and_to_members_teams_robots_and_the_organization(
    world: World,
) -> None:
    boss = await world.client("boss", "org:admin user:admin")
    fresh = await world.client("fresh", "org:admin")
    await boss.put("/api/v1/organization/acme/robots/deployer")
    everything = "namespace=acme&includeTeams=true&includeOrgs=true"

    async def found(client: Client, prefix: str, query: str) -> list[tuple[str, str]]:
        answer = await client.get(f"/api/v1/entities/{prefix}?{query}")
        return [(one["kind"], one["name"]) for one in answer.json()["results"]]

    assert await found(boss, "de", everything) == [
        ("team", "devs"),
        ("user", "acme+deployer"),
    ]
    assert await found(boss, "ac", everything) == [("user", "acme+deployer"), ("org", "acme")]
    assert await found(boss, "acme%2Bdep", "namespace=acme") == [("user", "acme+deployer")]
    assert await found(boss, "de", "") == []
    assert await found(fresh, "de", everything) == []
    assert await found(fresh, "re", "namespace=acme") == [("user", "reader")]
    assert await found(fresh, "%25", "") == []
    assert await found(fresh, "_", "") == []


async def test_search_says_who_belongs_to_the_organization_and_needs_a_caller(
    world: World,
) -> None:
    boss = await world.client("boss", "org:admin")

    member = await boss.get("/api/v1/entities/read?namespace=acme")
    stranger = await boss.get("/api/v1/entities/fresh?namespace=acme")
    anonymous = await world.anonymous.get("/api/v1/entities/read")

    shown = member.json()["results"][0]
    assert {key: shown[key] for key in shown if key != "avatar"} == {
        "name": "reader",
        "kind": "user",
        "is_robot": False,
        "is_org_member": True,
    }
    assert stranger.json()["results"][0]["is_org_member"] is False
    assert said(anonymous) == (401, UNAUTHENTICATED)


async def test_avatars_take_the_address_in_any_case_and_else_the_name(world: World) -> None:
    async with world.store.begin() as tx:
        await tx.run(
            update(namespaces)
            .where(namespaces.c.name == "boss")
            .values(email="Boss@Example.com")
        )

    avatar = (await world.anonymous.get("/api/v1/users/boss")).json()["avatar"]

    assert list(avatar.items()) == [
        ("name", "boss"),
        ("hash", "f632a98a3d7ca8bd7da875d60ca13b111ec26bb38e91286bc5c05391f4bfca58"),
        ("color", "#6b6ecf"),
        ("kind", "user"),
    ]


async def test_a_superuser_makes_changes_and_deletes_users(world: World) -> None:
    boss = await _superuser(world)

    made = await boss.post(ALL, {"username": "newbie", "email": "n@example.com"})
    shown = await boss.get(f"{ALL}newbie")
    changed = await boss.put(f"{ALL}newbie", {"email": "m@example.com", "enabled": False})
    listed = await boss.get(f"{ALL}?disabled=false")
    deleted = await boss.delete(f"{ALL}newbie")
    gone = await boss.get(f"{ALL}newbie")

    body = shown.json()
    assert (made.status, list(made.json())) == (
        200,
        ["username", "email", "password", "encrypted_password"],
    )
    assert {key: body[key] for key in body if key != "avatar"} == {
        "kind": "user",
        "name": "newbie",
        "username": "newbie",
        "email": "n@example.com",
        "verified": True,
        "super_user": False,
        "enabled": True,
        "quotas": [],
        "quota_report": {
            "quota_bytes": 0,
            "configured_quota": None,
            "running_backfill": "complete",
            "backfill_status": "complete",
        },
    }
    assert (changed.json()["email"], changed.json()["enabled"]) == ("m@example.com", False)
    assert [user["name"] for user in listed.json()["users"]] == [
        "admin",
        "boss",
        "fresh",
        "reader",
        "writer",
    ]
    assert (said(deleted), said(gone)) == ((204, None), (404, NOT_FOUND))


async def test_made_and_encrypted_passwords_sign_in_until_they_are_changed(
    world: World,
) -> None:
    boss = await _superuser(world)
    made = (await boss.post(ALL, {"username": "newbie"})).json()

    async with world.store.read() as tx:
        names = [
            (await authentication.actor_of_password(tx, "newbie", made[key], None)).name
            for key in ("password", "encrypted_password")
        ]
        with pytest.raises(SignInError):
            await authentication.actor_of_password(tx, "boss", made["encrypted_password"], None)
    changed = await boss.put(f"{ALL}newbie", {"password": "another-good-one"})
    async with world.store.read() as tx:
        given = changed.json()["encrypted_password"]
        again = await authentication.actor_of_password(tx, "newbie", given, None)
        with pytest.raises(SignInError):
            await authentication.actor_of_password(tx, "newbie", made["password"], None)

    assert (names, again.name) == (["newbie", "newbie"], "newbie")


async def test_refusals_name_their_reason(world: World) -> None:
    boss = await _superuser(world)

    answers = [
        said(await boss.post(ALL, {"username": "acme"})),
        said(await boss.post(ALL, {})),
        said(await boss.put(f"{ALL}reader", {"password": "short"})),
        said(await boss.put(f"{ALL}nobody", {"enabled": "yes"})),
        said(await boss.put(f"{ALL}reader", {"enabled": "yes"})),
        said(await boss.put(f"{ALL}boss", {"enabled": False})),
        said(await boss.delete(f"{ALL}boss")),
    ]

    assert answers == [
        (400, invalid("The username already exists")),
        (400, invalid("'username' is a required property")),
        (
            400,
            invalid(
                "Invalid password, password must be at least 8 characters and contain no whitespace."
            ),
        ),
        (404, NOT_FOUND),
        (400, invalid("'yes' is not of type 'boolean'")),
        (400, invalid("Cannot update a superuser")),
        (400, invalid("Cannot delete a superuser")),
    ]


async def test_only_superusers_with_the_scope_manage_users(world: World) -> None:
    small = await _superuser(world, "user:admin org:admin repo:admin")
    reader = await world.client("reader", "super:user")
    calls = [
        ("GET", ALL),
        ("POST", ALL),
        ("GET", f"{ALL}reader"),
        ("PUT", f"{ALL}reader"),
        ("DELETE", f"{ALL}reader"),
    ]

    capped = [said(await small.send(*call)) for call in calls]
    refused = [said(await reader.send(*call)) for call in calls]
    anonymous = [said(await world.anonymous.send(*call)) for call in calls]

    assert capped == refused == [(403, FORBIDDEN)] * len(calls)
    assert anonymous == [(401, UNAUTHENTICATED)] * len(calls)
