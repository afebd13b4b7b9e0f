"""Notifications of namespaces answer as Quay's do (quay-compat 2.2, 9.5 N1 to N3, Q4)."""

from typing import Any

import pytest
from sqlalchemy import select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.asgi import Client
from tests.world import World, open_world

ACME = "/api/v1/organization/acme/notifications"
OWN = "/api/v1/user/namespacenotifications"
MISSING = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def boss(world: World) -> Client:
    return await world.client("boss", "org:admin user:admin")


def new(**changes: Any) -> dict[str, Any]:
    return {
        "event": "quota_warning",
        "method": "webhook",
        "config": {"url": "http://example.com"},
        "eventConfig": {},
        **changes,
    }


async def make(client: Client, base: str, **changes: Any) -> str:
    answer = await client.post(base, new(**changes))
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["uuid"]
    return uuid


@pytest.mark.parametrize("base", [ACME, OWN])
async def test_a_notification_lives_from_create_to_delete(boss: Client, base: str) -> None:
    empty = await boss.get(base)
    made = await boss.post(base, new(title="full"))
    error = await boss.post(base, new(event="quota_error"))
    uuid = made.json()["uuid"]
    listed = await boss.get(base)
    got = await boss.get(f"{base}/{uuid}")
    reset = await boss.post(f"{base}/{uuid}")
    tested = await boss.post(f"{base}/{uuid}/test")
    deleted = await boss.delete(f"{base}/{uuid}")
    rest = await boss.get(f"{base}/")

    assert said(empty) == (200, {"notifications": []})
    assert (made.status, made.json()) == (
        201,
        {
            "uuid": uuid,
            "title": "full",
            "event": "quota_warning",
            "method": "webhook",
            "config": {"url": "http://example.com"},
            "event_config": {},
            "number_of_failures": 0,
        },
    )
    assert made.headers["dockbell-signing-secret"].startswith("whsec_")
    assert listed.json() == {"notifications": [made.json(), error.json()]}
    assert said(got) == (200, made.json())
    assert [said(one) for one in (reset, tested, deleted)] == [
        (204, None),
        (200, {}),
        (204, None),
    ]
    assert rest.json() == {"notifications": [error.json()]}


@pytest.mark.parametrize("base", [ACME, OWN])
async def test_what_is_refused_is_named_in_quays_order(boss: Client, base: str) -> None:
    answers = [
        said(await boss.post(base, {})),
        said(await boss.post(base, new(event="repo_push", method="nope"))),
        said(await boss.post(base, new(method="nope", config={}))),
        said(await boss.post(base, new(config={}))),
    ]

    methods = "email, flowdock, hipchat, quay_notification, slack, webhook"
    assert answers == [
        (400, invalid("'event' is a required property")),
        (400, invalid("Invalid event 'repo_push'. Must be one of: quota_error, quota_warning")),
        (400, invalid(f"Unknown notification method 'nope'. Must be one of: {methods}")),
        (400, invalid("Missing webhook URL")),
    ]


@pytest.mark.parametrize("base", [ACME, OWN])
@pytest.mark.quirk("Q4")
async def test_an_unknown_uuid_is_404_in_every_call(
    world: World, boss: Client, base: str
) -> None:
    """Q4: unlike that of a repository's notification, which is 400 to act on."""
    other = await world.client("fresh", "org:admin user:admin repo:admin")
    foreign = await make(other, OWN)
    foreign_too = await make(other, "/api/v1/organization/other/notifications")
    own = await make(boss, OWN if base == ACME else ACME)

    answers = [
        said(await boss.send(verb, f"{base}/{uuid}{ending}"))
        for uuid in (MISSING, "nope", foreign, foreign_too, own)
        for verb, ending in (("GET", ""), ("POST", ""), ("DELETE", ""), ("POST", "/test"))
    ]

    assert answers == [(404, NOT_FOUND)] * 20


async def test_only_admins_of_the_organization_with_the_scope_get_there(world: World) -> None:
    nobody = [world.anonymous, world.anonymous.with_token("x" * 40)]
    lesser = [
        await world.client(name, scope)
        for name, scope in (
            ("boss", "repo:admin user:admin"),
            ("reader", "org:admin"),
            ("admin", "org:admin"),
            ("fresh", "org:admin"),
        )
    ]
    calls = [
        ("GET", ACME),
        ("POST", ACME),
        *((verb, f"{ACME}/{MISSING}") for verb in ("GET", "POST", "DELETE")),
        ("POST", f"{ACME}/{MISSING}/test"),
    ]

    refused = [said(await client.send(*call)) for client in lesser for call in calls]
    unknown = [said(await client.send(*call)) for client in nobody for call in calls]

    assert refused == [(403, FORBIDDEN)] * len(lesser) * len(calls)
    assert unknown == [(401, UNAUTHENTICATED)] * len(nobody) * len(calls)


async def test_an_unknown_organization_looks_forbidden_and_a_user_is_none(
    boss: Client, world: World
) -> None:
    capped = await world.client("boss", "repo:admin org:admin")

    answers = [
        said(await boss.get("/api/v1/organization/nope/notifications")),
        said(await boss.get("/api/v1/organization/boss/notifications")),
        said(await capped.get(OWN)),
    ]

    assert answers == [(403, FORBIDDEN), (404, NOT_FOUND), (403, FORBIDDEN)]


async def test_making_resetting_and_deleting_is_audited(world: World, boss: Client) -> None:
    uuid = await make(boss, ACME)
    await boss.post(f"{ACME}/{uuid}")
    await boss.delete(f"{ACME}/{uuid}")

    async with world.store.read() as tx:
        rows = await tx.rows(select(t.audit_entries).order_by(t.audit_entries.c.id))

    assert [row.kind for row in rows] == [
        "create_namespace_notification",
        "reset_namespace_notification",
        "delete_namespace_notification",
    ]
    expected = {
        "namespace": "acme",
        "notification_id": uuid,
        "event": "quota_warning",
        "method": "webhook",
    }
    kept = [{key: row.metadata[key] for key in expected} for row in rows]
    assert kept == [expected] * 3
    assert {row.namespace_id for row in rows} == {"ns_acme"}


async def test_mail_needs_no_address(boss: Client) -> None:
    answers = [
        said(await boss.post(base, new(method="email", config=config)))[0]
        for base in (ACME, OWN)
        for config in ({}, {"email": "whoever"})
    ]

    assert answers == [201] * 4


@pytest.mark.parametrize("base", [ACME, OWN])
async def test_a_list_takes_as_many_queries_with_one_as_with_three(
    world: World, boss: Client, base: str
) -> None:
    statements = Statements.of(world.store)
    taken = []
    for more in (1, 2):
        for _ in range(more):
            await make(boss, base)
        statements.take()
        await boss.get(base)
        taken.append(statements.take())

    assert taken[0] == taken[1] > 0
