"""What the official conformance suite asks (pull, push, discovery, management), where no other file asks it already."""

import json
from pathlib import Path
from typing import Any

import pytest

from dockbell.registry import manifests as manifest_face
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import (
    EMPTY,
    OCI_IMAGE,
    OCI_INDEX,
    ROBOT,
    Hub,
    artifact,
    descriptor,
    digest_of,
    errors_of,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
)

UPLOADS = "/v2/acme/web/blobs/uploads/"
KEY = "org.opencontainers.conformance.test"


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def test_the_second_chunk_first_is_a_416_that_tells_where_to_go_on(
    client: Client,
) -> None:
    started = await client.post(UPLOADS, headers={"content-length": "0"})
    location = started.headers["location"]

    early = await client.send(
        "PATCH", location, body=b"second", headers={"content-range": "5-10"}
    )
    first = await client.send(
        "PATCH", location, body=b"first", headers={"content-range": "0-4"}
    )
    twice = await client.send(
        "PATCH", location, body=b"first", headers={"content-range": "0-4"}
    )
    done = await client.put(
        f"{location}?digest={digest_of(b'firstsecond')}",
        body=b"second",
        headers={"content-range": "5-10"},
    )

    assert [
        (each.status, each.headers["range"], each.headers["location"])
        for each in (early, first, twice)
    ] == [(416, "0-0", location), (202, "0-4", location), (416, "0-4", location)]
    assert errors_of(early) == [("BLOB_UPLOAD_INVALID", "The next chunk must begin at byte 0.")]
    assert done.status == 201
    assert (await client.get(done.headers["location"])).body == b"firstsecond"


async def test_an_upload_that_is_finished_is_unknown(client: Client) -> None:
    location = (await client.post(UPLOADS)).headers["location"]
    finish = f"{location}?digest={digest_of(b'blob')}"
    done = await client.put(finish, body=b"blob")

    later = [
        await client.get(location),
        await client.send("PATCH", location, body=b"more"),
        await client.put(finish, body=b"blob"),
        await client.delete(location),
    ]

    assert done.status == 201
    assert [(each.status, errors_of(each)[0][0]) for each in later] == [
        (404, "BLOB_UPLOAD_UNKNOWN")
    ] * 4


async def test_a_manifest_is_found_by_head_under_each_of_its_names(client: Client) -> None:
    manifest = await push_image(client, "v1")
    await push_manifest(client, manifest, "v2")

    heads = [
        await client.send("HEAD", f"/v2/acme/web/manifests/{reference}")
        for reference in ("v1", "v2", digest_of(manifest))
    ]

    assert [
        (head.status, head.headers["docker-content-digest"], head.headers["content-length"])
        for head in heads
    ] == [(200, digest_of(manifest), str(len(manifest)))] * 3


async def test_a_page_of_tags_that_is_the_last_links_no_further(client: Client) -> None:
    for number in range(4):
        await push_image(client, f"test{number}", content=b"the same")
    expected: dict[str, tuple[list[str], str | None]] = {
        "n=2": (["test0", "test1"], '</v2/acme/web/tags/list?n=2&last=test1>; rel="next"'),
        "n=2&last=test1": (["test2", "test3"], None),
        "n=4": (["test0", "test1", "test2", "test3"], None),
        "n=9": (["test0", "test1", "test2", "test3"], None),
        "n=9&last=test3": ([], None),
        "n=1&last=test00": (["test1"], '</v2/acme/web/tags/list?n=1&last=test1>; rel="next"'),
    }

    answers = {query: await client.get(f"/v2/acme/web/tags/list?{query}") for query in expected}

    assert {
        query: (answer.json()["tags"], answer.headers.get("link"))
        for query, answer in answers.items()
    } == expected


def referrer(subject: dict[str, object], name: str, **more: object) -> bytes:
    document = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "subject": subject}
    return json.dumps({**document, **more, "annotations": {KEY: name}}).encode()


async def test_referrers_of_every_form_are_listed_with_type_and_annotations(
    client: Client,
) -> None:
    subject = await push_image(client, "v1")
    about = descriptor(OCI_IMAGE, subject)
    empty = descriptor(EMPTY, b"{}")
    await push_blob(client, b"{}")
    several = {
        "a-config": (OCI_IMAGE, referrer(about, "a-config", config=descriptor("a/a", b"{}"), layers=[empty])),
        "a-type": (OCI_IMAGE, referrer(about, "a-type", artifactType="a/a", config=empty, layers=[empty])),
        "b-config": (OCI_IMAGE, referrer(about, "b-config", config=descriptor("b/b", b"{}"), layers=[])),
        "b-type": (OCI_IMAGE, referrer(about, "b-type", artifactType="b/b", config=empty, layers=[empty])),
        "index": (OCI_INDEX, referrer(about, "index", mediaType=OCI_INDEX, artifactType="i/i", manifests=[])),
    }  # fmt: skip
    types = {"a-config": "a/a", "a-type": "a/a", "b-config": "b/b", "b-type": "b/b", "index": "i/i"}  # fmt: skip

    pushed = [
        await push_manifest(client, body, name, media_type=media_type)
        for name, (media_type, body) in several.items()
    ]
    address = f"/v2/acme/web/referrers/{digest_of(subject)}"
    listed = await client.get(address)
    filtered = await client.get(f"{address}?artifactType=a/a")

    def shown(*names: str) -> list[dict[str, Any]]:
        entries = [
            descriptor(*several[name], artifactType=types[name], annotations={KEY: name})
            for name in names
        ]
        return sorted(entries, key=lambda entry: str(entry["digest"]))

    assert [answer.headers["oci-subject"] for answer in pushed] == [digest_of(subject)] * 5
    assert listed.json()["manifests"] == shown(*several)
    assert filtered.json()["manifests"] == shown("a-config", "a-type")
    assert filtered.headers["oci-filters-applied"] == "artifactType"


async def test_every_page_of_referrers_tells_of_the_filter(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_face, "_PAGE", 1)
    await push_blob(client, b"{}")
    for number in range(2):
        body = artifact(b"subject", "a/b", annotations={"n": str(number)})
        await push_manifest(client, body, digest_of(body))

    first = await client.get(f"/v2/acme/web/referrers/{digest_of(b'subject')}?artifactType=a/b")
    second = await client.get(first.headers["link"].removeprefix("<").partition(">")[0])

    assert [
        (len(page.json()["manifests"]), page.headers["oci-filters-applied"])
        for page in (first, second)
    ] == [(1, "artifactType")] * 2
    assert "link" not in second.headers


async def test_a_referrer_that_is_deleted_is_listed_no_more(client: Client) -> None:
    await push_blob(client, b"{}")
    subject = await push_image(client, "v1")
    bodies = [artifact(subject, each) for each in ("a/a", "b/b")]
    for body in bodies:
        await push_manifest(client, body, digest_of(body))

    deleted = await client.delete(f"/v2/acme/web/manifests/{digest_of(bodies[0])}")
    listed = await client.get(f"/v2/acme/web/referrers/{digest_of(subject)}")

    assert deleted.status == 202
    assert [entry["digest"] for entry in listed.json()["manifests"]] == [digest_of(bodies[1])]


async def test_what_was_deleted_can_be_pushed_again(client: Client) -> None:
    manifest = await push_image(client, "v1", content=b"layer")
    by_digest = f"/v2/acme/web/manifests/{digest_of(manifest)}"
    layer = f"/v2/acme/web/blobs/{digest_of(b'layer')}"

    deleted = [await client.delete(address) for address in (by_digest, layer)]
    gone = [
        (await client.send("HEAD", address)).status
        for address in (by_digest, "/v2/acme/web/manifests/v1", layer)
    ]
    tags = await client.get("/v2/acme/web/tags/list")
    without = await push_manifest(client, manifest, "v1")
    await push_blob(client, b"layer")
    again = await push_manifest(client, manifest, "v1")

    assert [each.status for each in deleted] == [202, 202]
    assert gone == [404] * 3
    assert (tags.status, tags.json()["tags"]) == (200, [])
    assert (without.status, without.json()["errors"][0]["detail"]) == (
        400,
        {"digest": digest_of(b"layer")},
    )
    assert again.status == 201
    assert (await client.get(by_digest)).body == manifest


async def test_deleting_in_a_repository_that_is_not_there_tells_nothing(hub: Hub) -> None:
    digest = digest_of(b"x")
    paths = [f"/v2/acme/none/{kind}/{digest}" for kind in ("manifests", "blobs")]
    robot = await hub.client(ROBOT, "acme/none", "delete")
    boss = await hub.client("boss", "acme/none", "delete")

    answers = [await each.delete(path) for each in (robot, boss) for path in paths]

    assert [(each.status, errors_of(each)[0][0]) for each in answers] == [
        (401, "UNAUTHORIZED")
    ] * 4


async def test_a_manifest_that_names_a_key_twice_is_refused(client: Client) -> None:
    await push_blob(client, b"{}")
    config = json.dumps(descriptor(OCI_IMAGE, b"{}")).encode()
    bodies = [
        b'{"schemaVersion": 2, "layers": [], "layers": [], "config": %s}' % config,
        b'{"schemaVersion": 2, "layers": [], "config": {"size": 9, %s}' % config[1:] + b"}",
    ]

    answers = [await push_manifest(client, body, "v1") for body in bodies]

    assert [(each.status, errors_of(each)) for each in answers] == [
        (400, [("MANIFEST_INVALID", "The manifest names a key twice in one object.")])
    ] * 2
