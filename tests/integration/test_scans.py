"""Reports of scanners on images: who may, what is news, who is told, and what is refused whole."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.api.v2 import scans as face
from dockbell.sources import scanners
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import (
    OCI_IMAGE,
    OCI_INDEX,
    Hub,
    descriptor,
    digest_of,
    open_hub,
    push_image,
    push_manifest,
)
from tests.three_ways import listening
from tests.world import Guard, World, world_on

JSON = {"content-type": "application/json"}


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def world(hub: Hub) -> World:
    return world_on(hub.store, Guard())


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write")


@pytest.fixture
async def pusher(hub: Hub) -> Client:
    return await hub.client()


def at(digest: str, path: str = "acme/web") -> str:
    return f"/api/v2/repositories/{path}/manifests/{digest}/scans"


def trivy(**severities: str) -> bytes:
    """A report with these vulnerabilities, such as CVE_1="HIGH"; one with a small end has a fix."""
    return json.dumps(
        {
            "SchemaVersion": 2,
            "Results": [
                {
                    "Vulnerabilities": [
                        {
                            "VulnerabilityID": name.replace("_", "-"),
                            "PkgName": "openssl",
                            "InstalledVersion": "1",
                            "Severity": severity.rstrip("+"),
                            "FixedVersion": "2" if severity.endswith("+") else "",
                            "Description": "A flaw.",
                            "PrimaryURL": "https://cve.test/1",
                        }
                        for name, severity in severities.items()
                    ]
                }
            ],
        }
    ).encode()


def grype(*ids: str) -> bytes:
    matches = [{"vulnerability": {"id": one, "severity": "High"}} for one in ids]
    return json.dumps({"matches": matches}).encode()


async def send(client: Client, digest: str, report: bytes, query: str = "") -> Answer:
    return await client.post(at(digest) + query, body=report, headers=JSON)


async def told(store: Store) -> list[tuple[list[str], list[str]]]:
    """Tags and ids of each event."""
    async with store.read() as tx:
        rows = await tx.rows(
            select(t.events.c.body)
            .where(t.events.c.kind == "vulnerability_found")
            .order_by(t.events.c.id)
        )
    found = [json.loads(row.body) for row in rows]
    return [
        (
            one["tags"],
            [each["id"] for each in one.get("vulnerabilities", [one["vulnerability"]])],
        )
        for one in found
    ]


async def test_a_scan_reaches_a_webhook_a_mailbox_and_a_bell(
    world: World, writer: Client, pusher: Client, clock: SetClock
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    async with listening(
        world.store, clock, ["vulnerability_found"], event_config={"level": "high"}
    ) as ways:
        low = await send(writer, digest, trivy(CVE_1="LOW"))
        high = await send(writer, digest, trivy(CVE_1="LOW", CVE_2="CRITICAL+", CVE_3="LOW"))

        ((kind, hook),) = await ways.webhooks(1)
        (subject,) = await ways.subjects(1)
        bells = await ways.bells(1)

    def shown(name: str, priority: str, *, has_fix: bool) -> dict[str, object]:
        return {
            "id": name,
            "description": "A flaw.",
            "link": "https://cve.test/1",
            "priority": priority,
            "has_fix": has_fix,
        }

    worst = shown("CVE-2", "Critical", has_fix=True)
    assert kind == "vulnerability_found"
    assert hook == {
        "repository": "acme/web",
        "namespace": "acme",
        "name": "web",
        "docker_url": "dockbell.test/acme/web",
        "homepage": "https://dockbell.test/repository/acme/web",
        "tags": ["v1"],
        "vulnerability": worst,
        "vulnerabilities": [worst, shown("CVE-3", "Low", has_fix=False)],
        "vulnerability_counts": {"Critical": 1, "Low": 1},
    }
    assert bells == [(kind, hook)]
    assert subject == (
        "Critical vulnerability and 1 other detected in repository acme/web in 1 tags"
    )
    assert low.json() | {"event_id": None} == {
        "digest": digest,
        "format": "trivy",
        "found": 1,
        "new": 1,
        "tags": ["v1"],
        "event_id": None,
    }
    assert (high.json()["found"], high.json()["new"]) == (3, 2)


async def test_in_quays_form_each_vulnerability_is_an_event_of_its_own(
    world: World, writer: Client, pusher: Client, clock: SetClock
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    config: dict[str, object] = {"per_vulnerability": True, "level": 1}
    async with listening(
        world.store, clock, ["vulnerability_found"], event_config=config
    ) as ways:
        await send(writer, digest, trivy(CVE_1="HIGH", CVE_2="CRITICAL", CVE_3="LOW"))

        hooks = [body for _, body in await ways.webhooks(2)]
        await ways.subjects(2)
        assert len(await ways.bells(2)) == 2

    assert [one["vulnerability"]["id"] for one in hooks] == ["CVE-2", "CVE-1"]
    assert [set(one) & {"vulnerabilities", "vulnerability_counts"} for one in hooks] == [
        set(),
        set(),
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 1),
        ({"level": 0}, 1),
        ({"has_fix": True}, 1),
        ({"has_fix": True, "level": 0}, 0),
        ({"has_fix": True, "level": 2}, 1),
        ({"has_fix": True, "per_vulnerability": True}, 1),
        ({"per_vulnerability": True}, 2),
    ],
)
async def test_a_notification_can_ask_for_what_has_a_fix(
    world: World,
    writer: Client,
    pusher: Client,
    config: dict[str, object],
    expected: int,
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    boss = await world.client("boss")
    world.guard.allows_loopback = True
    made = await boss.post(
        "/api/v2/notifications",
        {
            "repository": "acme/web",
            "event": "vulnerability_found",
            "method": "webhook",
            "config": {"url": "https://hooks.test/"},
            "event_config": config,
        },
    )

    await send(writer, digest, trivy(CVE_1="CRITICAL", CVE_2="MEDIUM+"))

    async with world.store.read() as tx:
        deliveries = await tx.rows(select(t.deliveries.c.id))
    assert (made.status, len(deliveries)) == (201, expected)


async def test_a_tag_filter_chooses_images(
    world: World, writer: Client, pusher: Client
) -> None:
    boss = await world.client("boss")
    await boss.post(
        "/api/v2/notifications",
        {
            "repository": "acme/web",
            "event": "vulnerability_found",
            "method": "webhook",
            "config": {"url": "https://hooks.test/"},
            "filter": {"tags": ["v*"]},
        },
    )
    for tag in ("nightly", "v1"):
        digest = digest_of(await push_image(pusher, tag))
        await send(writer, digest, trivy(CVE_1="HIGH"))

    async with world.store.read() as tx:
        deliveries = await tx.rows(select(t.deliveries.c.id))
    assert (len(await told(world.store)), len(deliveries)) == (2, 1)


async def test_only_what_the_last_scan_of_the_tag_had_not_is_news(
    world: World, writer: Client, pusher: Client
) -> None:
    first = digest_of(await push_image(pusher, "v1"))
    await send(writer, first, trivy(CVE_1="HIGH", CVE_2="HIGH"))
    again = await send(writer, first, trivy(CVE_1="HIGH", CVE_2="HIGH"))
    moved = digest_of(await push_image(pusher, "v1"))
    await send(writer, moved, trivy(CVE_2="HIGH", CVE_3="HIGH"))
    await send(writer, moved, trivy())
    await send(writer, moved, trivy(CVE_3="HIGH"))

    assert again.json() | {"digest": ""} == {
        "digest": "",
        "format": "trivy",
        "found": 2,
        "new": 0,
        "tags": [],
        "event_id": None,
    }
    assert await told(world.store) == [
        (["v1"], ["CVE-1", "CVE-2"]),
        (["v1"], ["CVE-3"]),
        (["v1"], ["CVE-3"]),
    ]


async def test_two_scanners_in_turn_tell_nothing_twice(
    world: World, writer: Client, pusher: Client
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))

    for _ in range(2):
        await send(writer, digest, trivy(CVE_1="HIGH", CVE_2="HIGH"))
        await send(writer, digest, grype("CVE-2", "CVE-3"))

    assert await told(world.store) == [
        (["v1"], ["CVE-1", "CVE-2"]),
        (["v1"], ["CVE-3"]),
    ]


async def test_each_tag_of_an_image_has_its_own_last_scan(
    world: World, writer: Client, pusher: Client
) -> None:
    manifest = await push_image(pusher, "v1")
    digest = digest_of(manifest)
    await send(writer, digest, trivy(CVE_1="HIGH"))
    await push_manifest(pusher, manifest, "v1.0")

    await send(writer, digest, trivy(CVE_1="HIGH", CVE_2="LOW"))

    assert (await told(world.store))[1:] == [(["v1", "v1.0"], ["CVE-1", "CVE-2"])]


async def test_an_image_without_a_tag_is_told_of_under_its_digest(
    world: World, writer: Client, pusher: Client
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    await push_image(pusher, "v1")

    await send(writer, digest, trivy(CVE_1="HIGH"))
    await send(writer, digest, trivy(CVE_1="HIGH"))

    assert await told(world.store) == [([digest], ["CVE-1"])]


async def test_the_images_of_one_index_are_scans_of_its_tag_and_do_not_repeat_each_other(
    world: World, writer: Client, pusher: Client
) -> None:
    images = [await push_image(pusher, tag) for tag in ("one", "two")]
    for tag in ("one", "two"):
        await pusher.with_token(pusher.token).delete(f"/v2/acme/web/manifests/{tag}")
    async with world.store.begin() as tx:
        await tx.run(t.tags.delete())
    children = [
        descriptor(OCI_IMAGE, body, platform={"os": "linux", "architecture": name})
        for body, name in zip(images, ("amd64", "arm64"), strict=True)
    ]
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
    ).encode()
    pushed = await push_manifest(pusher, index, "v1", media_type=OCI_INDEX)
    assert pushed.status == 201, pushed.body

    for _ in range(2):
        await send(writer, digest_of(images[0]), trivy(CVE_1="HIGH", CVE_2="HIGH"))
        await send(writer, digest_of(images[1]), trivy(CVE_2="HIGH"))

    assert await told(world.store) == [
        (["v1"], ["CVE-1", "CVE-2"]),
        (["v1"], ["CVE-2"]),
    ]


async def test_the_same_report_many_times_at_once_is_told_of_once(
    world: World, writer: Client, pusher: Client
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))

    answers = await asyncio.gather(
        *(send(writer, digest, trivy(CVE_1="HIGH")) for _ in range(4))
    )

    assert [one.status for one in answers] == [200] * 4
    assert await told(world.store) == [(["v1"], ["CVE-1"])]


@pytest.mark.parametrize("name", scanners())
async def test_the_report_of_every_scanner_is_taken_with_its_name_or_without(
    world: World, writer: Client, pusher: Client, name: str
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    example = scanners()[name].example

    seen = await send(writer, digest, example)
    named = await send(writer, digest, example, f"?format={name}")
    listed = await writer.with_token(writer.token).get(at(digest))

    assert (seen.status, seen.json()["format"], seen.json()["new"]) == (200, name, 1)
    assert (named.status, named.json()["new"]) == (200, 0)
    assert listed.json() == [
        {
            "format": name,
            "found": 1,
            "fixable": 1,
            "counts": {"Critical": 1},
            "reported_at": "2026-03-14T12:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    ("body", "query", "status"),
    [
        (b"", "", 400),
        (b"{}", "", 400),
        (b"[]", "", 400),
        (trivy(CVE_1="HIGH")[:-3], "", 400),
        (trivy(CVE_1="HIGH"), "?format=grype", 400),
        (trivy(CVE_1="HIGH"), "?format=nessus", 400),
        (b'{"SchemaVersion": 2, "Results": [5]}', "", 400),
    ],
)
async def test_a_report_that_is_none_is_refused_in_words_and_leaves_nothing(
    world: World, writer: Client, pusher: Client, body: bytes, query: str, status: int
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))

    answer = await send(writer, digest, body, query)

    assert answer.status == status
    assert [one["field"] for one in answer.json()["errors"]] in (["body"], ["format"])
    async with world.store.read() as tx:
        left = [await tx.rows(select(table)) for table in (t.scans, t.scanned_tags)]
    assert (left, await told(world.store)) == ([[], []], [])


async def test_a_report_that_is_too_large_is_refused_as_soon_as_that_is_known(
    world: World, writer: Client, pusher: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    monkeypatch.setattr(face, "MOST_BYTES", 1000)
    monkeypatch.setattr(face, "MOST_FINDINGS", 2)

    announced = await writer.post(
        at(digest), body=b"{}", headers={**JSON, "content-length": "1001"}
    )
    came = await send(writer, digest, b" " * 1001)
    many = await send(writer, digest, grype("CVE-1", "CVE-2", "CVE-3"))

    assert [one.status for one in (announced, came, many)] == [413, 413, 400]
    assert came.json()["detail"] == "The body is larger than 1000 bytes"
    assert many.json()["detail"] == "It tells of 3 findings; at most 2 are taken"


async def test_when_there_is_no_room_for_another_report_the_caller_is_sent_away(
    writer: Client, pusher: Client
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))

    with face._AT_ONCE.taken(4 * face.MOST_BYTES):
        busy = await send(writer, digest, trivy())
    after = await send(writer, digest, trivy())

    assert (busy.status, after.status) == (429, 200)


async def test_only_who_may_push_reports_scans(world: World, hub: Hub, pusher: Client) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    found = {
        name: (await send(await world.client(name, "repo:write"), digest, trivy())).status
        for name in ("boss", "writer", "reader", "fresh")
    }
    unknown = await send(
        await world.client("writer", "repo:write"), f"sha256:{'0' * 64}", trivy()
    )
    odd = await send(await world.client("writer", "repo:write"), "latest", trivy())
    form = await (await world.client("writer", "repo:write")).post(
        at(digest), body=trivy(), headers={"content-type": "text/plain"}
    )

    assert found == {"boss": 200, "writer": 200, "reader": 403, "fresh": 404}
    assert (await send(world.anonymous, digest, trivy())).status == 401
    assert [one.status for one in (unknown, odd, form)] == [404, 400, 415]


async def test_quays_call_shows_what_was_found(
    world: World, writer: Client, pusher: Client
) -> None:
    digest = digest_of(await push_image(pusher, "v1"))
    reader = await world.client("reader", "repo:read")
    path = f"/api/v1/repository/acme/web/manifest/{digest}/security"

    before = await reader.get(path)
    await send(writer, digest, trivy(CVE_2026_12345="HIGH+"))
    plain = await reader.get(path)
    full = await reader.get(f"{path}?vulnerabilities=true")
    unknown = await reader.get(path.replace(digest, f"sha256:{'0' * 64}"))

    feature: dict[str, Any] = {
        "Name": "openssl",
        "VersionFormat": "",
        "NamespaceName": "",
        "AddedBy": "",
        "Version": "1",
        "BaseScores": [],
        "CVEIds": [],
        "Vulnerabilities": [],
    }
    assert before.json() == {"status": "queued", "data": None}
    assert plain.json()["data"]["Layer"]["Features"] == [feature]
    assert full.json() == {
        "status": "scanned",
        "data": {
            "Layer": {
                "Name": digest,
                "ParentName": "",
                "NamespaceName": "",
                "IndexedByVersion": 4,
                "Features": [
                    {
                        **feature,
                        "CVEIds": ["CVE-2026-12345"],
                        "Vulnerabilities": [
                            {
                                "Severity": "High",
                                "NamespaceName": "",
                                "Link": "https://cve.test/1",
                                "FixedBy": "2",
                                "Description": "A flaw.",
                                "Name": "CVE-2026-12345",
                                "Metadata": {
                                    "UpdatedBy": None,
                                    "RepoName": None,
                                    "RepoLink": None,
                                    "DistroName": None,  # codespell:ignore distroname
                                    "DistroVersion": None,
                                    "NVD": {"CVSSv3": {"Vectors": None, "Score": None}},
                                },
                            }
                        ],
                    }
                ],
            }
        },
    }
    assert unknown.status == 404
    assert (await (await world.client("fresh")).get(path)).status == 403
