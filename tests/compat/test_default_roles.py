"""Quay's prototypes: roles that new repositories of an organization begin with."""

from typing import Any

import pytest

from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, Statements, invalid, said
from tests.asgi import Client
from tests.world import World, open_world

ALL = "/api/v1/organization/acme/prototypes"
MISSING = "01234567-89ab-4cde-8f01-23456789abcd"
EVERY = "repo:admin repo:create org:admin user:admin"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def boss(world: World) -> Client:
    return await world.client("boss", EVERY)


def new(kind: str, name: str, role: str = "read", creator: str | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {"role": role, "delegate": {"kind": kind, "name": name}}
    return body if creator is None else {**body, "activating_user": {"name": creator}}


def plain(view: dict[str, Any]) -> dict[str, Any]:
    """The object without its pictures and its id."""
    people = {
        key: view[key] and {name: view[key][name] for name in view[key] if name != "avatar"}
        for key in ("activating_user", "delegate")
    }
    return {**people, "role": view["role"]}


async def roles_on_a_new_one(client: Client, name: str) -> dict[str, str]:
    """Who holds which role on a repository that this caller makes."""
    made = await client.post(
        "/api/v1/repository",
        {"namespace": "acme", "repository": name, "visibility": "private", "description": ""},
    )
    assert made.status == 201, made.body
    held = {}
    for kind in ("user", "team"):
        found = await client.get(f"/api/v1/repository/acme/{name}/permissions/{kind}")
        for holder, role in found.json()["permissions"].items():
            held[holder] = role["role"]
    return held


async def test_a_default_role_from_its_making_to_its_end(boss: Client) -> None:
    before = await boss.get(ALL)
    made = await boss.post(ALL, new("team", "devs", "write"))
    one = f"{ALL}/{made.json()['id']}"
    changed = await boss.put(one, {"role": "admin"})
    listed = await boss.get(f"{ALL}/")
    deleted = await boss.delete(one)
    gone = [said(await boss.delete(one)), said(await boss.put(one, {"role": "read"}))]

    team = {"name": "devs", "kind": "team"}
    assert said(before) == (200, {"prototypes": []})
    assert made.status == 200
    assert list(made.json()) == ["activating_user", "delegate", "role", "id"]
    assert plain(made.json()) == {"activating_user": None, "delegate": team, "role": "write"}
    assert sorted(made.json()["delegate"]["avatar"]) == ["color", "hash", "kind", "name"]
    assert said(changed) == (200, {**made.json(), "role": "admin"})
    assert said(listed) == (200, {"prototypes": [changed.json()]})
    assert (said(deleted), gone) == ((204, None), [(404, NOT_FOUND)] * 2)


async def test_people_and_robots_are_shown_with_whether_they_belong(boss: Client) -> None:
    await boss.put("/api/v1/organization/acme/robots/ci")

    answers = [
        await boss.post(ALL, new("user", name, creator=creator))
        for name, creator in (("fresh", "writer"), ("acme+ci", None), ("reader", "acme+ci"))
    ]

    def person(name: str, *, is_member: bool, is_robot: bool = False) -> dict[str, Any]:
        return {
            "name": name,
            "is_robot": is_robot,
            "kind": "user",
            "is_org_member": is_member,
        }

    robot = person("acme+ci", is_member=True, is_robot=True)
    assert [plain(one.json()) for one in answers] == [
        {
            "activating_user": person("writer", is_member=True),
            "delegate": person("fresh", is_member=False),
            "role": "read",
        },
        {"activating_user": None, "delegate": robot, "role": "read"},
        {
            "activating_user": robot,
            "delegate": person("reader", is_member=True),
            "role": "read",
        },
    ]


async def test_new_repositories_begin_with_them_and_others_stay(boss: Client) -> None:
    await boss.post(ALL, new("team", "devs", "write"))
    await boss.post(ALL, new("user", "reader", "read"))
    await boss.post(ALL, new("user", "boss", "read"))

    held = await roles_on_a_new_one(boss, "fresh-one")
    old = await boss.get("/api/v1/repository/acme/web/permissions/team")

    # Who makes one administers it, whatever the rules say.
    assert held == {"boss": "admin", "devs": "write", "reader": "read"}
    assert old.json()["permissions"] == {}


async def test_what_is_for_one_creator_goes_before_what_is_for_all(
    world: World, boss: Client
) -> None:
    await boss.put("/api/v1/organization/acme/team/makers", {"role": "creator"})
    await boss.put("/api/v1/organization/acme/team/owners/members/admin")
    admin = await world.client("admin", EVERY)
    for each in (await admin.get("/api/v1/user/notifications")).json()["notifications"]:
        await admin.put(f"/api/v1/teaminvite/{each['metadata'].get('code')}")
    await boss.post(ALL, new("user", "reader", "read"))
    await boss.post(ALL, new("user", "reader", "write", "boss"))
    await boss.post(ALL, new("user", "writer", "write", "admin"))

    by_boss = await roles_on_a_new_one(boss, "of-boss")
    by_admin = await roles_on_a_new_one(admin, "of-admin")

    assert by_boss == {"boss": "admin", "reader": "write"}
    assert by_admin == {"admin": "admin", "reader": "read", "writer": "write"}


async def test_a_rule_goes_with_whom_it_names(boss: Client) -> None:
    await boss.put("/api/v1/organization/acme/robots/ci")
    await boss.put("/api/v1/organization/acme/team/gone", {"role": "member"})
    await boss.post(ALL, new("user", "acme+ci"))
    await boss.post(ALL, new("team", "gone"))
    await boss.post(ALL, new("team", "devs", creator="acme+ci"))

    await boss.delete("/api/v1/organization/acme/robots/ci")
    await boss.delete("/api/v1/organization/acme/team/gone")

    # The last one must not become a rule for everybody.
    assert said(await boss.get(ALL)) == (200, {"prototypes": []})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "'role' is a required property"),
        (new("user", "reader", "boss"), "'boss' is not one of ['read', 'write', 'admin']"),
        ({"role": "read", "delegate": {"kind": "user"}}, "'name' is a required property"),
        (new("org", "acme"), "'org' is not one of ['user', 'team']"),
        (new("user", "nobody"), "Missing delegate user or team"),
        (new("user", "acme"), "Missing delegate user or team"),
        (new("team", "nobody"), "Missing delegate user or team"),
        (new("user", "reader", creator="nobody"), "Unknown activating user"),
        ({**new("team", "devs"), "activating_user": {}}, None),
        ({**new("team", "devs"), "activating_user": None}, None),
    ],
)
async def test_what_is_not_right_is_named(
    boss: Client, body: dict[str, Any], detail: str | None
) -> None:
    answer = await boss.post(ALL, body)

    if detail is None:
        assert answer.status == 200
    else:
        assert said(answer) == (400, invalid(detail))


async def test_a_robot_of_another_namespace_is_refused(world: World, boss: Client) -> None:
    fresh = await world.client("fresh", EVERY)
    await fresh.put("/api/v1/organization/other/robots/ci")

    answer = await boss.post(ALL, new("user", "other+ci"))

    assert said(answer) == (400, invalid("Cannot add robot other+ci under namespace acme"))
    assert said(await fresh.get(ALL)) == (403, FORBIDDEN)


async def test_the_list_takes_as_many_queries_however_long_it_is(
    world: World, boss: Client
) -> None:
    statements = Statements.of(world.store)
    taken = []
    for name in ("reader", "writer"):
        await boss.post(ALL, new("user", name))
        statements.take()
        await boss.get(ALL)
        taken.append(statements.take())

    assert taken[0] == taken[1] > 0


async def test_what_is_done_with_them_is_logged(boss: Client) -> None:
    made = (await boss.post(ALL, new("team", "devs", creator="boss"))).json()
    await boss.put(f"{ALL}/{made['id']}", {"role": "write"})
    await boss.delete(f"{ALL}/{made['id']}")

    logs = (await boss.get("/api/v1/organization/acme/logs")).json()["logs"]

    about = {
        "namespace": "acme",
        "prototypeid": made["id"],
        "username": "boss",
        "activating_username": "boss",
        "delegate_team": "devs",
    }
    own = [
        (one["kind"], {k: v for k, v in one["metadata"].items() if not k.startswith("oauth_")})
        for one in logs
    ]
    assert own == [
        ("delete_prototype_permission", {**about, "role": "write"}),
        ("modify_prototype_permission", {**about, "role": "write", "original_role": "read"}),
        ("create_prototype_permission", {**about, "role": "read"}),
    ]
