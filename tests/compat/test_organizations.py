"""Organizations and their people (quay-compat 6.6)."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from dockbell.store.tables import audit_entries, deliveries, notifications
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.world import World, add_namespace, add_repository, add_team, open_world

RULE = "^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_create_organization_answers_created_and_makes_the_owner(world: World) -> None:
    client = await world.client("fresh", "user:admin org:admin")

    created = await client.post(
        "/api/v1/organization/", {"name": "new-org", "email": "o@example.com"}
    )
    shown = await client.get("/api/v1/organization/new-org")

    body = shown.json()
    assert said(created) == (201, "Created")
    assert shown.status == 200
    assert list(body) == [
        "name",
        "email",
        "avatar",
        "is_admin",
        "is_member",
        "teams",
        "ordered_teams",
        "invoice_email",
        "invoice_email_address",
        "tag_expiration_s",
        "is_free_account",
        "quotas",
        "quota_report",
    ]
    assert (body["name"], body["email"], body["is_admin"], body["ordered_teams"]) == (
        "new-org",
        "o@example.com",
        True,
        ["owners"],
    )
    assert {key: body["teams"]["owners"][key] for key in ("role", "member_count")} == {
        "role": "admin",
        "member_count": 1,
    }


_BAD_BODIES: Sequence[tuple[object, str]] = [
    ({"name": "acme"}, "A user or organization with this name already exists"),
    ({"name": "boss"}, "A user or organization with this name already exists"),
    ({"name": "X"}, f"Invalid namespace X: Namespace must match expression {RULE}"),
    ({"name": "a b"}, f"Invalid namespace a b: Namespace must match expression {RULE}"),
    (
        {"name": "n" * 256},
        f"Invalid namespace {'n' * 256}: Namespace must be between 2 and 255 characters in length",
    ),
    ({"name": "good", "email": "x"}, "Invalid email address: x"),
    ({}, "'name' is a required property"),
    ({"name": None}, "None is not of type 'string'"),
]


async def test_create_organization_refuses_bad_bodies(world: World) -> None:
    client = await world.client("fresh", "user:admin")

    answers = [
        said(await client.post("/api/v1/organization/", body)) for body, _ in _BAD_BODIES
    ]

    assert answers == [(400, invalid(detail)) for _, detail in _BAD_BODIES]


async def test_create_organization_checks_the_right_before_the_body(world: World) -> None:
    small = await world.client("fresh", "org:admin repo:admin")

    anonymous = await world.anonymous.post("/api/v1/organization/", {})
    refused = await small.post("/api/v1/organization/", {})

    assert said(anonymous) == (401, UNAUTHENTICATED)
    assert said(refused) == (403, FORBIDDEN)


async def test_everybody_sees_that_an_organization_exists_and_members_see_its_teams(
    world: World,
) -> None:
    member = await world.client("reader", "org:admin")

    stranger = await world.anonymous.get("/api/v1/organization/acme")
    seen = await member.get("/api/v1/organization/acme")
    unknown = await member.get("/api/v1/organization/nothing")
    person = await member.get("/api/v1/organization/boss")

    assert {key: stranger.json()[key] for key in stranger.json() if key != "avatar"} == {
        "name": "acme",
        "email": "",
        "is_admin": False,
        "is_member": False,
    }
    assert {name: team["can_view"] for name, team in seen.json()["teams"].items()} == {
        "owners": False,
        "devs": True,
    }
    assert (seen.json()["is_member"], seen.json()["is_admin"]) == (True, False)
    assert (said(unknown), said(person)) == ((404, NOT_FOUND), (404, NOT_FOUND))


async def test_change_organization_changes_the_address(world: World) -> None:
    admin = await world.client("boss", "org:admin")
    member = await world.client("reader", "org:admin")

    changed = await admin.put("/api/v1/organization/acme", {"email": "new@example.com"})
    again = await admin.put("/api/v1/organization/acme", {"email": "new@example.com"})
    taken = await (await world.client("fresh", "org:admin")).put(
        "/api/v1/organization/other", {"email": "new@example.com"}
    )
    tags = await admin.put("/api/v1/organization/acme", {"tag_expiration_s": 5})
    refused = await member.put("/api/v1/organization/acme", {"email": 5})

    assert (changed.status, changed.json()["email"]) == (200, "new@example.com")
    assert (again.status, again.json()) == (200, changed.json())
    assert said(taken) == (400, invalid("E-mail address already used"))
    assert said(tags) == (
        400,
        invalid(
            "tag_expiration_s cannot be changed here: an operator sets it for all, as keep_deleted_tags"
        ),
    )
    assert said(refused) == (403, FORBIDDEN)


async def test_delete_organization_takes_all_it_owned_and_cancels_what_waits(
    world: World,
) -> None:
    admin = await world.client("boss", "org:admin repo:admin")
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

    refused = await (await world.client("reader", "org:admin")).delete(
        "/api/v1/organization/acme"
    )
    deleted = await admin.delete("/api/v1/organization/acme")
    gone = await admin.get("/api/v1/organization/acme")
    again = await admin.delete("/api/v1/organization/acme")

    async with world.store.read() as tx:
        states = [row.state for row in await tx.rows(select(deliveries.c.state))]
        left = [row.id for row in await tx.rows(select(notifications.c.id))]
        kinds = [
            row.kind
            for row in await tx.rows(
                select(audit_entries.c.kind).where(audit_entries.c.kind == "org_delete")
            )
        ]
    assert (made.status, said(refused)) == (201, (403, FORBIDDEN))
    assert (said(deleted), said(gone), said(again)) == (
        (204, None),
        (404, NOT_FOUND),
        (403, FORBIDDEN),
    )
    assert (states, left, kinds) == (["cancelled"], [], ["org_delete"])


async def test_members_are_listed_with_teams_and_repositories(world: World) -> None:
    admin = await world.client("boss", "org:admin")

    listed = await admin.get("/api/v1/organization/acme/members")
    one = await admin.get("/api/v1/organization/acme/members/reader")
    none = await admin.get("/api/v1/organization/acme/members/admin")

    shown = {
        member["name"]: ([team["name"] for team in member["teams"]], member["repositories"])
        for member in listed.json()["members"]
    }
    assert shown == {
        "boss": (["owners"], []),
        "reader": (["devs"], ["api", "team/app", "web"]),
        "writer": (["devs"], ["api", "team/app", "web"]),
    }
    assert one.json() == listed.json()["members"][1]
    assert said(none) == (404, NOT_FOUND)


async def test_a_removed_member_has_nothing_left(world: World) -> None:
    admin = await world.client("boss", "org:admin")
    reader = await world.client("reader", "repo:read")
    before = await reader.get("/api/v1/repository/acme/web")

    removed = await admin.delete("/api/v1/organization/acme/members/reader")
    after = await reader.get("/api/v1/repository/acme/web")
    oneself = await admin.delete("/api/v1/organization/acme/members/boss")

    assert (before.status, said(removed), said(after)) == (200, (204, None), (403, FORBIDDEN))
    assert said(oneself) == (
        400,
        invalid("You cannot remove yourself from the organization"),
    )


async def test_lists_of_teams_and_members_take_the_same_queries_for_one_and_for_three(
    world: World,
) -> None:
    admin = await world.client("boss", "org:admin")
    statements = Statements.of(world.store)
    counts = []

    for path in ("", "/members"):
        await admin.get(f"/api/v1/organization/acme{path}")
        counts.append(statements.take())
    async with world.store.begin() as tx:
        acme = "ns_acme"
        for name in ("zoe", "yan", "xia"):
            await add_namespace(tx, name)
            await add_team(tx, acme, f"team-{name}", "member", name)
            await add_repository(tx, "acme", f"repo-{name}", **{name: "read"})
    statements.take()
    for path in ("", "/members"):
        await admin.get(f"/api/v1/organization/acme{path}")
        counts.append(statements.take())

    assert counts[:2] == counts[2:]
