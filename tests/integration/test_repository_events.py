"""Events beyond Quay's, each made by the real thing: kept where a notification wants it, and nowhere else."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell import events
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import ConfigError
from dockbell.domain.links import Links
from dockbell.registry.app import Registry
from dockbell.registry.parts import Pulls
from dockbell.services import expectations, expirations
from dockbell.services.intake import Intake
from dockbell.store import notifications, tables
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.hub import (
    HOST,
    Hub,
    artifact,
    digest_of,
    open_hub_beside,
    push_blob,
    push_image,
    push_manifest,
)
from tests.world import World, open_world

INTAKE = Intake(kinds=events.catalog(), links=Links(f"https://{HOST}"))
WEB = "/v2/acme/web"


@pytest.fixture
async def world(store: Store, clock: SetClock) -> World:
    return await open_world(store)


@pytest.fixture
async def hub(world: World, store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub_beside(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client("writer")


async def repository_id(store: Store) -> str:
    async with store.read() as tx:
        row = await tx.first(
            select(tables.repositories.c.id).where(tables.repositories.c.name == "web")
        )
    assert row is not None
    return str(row.id)


async def listen(
    store: Store, *kinds: str, place: str = "repository", **event_config: object
) -> str:
    """Make a notification for these kinds; return its id."""
    places = {
        "repository": {"namespace_id": None, "repository_id": await repository_id(store)},
        "namespace": {"namespace_id": "ns_acme", "repository_id": None},
        "server": {"namespace_id": None, "repository_id": None},
    }
    async with store.begin() as tx:
        made = await notifications.insert(
            tx,
            **places[place],
            kind=kinds[0],
            further_kinds=kinds[1:],
            method="webhook",
            title=None,
            config={"url": "https://hook.test"},
            event_config=event_config,
        )
    return made.id


async def heard(store: Store, *but: str) -> list[tuple[str, dict[str, Any], str | None]]:
    """Kind, own fields and performer of each event that was delivered, in order."""
    async with store.read() as tx:
        rows = await tx.rows(
            select(tables.events)
            .join(tables.deliveries, tables.deliveries.c.event_id == tables.events.c.id)
            .order_by(tables.events.c.id)
        )
    base = {"repository", "namespace", "name", "docker_url", "homepage"}
    return [
        (
            row.kind,
            {key: value for key, value in json.loads(row.body).items() if key not in base},
            row.performer_name,
        )
        for row in rows
        if row.kind not in but
    ]


async def kinds_kept(store: Store) -> list[str]:
    async with store.read() as tx:
        rows = await tx.rows(select(tables.events.c.kind).order_by(tables.events.c.id))
    return [row.kind for row in rows]


TAGS = ("tag_created", "tag_moved", "tag_deleted", "manifest_deleted")


async def test_tags_that_come_move_and_go_are_told_of(client: Client, store: Store) -> None:
    await listen(store, *TAGS)
    one = digest_of(await push_image(client, "v1"))
    two = await push_image(client, "v1")
    await push_manifest(client, two, "v1")
    await push_manifest(client, two, "v2")
    await client.delete(f"{WEB}/manifests/v2")
    await client.delete(f"{WEB}/manifests/{digest_of(two)}")
    two_digest = digest_of(two)

    assert await heard(store) == [
        ("tag_created", {"tag": "v1", "digest": one}, "writer"),
        (
            "tag_moved",
            {"tag": "v1", "digest": two_digest, "previous_digest": one},
            "writer",
        ),
        ("tag_created", {"tag": "v2", "digest": two_digest}, "writer"),
        ("tag_deleted", {"tag": "v2", "digest": two_digest, "reason": "deleted"}, "writer"),
        (
            "manifest_deleted",
            {
                "digest": two_digest,
                "media_type": "application/vnd.oci.image.manifest.v1+json",
                "tags": ["v1"],
            },
            "writer",
        ),
        (
            "tag_deleted",
            {"tag": "v1", "digest": two_digest, "reason": "manifest_deleted"},
            "writer",
        ),
    ]


async def test_where_nobody_listens_nothing_more_is_kept_than_the_push(
    client: Client, store: Store
) -> None:
    await push_image(client, "v1")
    await client.delete(f"{WEB}/manifests/v1")

    assert await kinds_kept(store) == ["repo_push"]


async def test_tags_that_the_api_changes_are_told_of(
    world: World, client: Client, store: Store
) -> None:
    await listen(store, *TAGS)
    one, two = await push_image(client, "v1"), await push_image(client, "v1")
    writer = await world.client("writer", "repo:write")
    place = "/api/v1/repository/acme/web/tag"
    before = len(await heard(store))

    await writer.put(f"{place}/s", {"manifest_digest": digest_of(one)})
    await writer.post(f"{place}/s/restore", {"manifest_digest": digest_of(two)})
    await writer.delete(f"{place}/s")

    assert [kind for kind, _, _ in (await heard(store))[before:]] == [
        "tag_created",
        "tag_moved",
        "tag_deleted",
    ]


async def test_a_tag_that_expires_is_told_of_as_gone(
    client: Client, store: Store, clock: SetClock
) -> None:
    await listen(store, "tag_deleted")
    image = await push_image(client, "v1", labels={"quay.expires-after": "1h"})
    clock.move(hours=2)

    async with store.begin() as tx:
        await expirations.end_expired(tx, SYSTEM, INTAKE)

    assert await heard(store) == [
        ("tag_deleted", {"tag": "v1", "digest": digest_of(image), "reason": "expired"}, None)
    ]


async def test_a_referrer_is_told_of_once(client: Client, store: Store) -> None:
    await listen(store, "referrer_attached")
    image = await push_image(client, "v1")
    await push_blob(client, b"{}")
    signature = artifact(image, "application/vnd.sig")

    for _ in range(2):
        await push_manifest(client, signature, digest_of(signature))

    assert await heard(store) == [
        (
            "referrer_attached",
            {
                "subject_digest": digest_of(image),
                "digest": digest_of(signature),
                "media_type": "application/vnd.oci.image.manifest.v1+json",
                "artifact_type": "application/vnd.sig",
            },
            "writer",
        )
    ]


@pytest.mark.parametrize("place", ["namespace", "server"])
async def test_repositories_that_come_and_go_are_told_of(
    world: World, hub: Hub, store: Store, place: str
) -> None:
    await listen(store, "repository_created", "repository_deleted", place=place)
    boss = await world.client("boss", "repo:create repo:admin")

    await boss.post(
        "/api/v1/repository",
        {
            "namespace": "acme",
            "repository": "new",
            "visibility": "public",
            "description": "",
        },
    )
    await hub.ask_token("boss", "repository:acme/pushed:push,pull")
    await boss.delete("/api/v1/repository/acme/new")

    assert await heard(store) == [
        ("repository_created", {"visibility": "public"}, "boss"),
        ("repository_created", {"visibility": "private"}, "boss"),
        ("repository_deleted", {"visibility": "public"}, "boss"),
    ]


async def test_a_push_that_a_rule_refuses_is_told_of_though_it_is_undone(
    world: World, client: Client, store: Store
) -> None:
    await listen(store, "push_refused")
    admin = await world.client("admin")
    await admin.post(
        "/api/v1/repository/acme/web/immutabilitypolicy/", {"tagPattern": "v[0-9]+$"}
    )
    first = await push_image(client, "v1")
    other = await push_image(client, "latest")

    answer = await push_manifest(client, other, "v1")

    assert answer.status == 403
    assert (await client.get(f"{WEB}/manifests/v1")).body == first
    assert await heard(store) == [
        (
            "push_refused",
            {
                "reference": "v1",
                "digest": digest_of(other),
                "reason": "tag_immutable",
                "message": "The tag v1 is immutable: a rule of the repository or of its organization keeps it as it is.",
            },
            "writer",
        )
    ]


@pytest.mark.parametrize(
    ("percent", "chance", "told"), [(0, 0.0, 0), (10, 0.09, 1), (10, 0.1, 0)]
)
async def test_a_share_of_the_pulls_is_told_of(
    hub: Hub, client: Client, store: Store, percent: float, chance: float, told: int
) -> None:
    await listen(store, "repo_pull")
    image = await push_image(client, "v1")
    registry = Registry(
        store_begin=store.begin,
        store_read=store.read,
        files=hub.files,
        links=INTAKE.links,
        intake=INTAKE,
        clock=lambda: NOON,
        tokens=hub.tokens,
        pulls=Pulls(percent, lambda: chance),
    )
    reader = Client(registry, await hub.ask_token("reader", "repository:acme/web:pull"))

    pulled = await reader.get(f"{WEB}/manifests/v1")
    await reader.send("HEAD", f"{WEB}/manifests/v1")
    missing = await reader.get(f"{WEB}/manifests/none")

    assert (pulled.body, missing.status) == (image, 404)
    assert (
        await heard(store)
        == [
            (
                "repo_pull",
                {
                    "reference": "v1",
                    "digest": digest_of(image),
                    "media_type": "application/vnd.oci.image.manifest.v1+json",
                    "sampled_percent": percent,
                },
                "reader",
            )
        ]
        * told
    )


async def test_filters_hold_for_these_kinds_too(client: Client, store: Store) -> None:
    async with store.begin() as tx:
        await notifications.insert(
            tx,
            namespace_id=None,
            repository_id=await repository_id(store),
            kind="tag_created",
            method="webhook",
            title=None,
            config={"url": "https://hook.test"},
            event_config={},
            filters={"tags": {"include": ["v*"]}},
        )

    for tag in ("v1", "latest", "v2"):
        await push_image(client, tag)

    assert [details["tag"] for _, details, _ in await heard(store)] == ["v1", "v2"]


# Events that do not come


async def look(store: Store) -> None:
    """What the server does every half a minute."""
    async with store.read() as tx:
        watchers = await expectations.list_watchers(tx, SYSTEM, after="")
        silent = [one for one in watchers if await expectations.is_missing(tx, SYSTEM, one)]
    for watcher in silent:
        async with store.begin() as tx:
            await expectations.tell(tx, SYSTEM, INTAKE, watcher)


@pytest.mark.parametrize("place", ["repository", "namespace"])
async def test_a_silence_is_told_of_once_and_the_next_one_again(
    hub: Hub, store: Store, clock: SetClock, place: str
) -> None:
    await listen(store, "event_missing", place=place, expects="repo_push", hours=6)

    await look(store)
    early = await heard(store)
    clock.move(hours=6)
    for _ in range(3):
        await look(store)
    first = await heard(store)
    await push_image(await hub.client("writer"), "v1")
    clock.move(hours=5)
    await look(store)
    pushed = await heard(store)
    clock.move(hours=1)
    await look(store)

    assert early == []
    assert first == [
        ("event_missing", {"expected": "repo_push", "hours": 6, "last_event_at": None}, None)
    ]
    assert pushed == first
    assert (await heard(store))[1:] == [
        (
            "event_missing",
            {
                "expected": "repo_push",
                "hours": 6,
                "last_event_at": "2026-03-14T18:00:00+00:00",
            },
            None,
        )
    ]


async def test_without_words_a_push_a_day_is_expected_and_odd_words_are_refused(
    world: World, store: Store, clock: SetClock
) -> None:
    await listen(store, "event_missing")
    kind = events.catalog()["event_missing"]

    clock.move(hours=24)
    await look(store)

    assert await heard(store) == [
        ("event_missing", {"expected": "repo_push", "hours": 24, "last_event_at": None}, None)
    ]
    for odd in ({"hours": 0}, {"hours": "6"}, {"hours": True}, {"expects": 5}, {"hours": 9999}):
        with pytest.raises(ConfigError):
            kind.check(odd)
