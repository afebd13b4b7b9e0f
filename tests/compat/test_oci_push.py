"""Pushing, as the OCI distribution standard (1.1) and Quay have it."""

import json
from pathlib import Path

import pytest

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.hub import (
    DOCKER_IMAGE,
    DOCKER_LIST,
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    ROBOT,
    ROBOT_TOKEN,
    Hub,
    artifact,
    basic,
    descriptor,
    digest_of,
    errors_of,
    image,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)

CONTENT = bytes(range(256)) * 20


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def start(client: Client, query: str = "") -> str:
    answer = await client.post(f"/v2/acme/web/blobs/uploads/{query}")
    assert answer.status == 202, answer.body
    return answer.headers["location"]


async def patch(client: Client, location: str, body: bytes, content_range: str = "") -> Answer:
    headers = {"content-range": content_range} if content_range else {}
    return await client.send("PATCH", location, body=body, headers=headers)


async def content_of(client: Client, digest: str, path: str = "acme/web") -> bytes | int:
    answer = await client.get(f"/v2/{path}/blobs/{digest}")
    return answer.body if answer.status == 200 else answer.status


async def test_a_blob_goes_in_by_one_post(hub: Hub, client: Client, store: Store) -> None:
    digest = digest_of(CONTENT)

    answer = await client.post(f"/v2/acme/web/blobs/uploads/?digest={digest}", body=CONTENT)

    assert (answer.status, answer.body) == (201, b"")
    assert answer.headers["location"] == f"/v2/acme/web/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert await content_of(client, digest) == CONTENT
    assert await rows_of(store, tables.blobs, "digest", "size") == [(digest, len(CONTENT))]
    assert await rows_of(store, tables.uploads, "id") == []
    place = hub.folder / "blobs" / "sha256" / digest[7:9] / digest[7:]
    assert place.read_bytes() == CONTENT
    assert list((hub.folder / "uploads").iterdir()) == []


async def test_a_blob_goes_in_by_post_and_put(client: Client) -> None:
    started = await client.post("/v2/acme/web/blobs/uploads/")
    location = started.headers["location"]

    answer = await client.put(f"{location}?digest={digest_of(CONTENT)}", body=CONTENT)

    assert (started.status, started.headers["range"]) == (202, "0-0")
    assert location == f"/v2/acme/web/blobs/uploads/{started.headers['docker-upload-uuid']}"
    assert answer.status == 201
    assert await content_of(client, digest_of(CONTENT)) == CONTENT


async def test_a_blob_goes_in_as_one_stream(client: Client) -> None:
    location = await start(client)

    patched = await patch(client, location, CONTENT)
    answer = await client.put(f"{location}?digest={digest_of(CONTENT)}")

    assert (patched.status, patched.headers["range"]) == (202, f"0-{len(CONTENT) - 1}")
    assert patched.headers["location"] == location
    assert answer.status == 201
    assert await content_of(client, digest_of(CONTENT)) == CONTENT


@pytest.mark.parametrize("last", ["put", "patch"])
async def test_a_blob_goes_in_by_chunks_in_order(client: Client, last: str) -> None:
    location = await start(client)
    digest = digest_of(CONTENT)

    one = await patch(client, location, CONTENT[:1000], "0-999")
    early = await patch(client, location, CONTENT[2000:3000], "2000-2999")
    again = await patch(client, location, CONTENT[:1000], "0-999")
    status = await client.get(location)
    two = await patch(client, location, CONTENT[1000:2000], "1000-1999")
    if last == "put":
        done = await client.put(
            f"{location}?digest={digest}",
            body=CONTENT[2000:],
            headers={"content-range": "2000-5119"},
        )
    else:
        await patch(client, location, CONTENT[2000:], "bytes 2000-5119/5120")
        done = await client.put(f"{location}?digest={digest}", headers={"content-length": "0"})

    assert [
        (each.status, each.headers["range"]) for each in (one, early, again, status, two)
    ] == [
        (202, "0-999"),
        (416, "0-999"),
        (416, "0-999"),
        (204, "0-999"),
        (202, "0-1999"),
    ]
    assert {early.headers["location"], status.headers["location"]} == {location}
    assert done.status == 201
    assert await content_of(client, digest) == CONTENT


async def test_a_chunk_with_a_wrong_range_leaves_no_trace(client: Client) -> None:
    location = await start(client)
    await patch(client, location, CONTENT[:10], "0-9")
    wrong = {"10-": 416, "x": 416, "19-10": 416, "-5": 416, "10-14": 400, "11-20": 416}

    answers = {text: await patch(client, location, CONTENT[10:20], text) for text in wrong}
    last = await client.put(
        f"{location}?digest={digest_of(CONTENT)}", body=b"x", headers={"content-range": "0-0"}
    )

    assert {text: answer.status for text, answer in answers.items()} == wrong
    assert last.status == 416
    assert (await client.get(location)).headers["range"] == "0-9"
    assert errors_of(answers["10-14"])[0][0] == "SIZE_INVALID"
    assert errors_of(last)[0][0] == "BLOB_UPLOAD_INVALID"


async def test_content_with_another_digest_is_refused_and_thrown_away(
    hub: Hub, client: Client, store: Store
) -> None:
    wrong = digest_of(b"other")
    location = await start(client)
    await patch(client, location, CONTENT)

    one = await client.put(f"{location}?digest={wrong}")
    two = await client.post(f"/v2/acme/web/blobs/uploads/?digest={wrong}", body=CONTENT)

    assert [(each.status, errors_of(each)[0][0]) for each in (one, two)] == [
        (400, "DIGEST_INVALID")
    ] * 2
    assert (await client.get(location)).status == 404
    assert await content_of(client, wrong) == 404
    assert await rows_of(store, tables.uploads, "id") == []
    assert [path for path in hub.folder.rglob("*") if path.is_file()] == []


async def test_a_blob_with_sha512_goes_in_and_out(client: Client) -> None:
    digest = digest_of(CONTENT, "sha512")
    announced = await start(client, "?digest-algorithm=sha512")
    plain = await start(client)

    await patch(client, announced, CONTENT)
    one = await client.put(f"{announced}&digest={digest}")
    await patch(client, plain, CONTENT)
    two = await client.put(f"{plain}?digest={digest}")
    three = await client.post(f"/v2/acme/web/blobs/uploads/?digest={digest}", body=CONTENT)

    assert announced.endswith("?digest-algorithm=sha512")
    assert [
        (each.status, each.headers["docker-content-digest"]) for each in (one, two, three)
    ] == [(201, digest)] * 3
    assert await content_of(client, digest) == CONTENT
    assert (await client.post("/v2/acme/web/blobs/uploads/?digest-algorithm=md5")).status == 400


async def test_an_empty_blob_is_a_blob(client: Client) -> None:
    location = await start(client)

    answer = await client.put(f"{location}?digest={digest_of(b'')}")

    assert answer.status == 201
    assert await content_of(client, digest_of(b"")) == b""


async def test_an_upload_can_be_cancelled(hub: Hub, client: Client) -> None:
    location = await start(client)
    await patch(client, location, CONTENT)

    cancelled = await client.delete(location)

    later = [
        await client.get(location),
        await client.delete(location),
        await patch(client, location, b"x"),
        await client.put(f"{location}?digest={digest_of(CONTENT)}"),
        await client.get("/v2/acme/web/blobs/uploads/..%2f..%2fetc"),
        await client.get("/v2/acme/web/blobs/uploads/x%00y"),
    ]
    assert cancelled.status == 204
    assert [(each.status, errors_of(each)[0][0]) for each in later[:4] + later[5:]] == [
        (404, "BLOB_UPLOAD_UNKNOWN")
    ] * 5
    assert later[4].status in {400, 404}
    assert list((hub.folder / "uploads").iterdir()) == []


async def test_an_upload_belongs_to_its_repository(hub: Hub, client: Client) -> None:
    location = await start(client)
    other = await hub.client("writer", "acme/api")

    answer = await other.get(location.replace("acme/web", "acme/api"))

    assert (answer.status, errors_of(answer)[0][0]) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_blob_is_mounted_from_where_the_caller_may_read(
    hub: Hub, client: Client
) -> None:
    digest = await push_blob(client, CONTENT)
    scopes = ("repository:acme/api:pull,push", "repository:acme/web:pull")
    both = Client(hub.registry, await hub.ask_token("writer", *scopes))
    only_target = await hub.client("writer", "acme/api")
    mount = f"/v2/acme/api/blobs/uploads/?mount={digest}"

    refused = [
        await both.post(f"{mount}&from=acme/none"),
        await both.post(f"{mount}&from="),
        await both.post("/v2/acme/api/blobs/uploads/?mount=x&from=acme/web"),
        await both.post(f"/v2/acme/api/blobs/uploads/?mount={digest_of(b'-')}&from=acme/web"),
    ]
    mounted = await both.post(f"{mount}&from=acme/web")
    again = await only_target.post(mount)

    assert [answer.status for answer in refused] == [202] * 4
    assert "/blobs/uploads/upl_" in refused[0].headers["location"]
    for answer in (mounted, again):
        assert answer.status == 201
        assert answer.headers["location"] == f"/v2/acme/api/blobs/{digest}"
        assert answer.headers["docker-content-digest"] == digest
    assert await content_of(only_target, digest, "acme/api") == CONTENT


async def test_a_manifest_by_tag_is_pushed_as_in_quay(client: Client) -> None:
    config, layer = b'{"os": "linux", "architecture": "arm64", "variant": "v8"}', b"layer"
    for blob in (config, layer):
        await push_blob(client, blob)
    manifest = image(config, layer)

    answer = await push_manifest(client, manifest, "v1.0")

    assert (answer.status, answer.body) == (201, b"OK")
    assert answer.headers["docker-content-digest"] == digest_of(manifest)
    assert answer.headers["location"] == f"/v2/acme/web/manifests/{digest_of(manifest)}"
    for reference in ("v1.0", digest_of(manifest)):
        found = await client.get(f"/v2/acme/web/manifests/{reference}")
        assert (found.status, found.body) == (200, manifest)
        assert found.headers["content-type"] == OCI_IMAGE
        assert found.headers["docker-content-digest"] == digest_of(manifest)


async def test_every_kind_of_manifest_is_taken(client: Client) -> None:
    config, layer = b"{}", b"layer"
    for blob in (config, layer):
        await push_blob(client, blob)
    docker = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": descriptor("application/vnd.docker.container.image.v1+json", config),
            "layers": [descriptor("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
        }
    ).encode()
    entry = descriptor(DOCKER_IMAGE, docker, platform={"os": "linux", "architecture": "amd64"})
    several = {
        "docker": (DOCKER_IMAGE, docker),
        "list": (
            DOCKER_LIST,
            json.dumps(
                {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry]}
            ).encode(),
        ),
        "index": (
            f"{OCI_INDEX}; charset=utf-8",
            json.dumps({"schemaVersion": 2, "manifests": [entry], "new": [1.5]}).encode(),
        ),
        "empty-index": (OCI_INDEX, b'{"schemaVersion": 2, "manifests": []}'),
        "no-layers": (
            OCI_IMAGE,
            json.dumps(
                {"schemaVersion": 2, "config": descriptor(OCI_CONFIG, config), "layers": []}
            ).encode(),
        ),
        "artifact": (OCI_IMAGE, artifact(b"missing subject", "application/vnd.example.sbom")),
        "foreign": (
            OCI_IMAGE,
            json.dumps(
                {
                    "schemaVersion": 2,
                    "config": descriptor(OCI_CONFIG, config),
                    "layers": [
                        {
                            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                            "digest": digest_of(b"elsewhere"),
                            "size": 9,
                            "urls": ["https://example.com/x"],
                        }
                    ],
                }
            ).encode(),
        ),
    }

    answers = {
        tag: await push_manifest(client, body, tag, media_type=media_type)
        for tag, (media_type, body) in several.items()
    }

    assert {tag: answer.status for tag, answer in answers.items()} == dict.fromkeys(
        several, 201
    )
    index = await client.get("/v2/acme/web/manifests/index")
    assert (index.headers["content-type"], index.body) == (OCI_INDEX, several["index"][1])
    assert answers["artifact"].headers["oci-subject"] == digest_of(b"missing subject")
    assert [tag for tag in answers if "oci-subject" in answers[tag].headers] == ["artifact"]


async def test_a_manifest_may_be_pushed_by_either_digest(client: Client) -> None:
    await push_blob(client, b"{}")
    manifest = image(b"{}")

    answers = [
        await push_manifest(client, manifest, digest_of(manifest, algorithm))
        for algorithm in ("sha256", "sha512")
    ]

    assert [(each.status, each.headers["docker-content-digest"]) for each in answers] == [
        (201, digest_of(manifest)),
        (201, digest_of(manifest, "sha512")),
    ]
    found = await client.get(f"/v2/acme/web/manifests/{digest_of(manifest, 'sha512')}")
    assert found.body == manifest


async def test_a_manifest_needs_what_it_names(client: Client, store: Store) -> None:
    await push_blob(client, b"{}")
    child = image(b"{}")
    index = json.dumps(
        {"schemaVersion": 2, "manifests": [descriptor(OCI_IMAGE, child)]}
    ).encode()
    wrong_size = json.dumps(
        {
            "schemaVersion": 2,
            "config": {**descriptor(OCI_CONFIG, b"{}"), "size": 3},
            "layers": [],
        }
    ).encode()

    missing = await push_manifest(client, image(b"{}", b"one", b"two"), "v1")
    no_child = await push_manifest(client, index, "v1", media_type=OCI_INDEX)
    other_size = await push_manifest(client, wrong_size, "v1")

    assert missing.status == 400
    assert [(error["code"], error["detail"]) for error in missing.json()["errors"]] == [
        ("MANIFEST_BLOB_UNKNOWN", {"digest": digest_of(b"one")}),
        ("MANIFEST_BLOB_UNKNOWN", {"digest": digest_of(b"two")}),
    ]
    assert (no_child.status, no_child.json()["errors"][0]["detail"]) == (
        400,
        {"digest": digest_of(child)},
    )
    assert (other_size.status, errors_of(other_size)) == (
        400,
        [("MANIFEST_INVALID", f"`{digest_of(b'{}')}` has 2 bytes, not 3.")],
    )
    assert await rows_of(store, tables.manifests, "digest") == []
    assert await rows_of(store, tables.events, "id") == []


async def test_a_manifest_of_another_repository_does_not_count(
    hub: Hub, client: Client
) -> None:
    manifest = await push_image(client, "v1")
    other = await hub.client("writer", "acme/api")

    answer = await push_manifest(other, manifest, "v1", path="acme/api")

    assert (answer.status, {code for code, _ in errors_of(answer)}) == (
        400,
        {"MANIFEST_BLOB_UNKNOWN"},
    )


async def test_a_manifest_that_is_wrong_is_refused_with_the_reason(client: Client) -> None:
    good = image(b"{}")
    cases = {
        b"": ("MANIFEST_INVALID", "The manifest is not JSON."),
        b"[" * 5000: ("MANIFEST_INVALID", "The manifest is not JSON."),
        b"\xff": ("MANIFEST_INVALID", "The manifest is not JSON."),
        b"[]": ("MANIFEST_INVALID", "The manifest is not a JSON object."),
        b'{"schemaVersion": 1}': ("MANIFEST_INVALID", "`schemaVersion` must be 2."),
    }

    answers = {body: await push_manifest(client, body, "v1") for body in cases}
    other_digest = await push_manifest(client, good, digest_of(b"other"))
    bad_digest = await push_manifest(client, good, "sha256:baddigeststring")
    bad_tags = [
        await push_manifest(client, good, tag) for tag in ("-bad", ".bad", "a" * 129, "a%20b")
    ]
    too_long = await push_manifest(client, b" " * ((4 << 20) + 1), "v1")

    assert {body: (answer.status, *errors_of(answer)) for body, answer in answers.items()} == {
        body: (400, error) for body, error in cases.items()
    }
    assert [(each.status, errors_of(each)[0][0]) for each in (other_digest, bad_digest)] == [
        (400, "DIGEST_INVALID")
    ] * 2
    assert [(each.status, errors_of(each)[0][0]) for each in bad_tags] == [
        (404, "TAG_INVALID")
    ] * 4
    assert (too_long.status, errors_of(too_long)[0][0]) == (413, "SIZE_INVALID")


async def test_a_manifest_of_four_mebibytes_is_taken(client: Client) -> None:
    await push_blob(client, b"{}")
    room = (4 << 20) - len(image(b"{}", annotations={"a": ""}))
    manifest = image(b"{}", annotations={"a": "x" * room})

    answer = await push_manifest(client, manifest, "v1")

    assert (len(manifest), answer.status) == (4 << 20, 201)


async def test_who_may_not_push_is_refused_before_a_byte_is_read(
    hub: Hub, store: Store
) -> None:
    reader = await hub.client("reader", "acme/web", "pull,push")
    digest = digest_of(CONTENT)
    direct = basic("reader", "correct horse")

    refused = [
        await reader.post("/v2/acme/web/blobs/uploads/"),
        await reader.post(f"/v2/acme/web/blobs/uploads/?digest={digest}", body=CONTENT),
        await push_manifest(reader, image(b"{}"), "v1"),
        await reader.delete("/v2/acme/web/manifests/v1"),
        await hub.anonymous.post("/v2/acme/web/blobs/uploads/"),
    ]
    denied = await hub.anonymous.post("/v2/acme/web/blobs/uploads/", headers=direct)
    unknown = await hub.anonymous.post(
        "/v2/acme/none/blobs/uploads/", headers=basic("boss", "correct horse")
    )

    assert [(each.status, errors_of(each)[0][0]) for each in refused] == [
        (401, "UNAUTHORIZED")
    ] * 5
    challenge = (
        'Bearer realm="https://dockbell.test/v2/auth",service="dockbell.test",'
        'scope="repository:acme/web:pull,push"'
    )
    assert [each.headers["www-authenticate"] for each in refused] == [
        *[f'{challenge},error="insufficient_scope"'] * 4,
        challenge,
    ]
    assert (denied.status, errors_of(denied)) == (403, [("DENIED", "Unauthorized")])
    assert (unknown.status, errors_of(unknown)) == (404, [("NAME_UNKNOWN", "Not Found")])
    assert await rows_of(store, tables.uploads, "id") == []


async def test_basic_credentials_work_without_a_token(hub: Hub) -> None:
    digest = digest_of(CONTENT)

    answer = await hub.anonymous.post(
        f"/v2/acme/web/blobs/uploads/?digest={digest}",
        body=CONTENT,
        headers=basic(ROBOT, ROBOT_TOKEN),
    )

    assert answer.status == 201
