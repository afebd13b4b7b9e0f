"""Tags that expire: each notification is told once of each, and what is over is taken away."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell import events
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.ids import uuid_of
from dockbell.domain.links import Links
from dockbell.domain.notifications import INSTANCE
from dockbell.services import expirations
from dockbell.services.intake import Intake
from dockbell.store import notifications, tables
from dockbell.store import tags as tag_rows
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import HOST, Hub, open_hub, push_image, rows_of
from tests.three_ways import listening

KIND = "repo_image_expiry"
INTAKE = Intake(kinds=events.catalog(), links=Links(f"https://{HOST}"))
LABEL = {"quay.expires-after": "3d"}


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def watch(store: Store, path: str | None, **event_config: object) -> str:
    """Make a notification for a repository, a namespace or the server; return its id."""
    async with store.begin() as tx:
        places: dict[str, Any] = {"namespace_id": None, "repository_id": None}
        if path is not None and "/" in path:
            namespace, _, name = path.partition("/")
            row = await tx.first(
                select(tables.repositories.c.id).where(tables.repositories.c.name == name)
            )
            assert row is not None, namespace
            places["repository_id"] = row.id
        elif path is not None:
            places["namespace_id"] = f"ns_{path}"
        made = await notifications.insert(
            tx,
            **places,
            kind=KIND,
            method="webhook",
            title=None,
            config={"url": "https://hook.test"},
            event_config=event_config,
        )
    return made.id


async def look(store: Store) -> None:
    """What the server does every half a minute."""
    async with store.read() as tx:
        watchers = await expirations.list_watchers(tx, SYSTEM, after="")
        news = [one for one in watchers if await expirations.has_news(tx, SYSTEM, one)]
    for watcher in news:
        async with store.begin() as tx:
            await expirations.tell(tx, SYSTEM, INTAKE, watcher)
    async with store.begin() as tx:
        await expirations.end_expired(tx, SYSTEM, INTAKE)


async def told(store: Store) -> list[tuple[str, list[str], str]]:
    """Notification, tags and span of each delivery."""
    async with store.read() as tx:
        rows = await tx.rows(
            select(tables.deliveries.c.notification_id, tables.events.c.body)
            .join(tables.events, tables.events.c.id == tables.deliveries.c.event_id)
            .where(tables.events.c.kind == KIND)
            .order_by(tables.deliveries.c.id)
        )
    bodies = [(row.notification_id, json.loads(row.body)) for row in rows]
    return [(one, body["tags"], body["expiring_in"]) for one, body in bodies]


async def test_each_notification_is_told_once_of_what_expires_in_its_days(
    client: Client, store: Store, clock: SetClock
) -> None:
    week = await watch(store, "acme/web", days=7)
    day = await watch(store, "acme/web", days="1")
    await watch(store, "acme/web")
    await push_image(client, "b", labels=LABEL)
    await push_image(client, "a", labels=LABEL)
    await push_image(client, "stays")

    for _ in range(3):
        await look(store)
    first = await told(store)
    clock.move(days=2, minutes=1)
    await look(store)

    assert first == [(week, ["a", "b"], "7 days")]
    assert await told(store) == [*first, (day, ["a", "b"], "1 days")]


async def test_a_push_and_an_expiry_reach_a_webhook_a_mailbox_and_a_bell(
    client: Client, store: Store, clock: SetClock
) -> None:
    await push_image(client, "first")
    async with listening(store, clock, ["repo_push", KIND], event_config={"days": 7}) as ways:
        await push_image(client, "b", labels=LABEL)
        await look(store)

        hooks = await ways.webhooks(2)
        subjects = await ways.subjects(2)
        bells = await ways.bells(2)

    assert {kind for kind, _ in hooks} == {"repo_push", KIND}
    for kind, body in [*hooks, *bells]:  # each expiry names the notification that it is for
        assert ("notification_uuid" in body) == (kind == KIND)
        body.pop("notification_uuid", None)
    assert dict(bells) == dict(hooks)
    assert dict(hooks)["repo_push"]["updated_tags"] == ["b"]
    assert dict(hooks)[KIND]["tags"] == ["b"]
    assert len(subjects) == 2
    assert all("acme/web" in subject for subject in subjects)


async def test_the_news_has_quays_body(client: Client, store: Store) -> None:
    notification = await watch(store, "acme/web", days=7)
    await push_image(client, "v1", labels=LABEL)

    await look(store)

    async with store.read() as tx:
        row = await tx.first(select(tables.events).where(tables.events.c.kind == KIND))
    assert row is not None
    assert json.loads(row.body) == {
        "repository": "acme/web",
        "namespace": "acme",
        "name": "web",
        "docker_url": "dockbell.test/acme/web",
        "homepage": "https://dockbell.test/repository/acme/web",
        "notification_uuid": uuid_of(notification),
        "tags": ["v1"],
        "expiring_in": "7 days",
    }
    assert row.performer_name is None


async def test_a_tag_that_moves_or_gets_another_end_is_told_of_again(
    client: Client, store: Store
) -> None:
    await watch(store, "acme/web", days=7)
    await push_image(client, "v1", labels=LABEL)
    await look(store)

    await push_image(client, "v1", labels=LABEL)
    await look(store)
    async with store.begin() as tx:
        (row,) = await tx.rows(select(tables.tags.c.repository_id))
        await tag_rows.set_expiry(tx, row.repository_id, "v1", tx.now.replace(hour=23))
    await look(store)

    assert [tags for _, tags, _ in await told(store)] == [["v1"]] * 3


async def test_wide_notifications_hear_of_all_their_repositories(
    hub: Hub, client: Client, store: Store
) -> None:
    api = await hub.client("writer", "acme/api")
    own = await hub.client("boss", "boss/open")
    await push_image(client, "w", labels=LABEL)
    await push_image(api, "a", "acme/api", labels=LABEL)
    await push_image(own, "o", "boss/open", labels=LABEL)
    namespace = await watch(store, "acme", days=7)
    everywhere = await watch(store, None, days=7)

    await look(store)

    found = await told(store)
    assert sorted(tags for one, tags, _ in found if one == namespace) == [["a"], ["w"]]
    assert sorted(tags for one, tags, _ in found if one == everywhere) == [["a"], ["o"], ["w"]]
    assert INSTANCE not in await rows_of(store, tables.expiry_marks, "repository_id")


async def test_many_processes_tell_of_each_tag_once(client: Client, store: Store) -> None:
    await watch(store, "acme/web", days=7)
    for number in range(5):
        await push_image(client, f"t{number}", labels=LABEL)

    await asyncio.gather(*(look(store) for _ in range(6)))

    tags = [tag for _, found, _ in await told(store) for tag in found]
    assert sorted(tags) == [f"t{number}" for number in range(5)]


async def test_what_could_not_be_recorded_is_not_marked(client: Client, store: Store) -> None:
    await watch(store, "acme/web", days=7)
    await push_image(client, "v1", labels=LABEL)
    async with store.read() as tx:
        (watcher,) = await expirations.list_watchers(tx, SYSTEM, after="")

    with pytest.raises(RuntimeError):
        async with store.begin() as tx:
            await expirations.tell(tx, SYSTEM, INTAKE, watcher)
            raise RuntimeError
    marked = await rows_of(store, tables.expiry_marks, "tag")
    await look(store)

    assert marked == []
    assert [tags for _, tags, _ in await told(store)] == [["v1"]]


async def test_a_tag_whose_time_is_over_is_taken_away_with_its_marks(
    client: Client, store: Store, clock: SetClock
) -> None:
    await watch(store, "acme/web", days=7)
    await push_image(client, "v1", labels={"quay.expires-after": "1h"})
    await push_image(client, "v2")
    await look(store)

    clock.move(hours=1)
    await look(store)

    assert await rows_of(store, tables.tags, "name") == [("v2",)]
    assert await rows_of(store, tables.expiry_marks, "tag") == []
    assert len(await rows_of(store, tables.tag_versions, "name")) == 2
    kinds = await rows_of(store, tables.audit_entries, "kind", "actor_kind")
    assert ("delete_tag", "system") in kinds
