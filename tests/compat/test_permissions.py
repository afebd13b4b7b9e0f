"""Roles of users, robots and teams on a repository (quay-compat 6.6)."""

import pytest

from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.world import World, add_namespace, add_repository, add_team, open_world

BASE = "/api/v1/repository/acme/web/permissions"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_put_gives_a_user_a_role_in_place_of_the_one_before(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    fresh = await world.client("fresh", "repo:admin")

    given = await admin.put(f"{BASE}/user/fresh", {"role": "read"})
    can_read = await fresh.get("/api/v1/repository/acme/web")
    raised = await admin.put(f"{BASE}/user/fresh", {"role": "write"})
    shown = await admin.get(f"{BASE}/user/fresh")
    removed = await admin.delete(f"{BASE}/user/fresh")
    cannot_read = await fresh.get("/api/v1/repository/acme/web")

    body = given.json()
    assert {key: body[key] for key in body if key != "avatar"} == {
        "role": "read",
        "name": "fresh",
        "is_robot": False,
        "is_org_member": False,
    }
    assert (list(body["avatar"]), body["avatar"]["kind"]) == (
        ["name", "hash", "color", "kind"],
        "user",
    )
    assert (can_read.status, said(raised)) == (200, (200, {**body, "role": "write"}))
    assert said(shown) == said(raised)
    assert (said(removed), said(cannot_read)) == ((204, None), (403, FORBIDDEN))


async def test_put_takes_robots_of_the_same_namespace_only(world: World) -> None:
    admin = await world.client("admin", "repo:admin user:admin")
    boss = await world.client("boss", "org:admin")
    await boss.put("/api/v1/organization/acme/robots/ci")
    await admin.put("/api/v1/user/robots/ci")

    given = await admin.put(f"{BASE}/user/acme+ci", {"role": "write"})
    foreign = await admin.put(f"{BASE}/user/admin+ci", {"role": "write"})
    removed = await admin.delete(f"{BASE}/user/acme%2Bci")

    body = given.json()
    assert {key: body[key] for key in body if key != "avatar"} == {
        "role": "write",
        "name": "acme+ci",
        "is_robot": True,
        "is_org_member": True,
    }
    assert said(foreign) == (400, invalid("Cannot add robot admin+ci under namespace acme"))
    assert said(removed) == (204, None)


async def test_refusals_name_their_reason_in_quays_words(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    own = "/api/v1/repository/admin/open/permissions"

    answers = [
        said(await admin.put(f"{BASE}/user/zzz", {"role": "read"})),
        said(await admin.put(f"{BASE}/user/acme", {"role": "read"})),
        said(await admin.put(f"{BASE}/user/fresh", {"role": "owner"})),
        said(await admin.put(f"{BASE}/user/fresh", {})),
        said(await admin.put(f"{own}/user/admin", {"role": "read"})),
        said(await admin.delete(f"{own}/user/admin")),
        said(await admin.get(f"{BASE}/user/fresh")),
        said(await admin.delete(f"{BASE}/user/fresh")),
        said(await admin.delete(f"{BASE}/user/zzz")),
        said(await admin.get(f"{BASE}/user/fresh/transitive")),
        said(await admin.put(f"{BASE}/team/zzz", {"role": "read"})),
        said(await admin.get(f"{BASE}/team/devs")),
        said(await admin.delete(f"{BASE}/team/devs")),
        said(await admin.delete(f"{BASE}/team/zzz")),
    ]

    assert answers == [
        (400, invalid("Invalid username: zzz")),
        (400, invalid("Namespace owner must always be admin.")),
        (400, invalid("'owner' is not one of ['read', 'write', 'admin']")),
        (400, invalid("'role' is a required property")),
        (400, invalid("Namespace owner must always be admin.")),
        (400, invalid("Namespace owner must always be admin.")),
        (400, {"message": "User does not have permission for repo."}),
        (400, invalid("User does not have permission for repo.")),
        (400, invalid("User does not have permission for repo.")),
        (404, NOT_FOUND),
        (400, invalid("No team zzz in organization acme")),
        (400, {"message": "Team does not have permission for repo."}),
        (400, invalid("Team does not have permission for repo.")),
        (400, invalid("Team does not have permission for repo.")),
    ]


async def test_a_team_holds_a_role_for_its_members(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    writer = await world.client("writer", "repo:admin")

    given = await admin.put(f"{BASE}/team/devs", {"role": "admin"})
    shown = await admin.get(f"{BASE}/team/devs")
    listed = await admin.get(f"{BASE}/team/")
    transitive = await admin.get(f"{BASE}/user/writer/transitive")
    by_member = await writer.get(f"{BASE}/team/")
    removed = await admin.delete(f"{BASE}/team/devs")
    by_former = await writer.get(f"{BASE}/team/")

    body = given.json()
    assert {key: body[key] for key in body if key != "avatar"} == {
        "role": "admin",
        "name": "devs",
    }
    assert said(shown) == (200, {"role": "admin"})
    assert said(listed) == (200, {"permissions": {"devs": body}})
    assert sorted(one["role"] for one in transitive.json()["permissions"]) == ["admin", "write"]
    assert said(by_member) == said(listed)
    assert (said(removed), said(by_former)) == ((204, None), (403, FORBIDDEN))


async def test_the_list_of_users_says_who_belongs_to_the_organization(world: World) -> None:
    admin = await world.client("admin", "repo:admin")

    listed = await admin.get(f"{BASE}/user/")
    of_user = await admin.get("/api/v1/repository/admin/open/permissions/user")

    shown = {
        name: (held["role"], held["is_org_member"])
        for name, held in listed.json()["permissions"].items()
    }
    assert shown == {
        "admin": ("admin", False),
        "reader": ("read", True),
        "writer": ("write", True),
    }
    assert list(of_user.json()["permissions"]["reader"]) == [
        "role",
        "name",
        "is_robot",
        "avatar",
    ]


async def test_only_admins_reach_any_of_it_before_bodies_are_looked_at(world: World) -> None:
    reader = await world.client("reader", "repo:admin")
    small = await world.client("admin", "repo:write")
    calls = [
        ("GET", "user"),
        ("GET", "user/admin"),
        ("GET", "user/admin/transitive"),
        ("PUT", "user/fresh"),
        ("DELETE", "user/admin"),
        ("GET", "team"),
        ("GET", "team/devs"),
        ("PUT", "team/devs"),
        ("DELETE", "team/devs"),
    ]

    answers = {
        said(await client.send(verb, f"{BASE}/{path}"))[0]
        for client in (reader, small)
        for verb, path in calls
    }
    anonymous = [
        said(await world.anonymous.send(verb, f"{BASE}/{path}")) for verb, path in calls
    ]

    assert answers == {403}
    assert anonymous == [(401, UNAUTHENTICATED)] * len(calls)


async def test_lists_take_the_same_queries_for_one_and_for_three(world: World) -> None:
    admin = await world.client("admin", "repo:admin")
    async with world.store.begin() as tx:
        await add_repository(tx, "acme", "small", admin="admin")
        for name in ("xia", "yan", "zoe"):
            await add_namespace(tx, name)
            await add_team(tx, "ns_acme", f"team-{name}", "member", name)
        await add_repository(
            tx, "acme", "big", admin="admin", xia="read", yan="read", zoe="read"
        )
    for name in ("xia", "yan", "zoe"):
        await admin.put(
            f"/api/v1/repository/acme/big/permissions/team/team-{name}", {"role": "read"}
        )
    await admin.put("/api/v1/repository/acme/small/permissions/team/team-xia", {"role": "read"})
    statements = Statements.of(world.store)
    counts: dict[str, list[int]] = {"small": [], "big": []}

    for name, taken in counts.items():
        for kind in ("user", "team"):
            statements.take()
            await admin.get(f"/api/v1/repository/acme/{name}/permissions/{kind}/")
            taken.append(statements.take())

    assert counts["small"] == counts["big"]
