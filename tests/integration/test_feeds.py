"""Feeds: who may set one up, and what becomes of the webhooks that its peer sends."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from dockbell.api.v2 import feeds as face
from dockbell.services import feeds as service
from dockbell.sources import build_sources
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.three_ways import listening
from tests.world import World, open_world

FEEDS = "/api/v2/repositories/acme/web/feeds"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(client: Client, source: str, *pipelines: str) -> dict[str, Any]:
    answer = await client.post(FEEDS, {"source": source, "pipelines": list(pipelines)})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()
    return made


async def send(
    world: World, made: dict[str, Any], *, secret: str | None = None, **headers: str
) -> Answer:
    """The example of the feed's source, as its peer sends it."""
    secret = made["secret"] if secret is None else secret
    example = build_sources()[made["feed"]["source"]].example(secret)
    path = urlsplit(made["feed"]["url"]).path
    query = f"?secret={example.secret}" if example.secret else ""
    given = {**example.headers, **{key.replace("_", "-"): one for key, one in headers.items()}}
    return await world.anonymous.post(path + query, body=example.body, headers=given)


async def kinds_of(store: Store) -> list[str]:
    async with store.read() as tx:
        found = await tx.rows(select(t.events.c.kind).order_by(t.events.c.id))
    return [row.kind for row in found]


@pytest.mark.parametrize("source", build_sources())
async def test_the_webhook_of_every_peer_is_an_event_once(
    world: World, admin: Client, source: str
) -> None:
    made = await make(admin, source)

    first = await send(world, made)
    again = await send(world, made)

    assert (first.status, again.status) == (202, 202)
    (one,), (two,) = first.json()["builds"], again.json()["builds"]
    assert (one["build"], two["event_id"]) == (two["build"], None)
    assert await kinds_of(world.store) == ["build_success"]
    (build,) = (await admin.get("/api/v2/repositories/acme/web/builds")).json()["items"]
    assert (build["source"], build["status"]) == (source, "success")


@pytest.mark.parametrize("source", build_sources())
async def test_a_webhook_without_the_secret_changes_nothing(
    world: World, admin: Client, source: str
) -> None:
    made = await make(admin, source)

    forged = await send(world, made, secret="x")
    bare = await world.anonymous.post(
        urlsplit(made["feed"]["url"]).path,
        body=b"{}",
        headers={"content-type": "application/json"},
    )

    assert [one.status for one in (forged, bare)] == [401, 401]
    assert await kinds_of(world.store) == []
    assert (await admin.get(FEEDS)).json()[0]["received_at"] is None


async def test_what_github_tells_reaches_a_webhook_a_mailbox_and_a_bell(
    world: World, admin: Client, clock: SetClock
) -> None:
    made = await make(admin, "github")
    config: dict[str, object] = {"ref-regex": "refs/heads/main$"}
    async with listening(world.store, clock, ["build_success"], event_config=config) as ways:
        await send(world, made)

        ((kind, hook),) = await ways.webhooks(1)
        (subject,) = await ways.subjects(1)
        bells = await ways.bells(1)

    assert (kind, hook["build_name"], hook["trigger_kind"]) == (
        "build_success",
        "image #12",
        "github",
    )
    assert hook["trigger_metadata"]["commit_info"]["message"] == "Mend it"
    assert bells == [(kind, hook)]
    assert subject.startswith("Build succeeded for repository acme/web [")


async def test_only_pipelines_that_fit_are_taken(world: World, admin: Client) -> None:
    other = await make(admin, "github", "deploy-*")
    fitting = await make(admin, "github", "deploy-*", "im[a-z]ge")

    ignored = await send(world, other)
    taken = await send(world, fitting)

    assert ignored.json() == {"builds": []}
    assert len(taken.json()["builds"]) == 1


async def test_what_is_about_something_else_is_taken_and_ignored(
    world: World, admin: Client
) -> None:
    answer = await send(world, await make(admin, "github"), x_github_event="ping")

    assert (answer.status, answer.json()) == (202, {"builds": []})
    assert (await admin.get(FEEDS)).json()[0]["received_at"] == "2026-03-14T12:00:00Z"


async def test_a_secret_is_told_once_and_a_deleted_feed_takes_nothing(
    world: World, admin: Client
) -> None:
    made = await make(admin, "gitlab", "a*")

    listed = await admin.get(FEEDS)
    gone = await admin.delete(f"{FEEDS}/{made['feed']['id']}")
    again = await admin.delete(f"{FEEDS}/{made['feed']['id']}")
    late = await send(world, made)

    assert listed.json() == [
        {
            "id": made["feed"]["id"],
            "source": "gitlab",
            "pipelines": ["a*"],
            "url": f"https://dockbell.test/api/v2/feeds/{made['feed']['id']}",
            "created_by": "admin",
            "created_at": "2026-03-14T12:00:00Z",
            "received_at": None,
            "previous_secret_ends_at": None,
        }
    ]
    assert [one.status for one in (gone, again, late)] == [204, 404, 404]
    async with world.store.read() as tx:
        entries = await tx.rows(select(t.audit_entries))
    assert made["secret"] not in repr(entries)
    assert [row.kind for row in entries] == ["create_feed", "delete_feed"]


@pytest.mark.parametrize("source", build_sources())
async def test_two_secrets_are_taken_until_the_first_one_ends(
    world: World, admin: Client, clock: SetClock, source: str
) -> None:
    made = await make(admin, source)
    one = f"{FEEDS}/{made['feed']['id']}"

    rotated = await admin.post(f"{one}/rotate", {"keep_seconds": 3600})
    again = await admin.post(f"{one}/rotate", {"keep_seconds": 60})
    new = rotated.json()
    both = [await send(world, made), await send(world, new), await send(world, new, secret="x")]
    clock.now += timedelta(seconds=3601)
    after = [await send(world, made), await send(world, new)]

    assert (rotated.status, new["secret"] == made["secret"]) == (201, False)
    assert new["feed"] == {**made["feed"], "previous_secret_ends_at": "2026-03-14T13:00:00Z"}
    assert (again.status, again.json()["detail"]) == (
        409,
        "Two secrets are taken already. End the one before, or let the last one end at once.",
    )
    assert [answer.status for answer in both] == [202, 202, 401]
    assert [answer.status for answer in after] == [401, 202]
    assert (await admin.get(FEEDS)).json()[0]["previous_secret_ends_at"] is None


async def test_a_secret_that_leaked_ends_at_once(
    world: World, admin: Client, clock: SetClock
) -> None:
    made = await make(admin, "gitlab")
    one = f"{FEEDS}/{made['feed']['id']}"
    second = (await admin.post(f"{one}/rotate")).json()
    ended = [await admin.delete(f"{one}/previous-secret") for _ in range(2)]
    first_late = await send(world, made)
    third = (await admin.post(f"{one}/rotate", {"keep_seconds": 0})).json()

    assert second["feed"]["previous_secret_ends_at"] == "2026-03-15T12:00:00Z"
    assert [answer.status for answer in ended] == [204, 404]
    assert third["feed"]["previous_secret_ends_at"] is None
    late = [first_late, await send(world, second), await send(world, third)]
    assert [answer.status for answer in late] == [401, 401, 202]
    async with world.store.read() as tx:
        entries = await tx.rows(select(t.audit_entries))
        (row,) = await tx.rows(select(t.feeds.c.previous_secret_sealed))
    assert row.previous_secret_sealed is None
    assert not [one for one in (made, second, third) if one["secret"] in repr(entries)]
    assert [row.kind for row in entries if row.kind != "build_dockerfile"] == [
        "create_feed", "rotate_feed_secret", "revoke_feed_secret", "rotate_feed_secret",
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [-1, 604_801, 10**30, "soon", 1.5])
async def test_a_span_that_cannot_be_is_refused(admin: Client, seconds: object) -> None:
    made = await make(admin, "gitlab")

    answer = await admin.post(f"{FEEDS}/{made['feed']['id']}/rotate", {"keep_seconds": seconds})

    assert answer.status == 400
    assert answer.json()["errors"][0]["field"] == "keep_seconds"


async def test_of_two_rotations_at_once_one_is_told_of_the_other(admin: Client) -> None:
    made = await make(admin, "gitlab")
    address = f"{FEEDS}/{made['feed']['id']}/rotate"

    answers = await asyncio.gather(admin.post(address), admin.post(address))

    assert sorted(one.status for one in answers) == [201, 409]


async def test_only_admins_of_the_repository_have_its_feeds(
    world: World, admin: Client
) -> None:
    made = await make(admin, "github")
    one = f"{FEEDS}/{made['feed']['id']}"
    elsewhere = one.replace("acme/web", "acme/api")

    for name in ("writer", "reader", "fresh"):
        client = await world.client(name)
        found = [
            await client.get(FEEDS),
            await client.post(FEEDS, {"source": "github"}),
            await client.delete(one),
            await client.post(f"{one}/rotate"),
            await client.delete(f"{one}/previous-secret"),
        ]
        assert [answer.status for answer in found] == [403] * 5
    assert (await world.anonymous.get(FEEDS)).status == 401
    assert (await admin.delete(elsewhere)).status == 404
    assert (await admin.post(f"{elsewhere}/rotate")).status == 404
    assert (await send(world, made)).status == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source"),
        ({"source": "jenkins"}, "source"),
        ({"source": "github", "pipelines": ["[a"]}, "pipelines[0]"),
        ({"source": "github", "pipelines": [""]}, "pipelines[0]"),
        ({"source": "github", "secret": "mine"}, "secret"),
    ],
)
async def test_what_is_wrong_with_a_feed_is_named(
    admin: Client, body: dict[str, Any], field: str
) -> None:
    answer = await admin.post(FEEDS, body)

    assert (answer.status, [one["field"] for one in answer.json()["errors"]]) == (400, [field])


async def test_a_repository_has_so_many_feeds_at_most(admin: Client) -> None:
    for _ in range(service.MOST):
        await make(admin, "github")

    answer = await admin.post(FEEDS, {"source": "github"})

    assert answer.status == 400
    assert answer.json()["detail"] == "The repository has 20 feeds already"


async def test_bodies_that_are_none_are_refused(
    world: World, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await make(admin, "gitlab")
    path = urlsplit(made["feed"]["url"]).path
    headers = {"content-type": "application/json", "x-gitlab-token": made["secret"]}

    half = await world.anonymous.post(path, body=b'{"object_kind": "pi', headers=headers)
    form = await world.anonymous.post(
        path, body=b"payload=%7B%7D", headers={**headers, "content-type": "text/plain"}
    )
    monkeypatch.setattr(face, "MOST_BYTES", 100)
    large = await world.anonymous.post(path, body=b" " * 101, headers=headers)
    unknown = await world.anonymous.post("/api/v2/feeds/fed_none", body=b"{}", headers=headers)

    assert [one.status for one in (half, form, large, unknown)] == [400, 415, 413, 404]


async def test_webhooks_of_one_build_at_once_and_out_of_order_make_each_event_once(
    world: World, admin: Client
) -> None:
    made = await make(admin, "gitlab")
    example = build_sources()["gitlab"].example(made["secret"])
    path = urlsplit(made["feed"]["url"]).path
    bodies = []
    for status in ("success", "running", "pending", "running", "success"):
        body = json.loads(example.body)
        body["object_attributes"]["status"] = status
        bodies.append(json.dumps(body).encode())

    answers = await asyncio.gather(
        *(world.anonymous.post(path, body=body, headers=example.headers) for body in bodies)
    )

    assert {one.status for one in answers} == {202}
    kinds = await kinds_of(world.store)
    assert len(kinds) == len(set(kinds))
    assert "build_success" in kinds
