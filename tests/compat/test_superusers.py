"""Superusers and readonly superusers by setting have Quay's rights (quay-compat 2.1, 6.5, 9.5 N4)."""

import pytest
from sqlalchemy import insert

from dockbell.domain.accounts import NamespaceKind, Powers, Scope
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import (
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    Statements,
    invalid,
    said,
)
from tests.asgi import Client
from tests.world import World, add_namespace, open_world

WEB = "/api/v1/repository/acme/web"
ACME = "/api/v1/organization/acme"
MISSING = "01234567-89ab-4cde-8f01-23456789abcd"
HOOK = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com"},
    "eventConfig": {},
}
QUOTA_HOOK = {**HOOK, "event": "quota_warning"}

# What administrators of `acme` and its repository see.
SEEN = [
    WEB,
    f"{WEB}/notification/",
    f"{WEB}/permissions/user",
    f"{WEB}/permissions/user/writer",
    f"{WEB}/permissions/user/writer/transitive",
    f"{WEB}/permissions/team",
    ACME,
    f"{ACME}/members",
    f"{ACME}/members/writer",
    f"{ACME}/team/devs/members",
    f"{ACME}/team/devs/permissions",
    f"{ACME}/robots",
    f"{ACME}/notifications",
]
# What superusers see besides.
OVERSEEN = [
    "/api/v1/superuser/users",
    "/api/v1/superuser/users/boss",
    "/api/v1/superuser/organizations",
    "/api/v1/superuser/registrysize",
    "/api/v1/superuser/apptokens",
]
CHANGES = [
    ("POST", f"{WEB}/notification/", HOOK),
    ("POST", f"{WEB}/notification/{MISSING}", {}),
    ("POST", f"{WEB}/notification/{MISSING}/test", {}),
    ("DELETE", f"{WEB}/notification/{MISSING}", {}),
    ("PUT", f"{WEB}/permissions/user/fresh", {"role": "read"}),
    ("PUT", WEB, {"description": "mine"}),
    ("POST", f"{WEB}/changevisibility", {"visibility": "public"}),
    ("POST", f"{ACME}/notifications", QUOTA_HOOK),
    ("DELETE", f"{ACME}/notifications/{MISSING}", {}),
    ("PUT", f"{ACME}/team/devs", {"role": "admin"}),
    ("PUT", f"{ACME}/robots/helper", {}),
    ("DELETE", WEB, {}),
    ("DELETE", ACME, {}),
]
OVERCHANGES = [
    ("POST", "/api/v1/superuser/users", {"username": "newbie"}),
    ("PUT", "/api/v1/superuser/users/reader", {"enabled": False}),
    ("DELETE", "/api/v1/superuser/users/writer", {}),
    ("DELETE", "/api/v1/superuser/organizations/other", {}),
    ("POST", "/api/v1/superuser/registrysize", {}),
]


@pytest.fixture
async def world(store: Store) -> World:
    """`admin` is a superuser by setting and `fresh` a readonly one."""
    return await open_world(store, Powers(frozenset({"admin"}), frozenset({"fresh"})))


@pytest.fixture
async def powerful(store: Store) -> World:
    """`reader` is a superuser who administers everything."""
    return await open_world(store, Powers(frozenset({"reader"}), have_full_access=True))


async def _statuses(client: Client, paths: list[str]) -> list[int]:
    return [(await client.get(path)).status for path in paths]


@pytest.mark.parametrize("scope", ["repo:read", "user:read", "super:user"])
async def test_a_readonly_superuser_sees_all_whatever_the_scope(
    world: World, scope: str
) -> None:
    client = await world.client("fresh", scope)

    assert await _statuses(client, SEEN + OVERSEEN) == [200] * len(SEEN + OVERSEEN)


async def test_a_readonly_superuser_sees_the_same_as_an_admin(world: World) -> None:
    boss = await world.client("boss", "repo:admin org:admin")
    viewer = await world.client("fresh", "repo:read")
    made = await boss.post(f"{WEB}/notification/", HOOK)
    of_acme = await boss.post(f"{ACME}/notifications", QUOTA_HOOK)
    await boss.put(f"{ACME}/robots/deployer", {})

    one = await viewer.get(f"{WEB}/notification/{made.json()['uuid']}")
    all_of_them = await viewer.get(f"{WEB}/notification")
    one_of_acme = await viewer.get(f"{ACME}/notifications/{of_acme.json()['uuid']}")
    organization = (await viewer.get(ACME)).json()
    robots = (await viewer.get(f"{ACME}/robots?permissions=true")).json()["robots"]

    assert said(one) == (200, made.json())
    assert said(all_of_them) == (200, {"notifications": [made.json()]})
    assert said(one_of_acme) == (200, of_acme.json())
    assert (organization["is_admin"], organization["is_member"]) == (False, False)
    assert {name: team["can_view"] for name, team in organization["teams"].items()} == {
        "owners": True,
        "devs": True,
    }
    # A robot's token is as good as the robot itself, and so is for who may manage it.
    assert [sorted(robot) for robot in robots] == [
        ["created", "description", "last_accessed", "name"]
    ]


async def test_a_readonly_superuser_changes_nothing(world: World) -> None:
    client = await world.client(
        "fresh", "repo:admin org:admin user:admin repo:create super:user"
    )

    answers = [
        said(await client.send(verb, path, body)) for verb, path, body in CHANGES + OVERCHANGES
    ]
    secrets = [
        said(await client.get(f"{ACME}/{path}")) for path in ("applications", "robots/deployer")
    ]

    assert answers == [(403, FORBIDDEN)] * len(answers)
    assert secrets == [(403, FORBIDDEN)] * 2


async def test_who_is_named_as_both_is_a_readonly_superuser(store: Store) -> None:
    both = Powers(frozenset({"admin"}), frozenset({"admin"}), have_full_access=True)
    client = await (await open_world(store, both)).client("admin", "super:user")

    seen = await _statuses(client, SEEN + OVERSEEN)
    answers = [
        said(await client.send(verb, path, body))
        for verb, path, body in CHANGES[7:] + OVERCHANGES
    ]

    assert seen == [200] * len(SEEN + OVERSEEN)
    assert answers == [(403, FORBIDDEN)] * len(answers)


async def test_what_is_not_there_is_unknown_to_a_readonly_superuser(world: World) -> None:
    client = await world.client("fresh", "repo:read")

    answers = [
        said(await client.get(path))
        for path in (
            "/api/v1/repository/acme/nope",
            "/api/v1/repository/nope/web",
            "/api/v1/repository/acme/nope/notification/",
            "/api/v1/repository/nope/web/notification/",
            "/api/v1/organization/nope/notifications",
            "/api/v1/organization/boss/notifications",
            "/api/v1/organization/nope/robots",
            "/api/v1/organization/nope/team/devs/members",
            "/api/v1/superuser/users/nope",
        )
    ]

    assert answers == [(404, NOT_FOUND)] * len(answers)


async def test_a_readonly_superuser_lists_every_repository_of_a_namespace(
    world: World,
) -> None:
    client = await world.client("fresh", "repo:read")

    async def names(query: str) -> list[str]:
        answer = await client.get(f"/api/v1/repository?{query}")
        return [one["name"] for one in answer.json()["repositories"]]

    assert await names("namespace=acme") == ["web", "api", "team/app"]
    assert await names("public=true") == ["open"]


async def test_a_superuser_by_setting_manages_users_but_not_what_is_theirs(
    world: World,
) -> None:
    client = await world.client("admin", "super:user repo:admin org:admin")

    seen = await _statuses(client, OVERSEEN)
    listed = (await client.get("/api/v1/superuser/users")).json()["users"]
    changed = [(await client.send(verb, path, body)).status for verb, path, body in OVERCHANGES]
    others = [
        said(await client.get(path)) for path in (f"{ACME}/notifications", f"{ACME}/members")
    ]

    assert (seen, changed) == ([200] * len(OVERSEEN), [200, 200, 204, 204, 201])
    assert [user["name"] for user in listed if user["super_user"]] == ["admin"]
    assert others == [(403, FORBIDDEN)] * 2


async def test_superusers_without_the_scope_and_others_get_nothing(world: World) -> None:
    clients = [
        await world.client("admin", "repo:admin org:admin user:admin"),
        await world.client("boss", "super:user org:admin"),
    ]
    calls = [("GET", path, {}) for path in OVERSEEN] + OVERCHANGES

    refused = [
        said(await client.send(verb, path, body))
        for client in clients
        for verb, path, body in calls
    ]
    unknown = [said(await world.anonymous.send(verb, path, body)) for verb, path, body in calls]

    assert refused == [(403, FORBIDDEN)] * len(refused)
    assert unknown == [(401, UNAUTHENTICATED)] * len(unknown)


async def test_with_full_access_a_superuser_administers_everything(powerful: World) -> None:
    client = await powerful.client("reader", "super:user")
    missing = {path for _, path, _ in CHANGES if MISSING in path}

    seen = await _statuses(client, SEEN)
    changed = [
        (await client.send(verb, path, body)).status
        for verb, path, body in CHANGES
        if path not in missing
    ]
    made = await client.post(
        "/api/v1/repository",
        {"namespace": "other", "repository": "x", "visibility": "private", "description": ""},
    )

    assert seen == [200] * len(SEEN)
    assert changed == [201, 200, 200, 200, 201, 200, 201, 204, 204]
    assert made.status == 201


async def test_full_access_takes_the_scope_and_what_is_not_there_is_unknown(
    powerful: World,
) -> None:
    capped = await powerful.client("reader", "repo:admin org:admin user:admin")
    client = await powerful.client("reader", "super:user")

    refused = [said(await capped.send(verb, path, body)) for verb, path, body in CHANGES]
    unknown = [
        said(await client.get(path))
        for path in (
            "/api/v1/organization/nope/notifications",
            "/api/v1/repository/nope/web/notification/",
            "/api/v1/repository/acme/nope/notification/",
        )
    ]

    assert refused == [(403, FORBIDDEN)] * len(CHANGES)
    assert unknown == [(404, NOT_FOUND)] * 3


@pytest.mark.parametrize(
    ("key", "path"), [("users", "users"), ("organizations", "organizations")]
)
async def test_lists_come_in_pages_where_a_limit_is_given(
    world: World, key: str, path: str
) -> None:
    client = await world.client("admin", "super:user")
    for name in ("one", "two"):
        await client.post("/api/v1/superuser/users", {"username": f"{name}-person"})
        boss = await world.client("boss", "user:admin")
        await boss.post("/api/v1/organization", {"name": name})
    whole = (await client.get(f"/api/v1/superuser/{path}")).json()
    first = (await client.get(f"/api/v1/superuser/{path}?limit=2")).json()
    rest = await client.get(
        f"/api/v1/superuser/{path}?limit=100&next_page={first['next_page']}"
    )
    high = await client.get(f"/api/v1/superuser/{path}?limit=101")
    low = await client.get(f"/api/v1/superuser/{path}?limit=0")

    assert len(first[key]) == 2
    assert sorted(one["name"] for one in first[key] + rest.json()[key]) == sorted(
        one["name"] for one in whole[key]
    )
    assert list(rest.json()) == [key]
    assert "next_page" not in whole
    assert said(high) == (400, invalid("Page limit cannot be above 100"))
    assert said(low) == (400, invalid("Page limit cannot be below 1"))


async def test_organizations_are_listed_and_deleted(world: World) -> None:
    client = await world.client("admin", "super:user")

    listed = (await client.get("/api/v1/superuser/organizations/")).json()["organizations"]
    deleted = await client.delete("/api/v1/superuser/organizations/other")
    again = await client.delete("/api/v1/superuser/organizations/other")
    user = await client.delete("/api/v1/superuser/organizations/reader")

    assert [(one["name"], one["email"], one["avatar"]["kind"]) for one in listed] == [
        ("acme", None, "org"),
        ("other", None, "org"),
    ]
    assert [said(one) for one in (deleted, again, user)] == [
        (204, None),
        (404, NOT_FOUND),
        (404, NOT_FOUND),
    ]


@pytest.mark.parametrize("path", ["/api/v1/superuser/organizations", "/api/v1/superuser/users"])
async def test_a_list_takes_as_many_queries_however_long_it_is(world: World, path: str) -> None:
    client = await world.client("admin", "super:user")
    statements = Statements.of(world.store)
    taken = []
    for name in ("one", "two"):
        async with world.store.begin() as tx:
            await add_namespace(tx, name, NamespaceKind.ORGANIZATION)
            await add_namespace(tx, f"{name}-person")
        statements.take()
        await client.get(path)
        taken.append(statements.take())

    assert taken[0] == taken[1] > 0


async def test_full_access_reaches_api_v2(powerful: World) -> None:
    client = await powerful.client("reader", "super:user")
    capped = await powerful.client("reader", "repo:admin")
    paths = [
        f"/api/v2/{what}?{place}"
        for what in ("notifications", "deliveries", "events")
        for place in ("repository=acme/web", "namespace=acme")
    ]

    assert await _statuses(client, paths) == [200] * len(paths)
    assert await _statuses(capped, paths) == [403] * len(paths)


async def test_a_readonly_superuser_sees_in_api_v2_what_administrators_see(
    world: World,
) -> None:
    boss = await world.client("boss", "repo:admin org:admin")
    viewer = await world.client("fresh", "repo:read")
    hook = {"event": "repo_push", "method": "webhook", "config": {"url": "http://example.com"}}
    made = await boss.post("/api/v2/notifications", {**hook, "repository": "acme/web"})
    notification = f"/api/v2/notifications/{made.json()['notification']['id']}"
    await boss.post(f"{notification}/test?wait=0")
    (delivery,) = (await boss.get("/api/v2/deliveries?repository=acme/web")).json()["items"]
    job = await boss.post("/api/v2/redelivery-jobs", {"repository": "acme/web"})
    event = delivery["event"]["id"]
    of_places = [
        f"/api/v2/{what}?{place}"
        for what in ("notifications", "deliveries", "events", "stats", "redelivery-jobs")
        for place in ("repository=acme/web", "namespace=acme")
    ]
    of_things = [
        notification,
        f"{notification}/standing",
        f"{notification}/signing-secrets",
        f"{notification}/message",
        f"/api/v2/deliveries/{delivery['id']}",
        f"/api/v2/deliveries/{delivery['id']}/attempts",
        f"/api/v2/deliveries?notification={made.json()['notification']['id']}",
        f"/api/v2/deliveries?event_id={event}",
        f"/api/v2/events/{event}",
        f"/api/v2/redelivery-jobs/{job.json()['id']}",
        "/api/v2/repositories/acme/web/feeds",
    ]
    of_instance = [
        f"/api/v2/{what}?instance=true"
        for what in ("notifications", "deliveries", "events", "stats")
    ]
    changes = [
        ("POST", "/api/v2/notifications", {**hook, "repository": "acme/web"}),
        ("POST", "/api/v2/notifications", {**hook, "instance": True}),
        ("PATCH", notification, {"title": "mine"}),
        ("DELETE", notification, None),
        ("POST", f"{notification}/pause", None),
        ("POST", f"{notification}/test", None),
        ("PUT", f"{notification}/message", {"payload_form": "quay"}),
        ("POST", f"{notification}/signing-secrets", None),
        ("POST", f"/api/v2/deliveries/{delivery['id']}/redeliver", None),
        ("POST", f"/api/v2/deliveries/{delivery['id']}/cancel", None),
        ("POST", f"/api/v2/events/{event}/replay", {"notification": "ntf_x"}),
        ("POST", "/api/v2/redelivery-jobs", {"repository": "acme/web"}),
        ("POST", "/api/v2/repositories/acme/web/feeds", {"source": "github"}),
    ]

    same = [
        (said(await viewer.get(path)), said(await boss.get(path)))
        for path in of_places + of_things
        if "/stats" not in path
    ]
    missing = [
        (await viewer.get(path)).status
        for path in (
            "/api/v2/events?repository=acme/nope",
            "/api/v2/events?namespace=nope",
            f"{notification}x",
            "/api/v2/events/evt_nope",
        )
    ]
    every = await world.client("fresh", " ".join(Scope))
    refused = [(await every.send(verb, path, body)).status for verb, path, body in changes]

    assert [one for one, _ in same] == [other for _, other in same]
    assert {one[0] for one, _ in same} == {200}
    assert await _statuses(viewer, of_instance) == [200] * len(of_instance)
    assert missing == [404] * 4
    # What they may not administer looks unknown where it is named by its own id.
    assert set(refused) == {403, 404}
    assert said(await boss.get(notification))[1]["title"] is None


async def test_a_superuser_becomes_an_owner(world: World) -> None:
    client = await world.client("admin", "super:user org:admin")
    path = "/api/v1/superuser/takeownership"
    before = (await client.get(f"{ACME}/members")).status

    first = await client.post(f"{path}/acme")
    second = await client.post(f"{path}/acme")

    members = (await client.get(f"{ACME}/team/owners/members")).json()["members"]
    log = (await client.get(f"{ACME}/logs")).json()["logs"][0]
    assert before == 403
    assert said(first) == said(second) == (200, {"namespace": "acme"})
    assert [one["name"] for one in members] == ["admin", "boss"]
    assert (log["kind"], log["metadata"]["namespace"]) == ("take_ownership", "acme")
    assert (log["metadata"]["superuser"], log["metadata"]["was_user"]) == ("admin", False)
    assert said(await client.post(f"{path}/nope")) == (404, NOT_FOUND)
    assert said(await client.post(f"{path}/writer")) == (
        400,
        invalid("writer is a user. Only organizations can be taken over."),
    )


async def test_an_owner_is_made_where_the_team_is_gone_or_lesser(world: World) -> None:
    client = await world.client("admin", "super:user org:admin")
    boss = await world.client("boss", "org:admin")
    await boss.put(f"{ACME}/team/bosses", {"role": "admin"})
    await boss.put(f"{ACME}/team/bosses/members/boss")
    await boss.put(f"{ACME}/team/owners", {"role": "member"})

    lesser = await client.post("/api/v1/superuser/takeownership/acme")
    role = (await client.get(ACME)).json()["teams"]["owners"]["role"]
    await boss.put(f"{ACME}/team/owners/members/boss")
    await boss.delete(f"{ACME}/team/owners")
    gone = await client.post("/api/v1/superuser/takeownership/acme")

    assert (lesser.status, role, gone.status) == (200, "admin", 200)
    assert (await client.get(f"{ACME}/members")).status == 200


async def test_the_size_of_the_registry_is_counted_when_asked_for(
    world: World, store: Store
) -> None:
    client = await world.client("admin", "super:user")
    async with store.begin() as tx:
        for digest, size in (("a", 700), ("b", 34)):
            await tx.run(
                insert(t.blobs).values(
                    digest=f"sha256:{digest * 64}", size=size, created_at=tx.now
                )
            )

    asked = await client.post("/api/v1/superuser/registrysize/")
    size = await client.get("/api/v1/superuser/registrysize/")

    assert said(asked) == (201, "")
    assert said(size) == (
        200,
        {"size_bytes": 734, "last_ran": 1773489600000, "queued": False, "running": False},
    )


async def test_superusers_see_whose_app_tokens_there_are(world: World) -> None:
    client = await world.client("admin", "super:user")
    one = await world.client("writer", "user:admin repo:admin repo:create")
    made = (await one.post("/api/v1/user/apptoken", {"title": "laptop"})).json()["token"]

    every = (await client.get("/api/v1/superuser/apptokens")).json()
    ending = (await client.get("/api/v1/superuser/apptokens?expiring=true")).json()

    shown = {key: value for key, value in made.items() if key != "token_code"}
    assert every == {"tokens": [{**shown, "user": "writer"}], "only_expiring": None}
    assert ending == {"tokens": [], "only_expiring": True}
