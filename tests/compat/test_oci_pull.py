"""Pulling and finding, as the OCI distribution standard (1.1) has it."""

from pathlib import Path
from typing import Any

import pytest

from dockbell.registry import manifests as manifest_face
from dockbell.registry import tags as tag_face
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import (
    EMPTY,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    Hub,
    artifact,
    descriptor,
    digest_of,
    errors_of,
    image,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
)

CONTENT = bytes(range(256)) * 2048  # two pieces of a download
SIZE = len(CONTENT)


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


def next_page(answer: Answer) -> str:
    """The address in the Link header, or nothing."""
    link = answer.headers.get("link", "")
    assert link == "" or link.endswith('>; rel="next"')
    return link.removeprefix("<").partition(">")[0]


async def test_a_blob_comes_back_with_what_clients_check(client: Client) -> None:
    digest = await push_blob(client, CONTENT)

    got = await client.get(f"/v2/acme/web/blobs/{digest}")
    head = await client.send("HEAD", f"/v2/acme/web/blobs/{digest}")

    assert (got.status, got.body) == (200, CONTENT)
    assert (head.status, head.body) == (200, b"")
    assert (
        got.headers
        == head.headers
        == {
            "content-type": "application/octet-stream",
            "docker-content-digest": digest,
            "etag": f'"{digest}"',
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=31536000, immutable",
            "content-length": str(SIZE),
            "docker-distribution-api-version": "registry/2.0",
        }
    )


async def test_a_range_of_a_blob_comes_back(client: Client) -> None:
    digest = await push_blob(client, CONTENT)
    whole = (200, None, CONTENT)
    expected: dict[str, tuple[int, str | None, bytes]] = {
        "bytes=500-1499": (206, f"bytes 500-1499/{SIZE}", CONTENT[500:1500]),
        "bytes=500-": (206, f"bytes 500-{SIZE - 1}/{SIZE}", CONTENT[500:]),
        "bytes=-500": (206, f"bytes {SIZE - 500}-{SIZE - 1}/{SIZE}", CONTENT[-500:]),
        "bytes=0-0": (206, f"bytes 0-0/{SIZE}", CONTENT[:1]),
        f"bytes=10-{SIZE * 2}": (206, f"bytes 10-{SIZE - 1}/{SIZE}", CONTENT[10:]),
        f"bytes=-{SIZE * 2}": (206, f"bytes 0-{SIZE - 1}/{SIZE}", CONTENT),
        "bytes=0-1,5-6": whole,
        "lines=1-2": whole,
        "bytes=-": whole,
    }

    answers = {
        text: await client.get(f"/v2/acme/web/blobs/{digest}", headers={"range": text})
        for text in expected
    }

    assert {
        text: (answer.status, answer.headers.get("content-range"), answer.body)
        for text, answer in answers.items()
    } == expected
    assert [int(answer.headers["content-length"]) for answer in answers.values()] == [
        len(body) for _, _, body in expected.values()
    ]


async def test_a_range_outside_of_a_blob_is_a_416(client: Client) -> None:
    digest = await push_blob(client, b"abc")

    answers = [
        await client.get(f"/v2/acme/web/blobs/{digest}", headers={"range": text})
        for text in ("bytes=3-", "bytes=5-9", "bytes=2-1", "bytes=-0")
    ]

    assert [(each.status, each.headers["content-range"]) for each in answers] == [
        (416, "bytes */3")
    ] * 4


async def test_what_a_client_has_is_not_sent_again(client: Client) -> None:
    manifest = await push_image(client, "v1")
    digest = await push_blob(client, CONTENT)
    blob = f"/v2/acme/web/blobs/{digest}"
    tag = "/v2/acme/web/manifests/v1"

    same = [
        await client.get(blob, headers={"if-none-match": f'"{digest}"'}),
        await client.get(blob, headers={"if-none-match": f'"x", W/"{digest}"'}),
        await client.get(tag, headers={"if-none-match": f'"{digest_of(manifest)}"'}),
        await client.get(tag, headers={"if-none-match": "*"}),
    ]
    other = await client.get(blob, headers={"if-none-match": '"x"'})
    stale = await client.get(blob, headers={"range": "bytes=0-1", "if-range": '"x"'})
    fresh = await client.get(blob, headers={"range": "bytes=0-1", "if-range": f'"{digest}"'})

    assert [(each.status, each.body) for each in same] == [(304, b"")] * 4
    assert [each.status for each in (other, stale, fresh)] == [200, 200, 206]


async def test_a_manifest_can_be_looked_at_without_its_body(client: Client) -> None:
    manifest = await push_image(client, "v1")

    head = await client.send("HEAD", "/v2/acme/web/manifests/v1")

    assert (head.status, head.body) == (200, b"")
    assert head.headers == {
        "content-type": OCI_IMAGE,
        "content-length": str(len(manifest)),
        "docker-content-digest": digest_of(manifest),
        "etag": f'"{digest_of(manifest)}"',
        "docker-distribution-api-version": "registry/2.0",
    }


async def test_what_is_not_there_is_a_404_with_the_right_code(hub: Hub, client: Client) -> None:
    digest = digest_of(b"nothing")
    expected = {
        f"/v2/acme/web/blobs/{digest}": (404, "BLOB_UNKNOWN"),
        f"/v2/acme/web/manifests/{digest}": (404, "MANIFEST_UNKNOWN"),
        "/v2/acme/web/manifests/none": (404, "MANIFEST_UNKNOWN"),
        "/v2/acme/web/manifests/.INVALID": (404, "TAG_INVALID"),
        "/v2/acme/web/manifests/sha256:short": (400, "DIGEST_INVALID"),
        "/v2/acme/web/manifests/md5:0123456789abcdef0123456789abcdef": (400, "DIGEST_INVALID"),
        "/v2/acme/web/blobs/x": (400, "DIGEST_INVALID"),
        f"/v2/acme/web/blobs/{digest.upper()}": (400, "DIGEST_INVALID"),
        "/v2/acme/web/referrers/x": (400, "DIGEST_INVALID"),
    }

    answers = {path: await client.get(path) for path in expected}
    heads = {path: await client.send("HEAD", path) for path in list(expected)[:3]}
    boss = await hub.client("boss", "acme/none", "pull")

    assert {
        path: (answer.status, errors_of(answer)[0][0]) for path, answer in answers.items()
    } == expected
    assert [(head.status, head.body) for head in heads.values()] == [(404, b"")] * 3
    # Quay: who administers the namespace is told that there is no such repository.
    missing = await boss.get("/v2/acme/none/tags/list")
    assert (missing.status, errors_of(missing)[0][0]) == (404, "NAME_UNKNOWN")


async def test_anybody_pulls_from_a_public_repository_with_a_token_for_nobody(hub: Hub) -> None:
    boss = await hub.client("boss", "boss/open")
    manifest = await push_image(boss, "v1", "boss/open")
    nobody = await hub.client(None, "boss/open", "pull")
    stranger = await hub.client("fresh", "boss/open", "pull,push")

    answers = [await each.get("/v2/boss/open/manifests/v1") for each in (nobody, stranger)]
    private = await hub.client(None, "acme/web", "pull")

    assert [(answer.status, answer.body) for answer in answers] == [(200, manifest)] * 2
    assert (await stranger.post("/v2/boss/open/blobs/uploads/")).status == 401
    assert (await private.get("/v2/acme/web/tags/list")).status == 401
    assert (await hub.anonymous.get("/v2/boss/open/manifests/v1")).status == 401


async def test_a_repository_with_a_deep_and_misleading_name_works(hub: Hub) -> None:
    path = "boss/manifests/tags/list/blobs/uploads"
    boss = await hub.client("boss", path)

    manifest = await push_image(boss, "latest", path)

    assert (await boss.get(f"/v2/{path}/manifests/latest")).body == manifest
    assert (await boss.get(f"/v2/{path}/tags/list")).json() == {
        "name": path,
        "tags": ["latest"],
    }


async def test_tags_come_in_byte_order_and_in_pages(client: Client) -> None:
    content = b"the same"
    for tag in ("b", "a", "B", "a.1", "_x", "10", "9"):
        await push_image(client, tag, content=content)
    ordered = ["10", "9", "B", "_x", "a", "a.1", "b"]

    whole = await client.get("/v2/acme/web/tags/list")
    pages, address = [], "/v2/acme/web/tags/list?n=3"
    while address:
        page = await client.get(address)
        pages.append(page.json()["tags"])
        address = next_page(page)
    after = await client.get("/v2/acme/web/tags/list?last=a")
    between = await client.get("/v2/acme/web/tags/list?n=1&last=Z")
    none = await client.get("/v2/acme/web/tags/list?n=0")

    assert whole.json() == {"name": "acme/web", "tags": ordered}
    assert pages == [ordered[:3], ordered[3:6], ordered[6:]]
    assert (after.json()["tags"], next_page(after)) == (["a.1", "b"], "")
    assert between.json()["tags"] == ["_x"]
    assert (none.json()["tags"], next_page(none)) == ([], "")


async def test_an_empty_repository_has_no_tags_and_odd_pages_are_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_face, "_PAGE", 1)

    empty = await client.get("/v2/acme/web/tags/list")
    bad = [
        await client.get(f"/v2/acme/web/tags/list?{query}")
        for query in ("n=-1", "n=x", "n=%D9%A1", "last=-x", "n=1&last=%00")
    ]
    for tag in ("a", "b"):
        await push_image(client, tag, content=b"the same")
    capped = await client.get(f"/v2/acme/web/tags/list?n={'9' * 5000}")

    assert empty.json() == {"name": "acme/web", "tags": []}
    assert [(answer.status, errors_of(answer)[0][0]) for answer in bad] == [
        (400, "PAGINATION_NUMBER_INVALID"),
        (400, "PAGINATION_NUMBER_INVALID"),
        (400, "PAGINATION_NUMBER_INVALID"),
        (400, "TAG_INVALID"),
        (400, "INVALID_REQUEST"),
    ]
    assert (capped.json()["tags"], next_page(capped)) == (
        ["a"],
        "/v2/acme/web/tags/list?n=1&last=a",
    )


async def push_artifacts(client: Client, subject: bytes) -> dict[str, bytes]:
    await push_blob(client, b"{}")
    artifacts = {
        "sbom": artifact(subject, "application/vnd.example.sbom", annotations={"by": "é"}),
        "signature": artifact(subject, "application/vnd.example.signature"),
    }
    for body in artifacts.values():
        answer = await push_manifest(client, body, digest_of(body))
        assert (answer.status, answer.headers["oci-subject"]) == (201, digest_of(subject))
    return artifacts


async def test_referrers_of_an_image_are_listed(client: Client) -> None:
    subject = await push_image(client, "v1")
    artifacts = await push_artifacts(client, subject)
    plain = image(b"{}", subject=descriptor(OCI_IMAGE, subject))
    index = b'{"schemaVersion": 2, "manifests": [], "subject": %s}' % (
        b'{"mediaType": "%s", "digest": "%s", "size": %d}'
        % (OCI_IMAGE.encode(), digest_of(subject).encode(), len(subject))
    )
    await push_manifest(client, plain, "plain")
    await push_manifest(client, index, "index", media_type=OCI_INDEX)

    answer = await client.get(f"/v2/acme/web/referrers/{digest_of(subject)}")

    expected: list[dict[str, Any]] = [
        descriptor(
            OCI_IMAGE,
            artifacts["sbom"],
            artifactType="application/vnd.example.sbom",
            annotations={"by": "é"},
        ),
        descriptor(
            OCI_IMAGE, artifacts["signature"], artifactType="application/vnd.example.signature"
        ),
        descriptor(OCI_IMAGE, plain, artifactType=OCI_CONFIG),
        descriptor(OCI_INDEX, index),
    ]
    assert (answer.status, answer.headers["content-type"]) == (200, OCI_INDEX)
    assert "oci-filters-applied" not in answer.headers
    assert answer.json() == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": sorted(expected, key=lambda entry: str(entry["digest"])),
    }


async def test_referrers_are_filtered_by_type_and_empty_for_the_unknown(client: Client) -> None:
    subject = b"a subject that was never pushed"
    artifacts = await push_artifacts(client, subject)
    path = f"/v2/acme/web/referrers/{digest_of(subject)}"

    filtered = await client.get(f"{path}?artifactType=application/vnd.example.sbom")
    nothing = await client.get(f"{path}?artifactType={EMPTY}")
    unfiltered = await client.get(f"{path}?artifactType=")
    unknown = await client.get(f"/v2/acme/web/referrers/{digest_of(b'?')}")

    assert [entry["digest"] for entry in filtered.json()["manifests"]] == [
        digest_of(artifacts["sbom"])
    ]
    assert [each.headers.get("oci-filters-applied") for each in (filtered, nothing)] == [
        "artifactType"
    ] * 2
    assert nothing.json()["manifests"] == []
    assert len(unfiltered.json()["manifests"]) == 2
    assert (unknown.status, unknown.json()["manifests"]) == (200, [])


async def test_referrers_come_in_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_face, "_PAGE", 2)
    subject = b"subject"
    await push_blob(client, b"{}")
    bodies = [artifact(subject, "a/b+c", annotations={"n": str(n)}) for n in range(5)]
    for body in bodies:
        await push_manifest(client, body, digest_of(body))

    sizes, found = [], []
    address = f"/v2/acme/web/referrers/{digest_of(subject)}?artifactType=a/b%2Bc"
    while address:
        page = await client.get(address)
        found += [entry["digest"] for entry in page.json()["manifests"]]
        sizes.append(len(page.json()["manifests"]))
        address = next_page(page)

    assert sizes == [2, 2, 1]
    assert found == sorted(digest_of(body) for body in bodies)
