"""Quotas: what a namespace stores, who is told at which limit, and what is refused."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from dockbell import events
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.links import Links
from dockbell.domain.permissions import SuperUser
from dockbell.services import garbage, repositories
from dockbell.services import quotas as service
from dockbell.services.intake import Intake
from dockbell.services.quotas import Quotas
from dockbell.store import quotas, storage
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import Hub, digest_of, errors_of, open_hub, push_blob, push_image, push_manifest
from tests.three_ways import listening

ACME = "ns_acme"
QUOTAS = Quotas(Intake(events.catalog(), Links("https://dockbell.test")))
RIGHT = SuperUser(SYSTEM)
REFUSED = [("DENIED", "Quota has been exceeded on namespace")]


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def used(store: Store) -> int:
    async with store.read() as tx:
        return await storage.find(tx, ACME)


async def limit(store: Store, size: int, **limits: int) -> None:
    """A quota of so many bytes, with limits such as Warning=80."""
    async with store.begin() as tx:
        made = await QUOTAS.create(tx, RIGHT, "acme", size)
    for kind, percent in limits.items():
        async with store.begin() as tx:
            await QUOTAS.add_limit(tx, RIGHT, "acme", made.id, kind=kind, percent=percent)


async def told(store: Store) -> list[tuple[str, int, int]]:
    """Kind, limit and usage of each event about quotas."""
    async with store.read() as tx:
        rows = await tx.rows(
            select(t.events).where(t.events.c.kind.like("quota%")).order_by(t.events.c.id)
        )
    return [
        (row.kind, data["threshold_percent"], data["usage_bytes"])
        for row in rows
        for data in [json.loads(row.body)]
    ]


async def upload(client: Client, body: bytes, path: str = "acme/web") -> Answer:
    return await client.post(f"/v2/{path}/blobs/uploads/?digest={digest_of(body)}", body=body)


async def remove(client: Client, body: bytes, path: str = "acme/web") -> None:
    answer = await client.delete(f"/v2/{path}/blobs/{digest_of(body)}")
    assert answer.status == 202, answer.body


async def test_each_blob_counts_once_for_its_namespace_and_deletion_gives_it_back(
    hub: Hub, store: Store
) -> None:
    web = await hub.client(actions="pull,push,delete")
    api = await hub.client("writer", "acme/api", "pull,push,delete")
    first, second = b"a" * 100, b"b" * 50

    await push_blob(web, first)
    await push_blob(web, first)
    await push_blob(api, first, "acme/api")
    await push_blob(web, second)
    both = await used(store)
    await remove(web, first)
    still = await used(store)
    await remove(api, first, "acme/api")

    assert (both, still, await used(store)) == (150, 150, 50)


async def test_a_mounted_blob_counts_in_its_new_namespace_and_not_twice_in_its_own(
    hub: Hub, store: Store
) -> None:
    body = b"a" * 100
    await push_blob(await hub.client(), body)
    both = "repository:acme/api:pull,push repository:acme/web:pull"
    writer = Client(hub.registry, await hub.ask_token("writer", *both.split()))

    mounted = await writer.post(
        f"/v2/acme/api/blobs/uploads/?mount={digest_of(body)}&from=acme/web"
    )

    assert mounted.status == 201
    assert await used(store) == 100


async def test_a_repository_that_is_deleted_gives_back_what_no_other_holds(
    hub: Hub, store: Store
) -> None:
    web, api = await hub.client(), await hub.client("writer", "acme/api")
    await push_blob(web, b"a" * 100)
    await push_blob(web, b"b" * 50)
    await push_blob(api, b"b" * 50, "acme/api")

    async with store.begin() as tx:
        await repositories.delete(tx, await repositories.admin_of(tx, SYSTEM, "acme/web"))

    assert await used(store) == 50


async def test_a_push_over_the_limit_is_refused_by_every_way_in(
    client: Client, store: Store, hub: Hub
) -> None:
    await push_image(client, "v1", content=b"a" * 60)
    held = await used(store)
    await limit(store, held + 10, Reject=100)
    body = b"z" * 11

    at_once = await upload(client, body)
    begun = await client.post("/v2/acme/web/blobs/uploads/")
    streamed = await client.send("PATCH", begun.headers["location"], body=body)
    gone = await client.get(begun.headers["location"])
    begun = await client.post("/v2/acme/web/blobs/uploads/")
    first = await client.send("PATCH", begun.headers["location"], body=body[:6])
    last = await client.put(
        f"{begun.headers['location']}?digest={digest_of(body)}", body=body[6:]
    )
    fitting = await upload(client, b"z" * 10)

    assert [one.status for one in (at_once, streamed, gone, first, last, fitting)] == [
        403, 403, 404, 202, 403, 201,
    ]  # fmt: skip
    assert [errors_of(one) for one in (at_once, streamed, last)] == [REFUSED] * 3
    assert await used(store) == held + 10
    assert not [path for path in (hub.folder / "uploads").rglob("*") if path.is_file()]


async def test_what_the_namespace_holds_already_may_be_pushed_at_the_limit(
    hub: Hub, client: Client, store: Store
) -> None:
    body = b"a" * 100
    await push_blob(client, body)
    await limit(store, 100, Reject=100)
    api = await hub.client("writer", "acme/api")

    assert (await upload(client, body)).status == 201
    assert (await upload(api, body, "acme/api")).status == 201


async def test_a_namespace_that_stores_too_much_takes_no_manifest(
    client: Client, store: Store
) -> None:
    manifest = await push_image(client, "v1", content=b"a" * 100)
    await limit(store, 50, Reject=100)

    refused = await push_manifest(client, manifest, "v2")

    assert (refused.status, errors_of(refused)) == (403, REFUSED)


async def test_limits_that_are_reached_are_told_of_once_and_again_after_the_usage_fell(
    hub: Hub, store: Store
) -> None:
    client = await hub.client(actions="pull,push,delete")
    await limit(store, 100, Warning=50, Reject=100)

    await push_blob(client, b"a" * 49)
    before = await told(store)
    await push_blob(client, b"b" * 2)
    await push_blob(client, b"c" * 2)
    once = await told(store)
    await remove(client, b"a" * 49)
    await push_blob(client, b"d" * 50)
    again = await told(store)
    refused = [(await upload(client, b"e" * 50)).status for _ in range(3)]
    error = await told(store)
    await remove(client, b"d" * 50)
    await push_blob(client, b"f" * 96)

    assert before == []
    assert once == [("quota_warning", 50, 51)]
    assert again == [*once, ("quota_warning", 50, 54)]
    assert refused == [403, 403, 403]
    assert error == [*again, ("quota_error", 100, 104)]
    assert await told(store) == [
        *error,
        ("quota_error", 100, 100),
        ("quota_warning", 50, 100),
    ] or await told(store) == [
        *error,
        ("quota_warning", 50, 100),
        ("quota_error", 100, 100),
    ]


async def test_of_several_warnings_that_one_push_reaches_the_highest_is_told_of(
    client: Client, store: Store
) -> None:
    await limit(store, 100, Warning=50)
    async with store.begin() as tx:
        quota = await quotas.find(tx, ACME)
        assert quota is not None
        for percent in (70, 90):
            await QUOTAS.add_limit(tx, RIGHT, "acme", quota.id, kind="Warning", percent=percent)

    await push_blob(client, b"a" * 75)
    await push_blob(client, b"b" * 20)

    assert await told(store) == [("quota_warning", 70, 75), ("quota_warning", 90, 95)]


async def test_a_limit_below_the_usage_is_told_of_when_it_is_made_or_the_quota_made_smaller(
    client: Client, store: Store
) -> None:
    await push_blob(client, b"a" * 80)
    await limit(store, 100, Warning=80)
    made = await told(store)
    async with store.begin() as tx:
        quota = await quotas.find(tx, ACME)
        assert quota is not None
        await QUOTAS.change(tx, RIGHT, "acme", quota.id, 1000)
        await QUOTAS.change(tx, RIGHT, "acme", quota.id, 90)

    assert made == [("quota_warning", 80, 80)]
    assert await told(store) == [*made, ("quota_warning", 80, 80)]


async def test_pushes_at_once_are_all_counted_and_a_limit_is_told_of_once(
    client: Client, store: Store
) -> None:
    await limit(store, 1000, Warning=50, Reject=100)
    bodies = [bytes([65 + number]) * 100 for number in range(12)]

    answers = await asyncio.gather(*(upload(client, body) for body in bodies))

    statuses = sorted(one.status for one in answers)
    assert statuses == [201] * 10 + [403] * 2
    assert await used(store) == 1000
    kinds = sorted(kind for kind, _, _ in await told(store))
    assert kinds == ["quota_error", "quota_warning"]


async def test_one_blob_pushed_to_two_repositories_at_once_counts_once(
    hub: Hub, store: Store
) -> None:
    web, api = await hub.client(), await hub.client("writer", "acme/api")
    bodies = [bytes([65 + number]) * 100 for number in range(6)]

    answers = await asyncio.gather(
        *(upload(web, body) for body in bodies),
        *(upload(api, body, "acme/api") for body in bodies),
    )

    assert {one.status for one in answers} == {201}
    assert await used(store) == 600


async def test_pushes_and_deletions_at_once_leave_the_right_sum(hub: Hub, store: Store) -> None:
    web = await hub.client(actions="pull,push,delete")
    api = await hub.client("writer", "acme/api")
    bodies = [bytes([65 + number]) * 100 for number in range(6)]
    for body in bodies:
        await push_blob(web, body)

    await asyncio.gather(
        *(remove(web, body) for body in bodies),
        *(upload(api, body, "acme/api") for body in bodies),
    )

    kept = await used(store)
    async with store.begin() as tx:
        counted = await service.recount(tx, SYSTEM, ACME)
    assert counted == (kept, 600)
    assert kept == 600


async def test_nobody_is_refused_or_told_for_a_sum_that_is_not_right_any_more(
    client: Client, store: Store
) -> None:
    await push_blob(client, b"a" * 10)
    await limit(store, 100, Warning=50, Reject=100)
    async with store.begin() as tx:
        await storage.change(tx, ACME, 85)

    answer = await upload(client, b"b" * 5)

    assert answer.status == 201
    assert (await told(store), await used(store)) == ([], 15)


async def test_the_servers_own_look_gives_back_what_went_unnoticed_and_tells_of_what_is_reached(
    client: Client, store: Store
) -> None:
    await push_blob(client, b"a" * 60)
    await limit(store, 100, Warning=50)
    async with store.begin() as tx:
        await tx.run(t.repository_blobs.delete())
        await QUOTAS.look(tx, SYSTEM, ACME)
    low = await used(store)
    await push_blob(client, b"a" * 60)

    assert low == 0
    assert await told(store) == [("quota_warning", 50, 60)] * 2


async def test_what_is_collected_as_garbage_is_given_back(
    hub: Hub, store: Store, clock: SetClock
) -> None:
    await limit(store, 100, Warning=50)
    await push_blob(await hub.client(), b"a" * 60)
    clock.move(days=3)
    async with store.read() as tx:
        (row,) = await tx.rows(select(t.repository_blobs.c.repository_id))

    async with store.begin() as tx:
        tidied = await garbage.tidy(tx, SYSTEM, row.repository_id, None)
    low = await used(store)
    await push_blob(await hub.client(), b"b" * 60)

    assert (tidied.blobs, low) == ((digest_of(b"a" * 60),), 0)
    assert await told(store) == [("quota_warning", 50, 60)] * 2


async def test_quota_events_reach_a_webhook_a_mailbox_and_a_bell(
    client: Client, store: Store, clock: SetClock
) -> None:
    await limit(store, 500, Warning=20, Reject=100)
    async with store.begin() as tx:
        await tx.run(
            t.namespaces.update()
            .where(t.namespaces.c.id == "ns_boss")
            .values(email="boss@example.com")
        )
    kinds = ["quota_warning", "quota_error"]
    async with listening(store, clock, kinds, repository=None) as ways:
        await push_blob(client, b"a" * 230)
        await upload(client, b"b" * 300)
        hooks = dict(await ways.webhooks(2))
        subjects = await ways.subjects(2)
        bells = dict(await ways.bells(2))

    base = {"namespace": "acme", "homepage": "https://dockbell.test/organization/acme"}
    warning: dict[str, Any] = {
        **base,
        "threshold_percent": 20,
        "usage_bytes": 230,
        "limit_bytes": 500,
        "usage_percent": 46,
        "usage_bytes_formatted": "230 bytes",
        "limit_bytes_formatted": "500 bytes",
    }
    error = {
        **warning,
        "threshold_percent": 100,
        "usage_bytes": 530,
        "usage_percent": 106,
        "usage_bytes_formatted": "530 bytes",
    }
    assert hooks == bells == {"quota_warning": warning, "quota_error": error}
    assert subjects == [
        "Namespace acme storage usage has exceeded its quota limit (106%)",
        "Namespace acme storage usage has reached 20% of its quota limit",
    ]


async def rung(store: Store) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Inbox, kind and metadata of each line, the first one first."""
    async with store.read() as tx:
        rows = await tx.rows(select(t.notices).order_by(t.notices.c.id))
    return [(row.namespace_id, row.kind, row.metadata) for row in rows]


async def dismiss(store: Store) -> None:
    async with store.begin() as tx:
        await tx.run(update(t.notices).values(is_dismissed=True))


async def test_a_limit_rings_the_bell_of_the_namespace_once_until_it_is_dismissed(
    hub: Hub, store: Store
) -> None:
    client = await hub.client(actions="pull,push,delete")
    await limit(store, 100, Warning=50, Reject=100)
    warning = (ACME, "quota_warning", {"namespace": "acme"})
    error = (ACME, "quota_error", {"severity": "Reject", "namespace": "acme"})

    await push_blob(client, b"a" * 60)
    await remove(client, b"a" * 60)
    await push_blob(client, b"b" * 60)
    twice = await rung(store)
    await upload(client, b"c" * 60)
    refused = await rung(store)
    await dismiss(store)
    await remove(client, b"b" * 60)
    await push_blob(client, b"d" * 60)

    assert twice == [warning]
    assert refused == [warning, error]
    assert await rung(store) == [warning, error, warning]


async def test_the_servers_default_holds_for_who_has_no_quota_of_their_own(
    hub: Hub, store: Store
) -> None:
    limited = hub.with_switches(default_quota=100)
    acme, boss = await limited.client(), await limited.client("boss", "boss/open")
    error = (ACME, "quota_error", {"severity": "Reject", "namespace": "acme"})

    await push_blob(acme, b"a" * 60)
    refused = [await upload(acme, b"b" * 41) for _ in range(2)]
    mine = await push_blob(boss, b"c" * 100, "boss/open")
    once, line = await told(store), await rung(store)
    await dismiss(store)
    await upload(acme, b"b" * 41)
    await limit(store, 1000, Reject=100)
    own = await upload(acme, b"d" * 500)
    manifest = await push_manifest(boss, b"{}", "v1", path="boss/open")

    assert [(one.status, errors_of(one)) for one in refused] == [(403, REFUSED)] * 2
    assert mine
    assert (once, line) == ([("quota_error", 100, 101)], [error])
    assert await told(store) == once * 2
    assert await rung(store) == [error] * 2
    assert own.status == 201
    assert manifest.status == 400  # there is room for it, and it is none
