"""Feeds: who may set one up, and what becomes of the webhooks that its peer sends."""

import asyncio
import json
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
        }
    ]
    assert [one.status for one in (gone, again, late)] == [204, 404, 404]
    async with world.store.read() as tx:
        entries = await tx.rows(select(t.audit_entries))
    assert made["secret"] not in repr(entries)
    assert [row.kind for row in entries] == ["create_feed", "delete_feed"]


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
        ]
        assert [answer.status for answer in found] == [403, 403, 403]
    assert (await world.anonymous.get(FEEDS)).status == 401
    assert (await admin.delete(elsewhere)).status == 404


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
