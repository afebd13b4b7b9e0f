"""Deleting, wrong verbs and wrong addresses, as the OCI distribution standard (1.1) has it."""

from pathlib import Path

import pytest

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import (
    Hub,
    artifact,
    digest_of,
    errors_of,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


async def tags_of(client: Client) -> list[str]:
    tags: list[str] = (await client.get("/v2/acme/web/tags/list")).json()["tags"]
    return tags


async def test_deleting_a_tag_keeps_the_manifest(client: Client) -> None:
    manifest = await push_image(client, "v1")
    await push_manifest(client, manifest, "v2")

    first = await client.delete("/v2/acme/web/manifests/v1")
    again = await client.delete("/v2/acme/web/manifests/v1")

    assert (first.status, first.body) == (202, b"")
    assert (again.status, errors_of(again)[0][0]) == (404, "MANIFEST_UNKNOWN")
    assert await tags_of(client) == ["v2"]
    by_digest = await client.get(f"/v2/acme/web/manifests/{digest_of(manifest)}")
    assert by_digest.body == manifest


async def test_deleting_a_manifest_deletes_its_tags_and_frees_its_blobs(
    client: Client, store: Store
) -> None:
    manifest = await push_image(client, "v1", content=b"the layer")
    await push_manifest(client, manifest, "v2")
    await push_image(client, "other")
    await push_blob(client, b"{}")
    signature = artifact(manifest, "application/vnd.example.signature")
    await push_manifest(client, signature, digest_of(signature))
    blob = f"/v2/acme/web/blobs/{digest_of(b'the layer')}"

    in_use = await client.delete(blob)
    deleted = await client.delete(f"/v2/acme/web/manifests/{digest_of(manifest)}")
    again = await client.delete(f"/v2/acme/web/manifests/{digest_of(manifest)}")
    freed = await client.delete(blob)
    gone = await client.delete(blob)

    assert (in_use.status, errors_of(in_use)[0][0]) == (405, "UNSUPPORTED")
    assert in_use.headers["allow"] == "GET, HEAD"
    assert [each.status for each in (deleted, again, freed, gone)] == [202, 404, 202, 404]
    assert errors_of(again)[0][0] == "MANIFEST_UNKNOWN"
    assert errors_of(gone)[0][0] == "BLOB_UNKNOWN"
    assert await tags_of(client) == ["other"]
    assert (await client.send("HEAD", blob)).status == 404
    referrers = await client.get(f"/v2/acme/web/referrers/{digest_of(manifest)}")
    assert [entry["digest"] for entry in referrers.json()["manifests"]] == [
        digest_of(signature)
    ]
    audit = await rows_of(store, tables.audit_entries, "kind", "actor_name")
    assert [entry for entry in audit if entry[0].startswith("delete")] == [
        ("delete_manifest", "acme+ci"),
        ("delete_tag", "acme+ci"),
        ("delete_tag", "acme+ci"),
    ]


async def test_a_blob_deleted_here_stays_elsewhere(hub: Hub, client: Client) -> None:
    other = await hub.client("writer", "acme/api")
    digest = await push_blob(client, b"shared")
    await push_blob(other, b"shared", "acme/api")

    await client.delete(f"/v2/acme/web/blobs/{digest}")

    assert (await client.get(f"/v2/acme/web/blobs/{digest}")).status == 404
    assert (await other.get(f"/v2/acme/api/blobs/{digest}")).body == b"shared"


async def test_a_reader_deletes_nothing(hub: Hub, client: Client) -> None:
    manifest = await push_image(client, "v1", content=b"kept")
    reader = await hub.client("reader", "acme/web", "pull,push,delete,*")

    answers = [
        await reader.delete("/v2/acme/web/manifests/v1"),
        await reader.delete(f"/v2/acme/web/manifests/{digest_of(manifest)}"),
        await reader.delete(f"/v2/acme/web/blobs/{digest_of(b'kept')}"),
    ]

    assert [answer.status for answer in answers] == [401] * 3
    assert await tags_of(client) == ["v1"]


async def test_a_token_for_deleting_only_deletes_and_does_not_push(
    hub: Hub, client: Client
) -> None:
    await push_image(client, "v1")
    deleter = await hub.client("acme+ci", "acme/web", "delete")

    assert (await deleter.post("/v2/acme/web/blobs/uploads/")).status == 401
    assert (await deleter.delete("/v2/acme/web/manifests/v1")).status == 202


async def test_a_wrong_verb_is_told_the_right_ones(client: Client) -> None:
    digest = digest_of(b"")
    expected = {
        ("DELETE", "/v2/"): "GET, HEAD",
        ("PUT", "/v2/auth"): "GET, POST",
        ("POST", "/v2/_catalog"): "GET, HEAD",
        ("GET", "/v2/acme/web/blobs/uploads/"): "POST",
        ("POST", "/v2/acme/web/blobs/uploads/upl_x"): "GET, PATCH, PUT, DELETE",
        ("PUT", f"/v2/acme/web/blobs/{digest}"): "GET, HEAD, DELETE",
        ("POST", "/v2/acme/web/manifests/v1"): "GET, HEAD, PUT, DELETE",
        ("PATCH", "/v2/acme/web/tags/list"): "GET, HEAD",
        ("DELETE", f"/v2/acme/web/referrers/{digest}"): "GET, HEAD",
    }

    answers = {asked: await client.send(*asked) for asked in expected}

    assert {asked: answer.headers["allow"] for asked, answer in answers.items()} == expected
    assert {(answer.status, errors_of(answer)[0][0]) for answer in answers.values()} == {
        (405, "UNSUPPORTED")
    }


async def test_an_address_that_is_none_is_a_404_in_json(client: Client) -> None:
    paths = [
        "/v2/x",
        "/v2/acme/web",
        "/v2/acme/web/tags",
        "/v2//manifests",
        "/v2/a/manifests/b/c/d",
    ]

    answers = [await client.get(path) for path in paths]

    assert [(answer.status, errors_of(answer)[0][0]) for answer in answers] == [
        (404, "UNSUPPORTED")
    ] * len(paths)


async def test_a_name_that_cannot_be_is_refused(client: Client) -> None:
    names = ["ubuntu", "Acme/web", "acme/WEB", "acme/-x", "acme//web", "acme/web/", "/acme/web"]
    names += ["acme/%00", "acme/%FF", "acme/web%0A", "a/web", "acme/" + "x" * 256, "acme/.."]

    answers = [await client.get(f"/v2/{name}/tags/list") for name in names]

    assert [(answer.status, errors_of(answer)[0][0]) for answer in answers] == [
        (400, "NAME_INVALID")
    ] * len(names)
