"""What superusers tell everybody answers as Quay's messages do."""

from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import Powers
from dockbell.domain.announcements import LONGEST, MOST
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, UNAUTHENTICATED, invalid, said
from tests.asgi import Client
from tests.world import World, open_world

ALL = "/api/v1/messages"
ONE = "/api/v1/message"
MISSING = "01234567-89ab-4cde-8f01-23456789abcd"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store, Powers(frozenset({"boss"}), frozenset({"fresh"})))


@pytest.fixture
async def boss(world: World) -> Client:
    return await world.client("boss", "super:user")


def new(content: str = "Closed on *Sunday*", **changes: Any) -> dict[str, Any]:
    message = {"media_type": "text/markdown", "severity": "info", "content": content}
    return {"message": {**message, **changes}}


async def test_everybody_reads_what_a_superuser_says_until_it_is_taken_back(
    world: World, boss: Client
) -> None:
    none = await world.anonymous.get(ALL)
    made = await boss.post(ALL, new())
    await boss.post(ALL, new("Now", severity="error", media_type="text/plain"))
    first, second = (await boss.get(ALL)).json()["messages"]
    readers = [
        world.anonymous,
        world.anonymous.with_token("x" * 40),
        await world.client("reader", "repo:read"),
    ]
    seen = [said(await reader.get(ALL)) for reader in readers]
    deleted = await boss.delete(f"{ONE}/{first['uuid']}")
    again = await boss.delete(f"{ONE}/{first['uuid']}")
    rest = await world.anonymous.get(f"{ALL}/")

    assert said(none) == (200, {"messages": []})
    assert (made.status, made.body) == (201, b"")
    assert first == {
        "uuid": first["uuid"],
        "content": "Closed on *Sunday*",
        "severity": "info",
        "media_type": "text/markdown",
    }
    assert seen == [(200, {"messages": [first, second]})] * 3
    assert said(deleted) == said(again) == (204, None)
    assert rest.json() == {"messages": [second]}


async def test_only_superusers_with_the_scope_speak(world: World) -> None:
    lesser = [
        await world.client("boss", "repo:admin user:admin org:admin"),
        await world.client("fresh", "super:user"),
        await world.client("reader", "super:user"),
    ]
    calls = [("POST", ALL, {}), ("DELETE", f"{ONE}/{MISSING}", {})]

    refused = [said(await client.send(*call)) for client in lesser for call in calls]
    unknown = [said(await world.anonymous.send(*call)) for call in calls]

    assert refused == [(403, FORBIDDEN)] * 6
    assert unknown == [(401, UNAUTHENTICATED)] * 2


async def test_what_is_not_right_is_named(boss: Client) -> None:
    answers = [
        said(await boss.post(ALL, body))
        for body in (
            {},
            {"message": "hello"},
            {"message": {}},
            new(severity="loud"),
            new(media_type="text/html"),
            new(" "),
            new("x" * (LONGEST + 1)),
        )
    ]
    unknown = [said(await boss.delete(f"{ONE}/{uuid}")) for uuid in (MISSING, "nope")]

    assert answers == [
        (400, invalid("'message' is a required property")),
        (400, invalid("'hello' is not of type 'object'")),
        (400, invalid("'media_type' is a required property")),
        (400, invalid("'loud' is not one of ['info', 'warning', 'error']")),
        (400, invalid("'text/html' is not one of ['text/plain', 'text/markdown']")),
        (400, invalid("'content' cannot be empty")),
        (
            400,
            invalid("'content' is too long: 10001 characters, at most 10000 are allowed"),
        ),
    ]
    assert unknown == [(204, None)] * 2


async def test_there_is_an_end_to_them(boss: Client) -> None:
    for _ in range(MOST):
        await boss.post(ALL, new())

    answer = await boss.post(ALL, new())

    assert said(answer) == (
        400,
        invalid("There are 100 messages already. Delete one first."),
    )


async def test_speaking_and_taking_back_is_audited(world: World, boss: Client) -> None:
    await boss.post(ALL, new())
    uuid = (await boss.get(ALL)).json()["messages"][0]["uuid"]
    await boss.delete(f"{ONE}/{uuid}")

    async with world.store.read() as tx:
        rows = await tx.rows(select(t.audit_entries).order_by(t.audit_entries.c.id))

    assert [(row.kind, row.metadata["uuid"], row.namespace_id) for row in rows] == [
        ("create_message", uuid, None),
        ("delete_message", uuid, None),
    ]
