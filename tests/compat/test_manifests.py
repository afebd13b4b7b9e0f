"""Manifests and their labels under API v1."""

import json
from pathlib import Path

import pytest

from dockbell.store.transactions import Store
from tests.accounts import NOT_FOUND, said
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import (
    OCI_CONFIG,
    OCI_INDEX,
    Hub,
    digest_of,
    open_hub_beside,
    push_image,
    push_manifest,
)
from tests.world import World, open_world

MANIFESTS = "/api/v1/repository/acme/web/manifest/"


@pytest.fixture
async def world(store: Store, clock: SetClock) -> World:
    return await open_world(store)


@pytest.fixture
async def hub(world: World, store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub_beside(store, tmp_path / "data", clock)


@pytest.fixture
async def registry(hub: Hub) -> Client:
    return await hub.client("writer")


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write repo:read")


async def test_a_manifest_is_shown_with_its_layers(registry: Client, writer: Client) -> None:
    manifest = await push_image(registry, "v1", content=b"12345")
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode()
    await push_manifest(registry, index, "all", media_type=OCI_INDEX)

    shown = (await writer.get(f"{MANIFESTS}{digest_of(manifest)}")).json()
    listed = (await writer.get(f"{MANIFESTS}{digest_of(index)}")).json()
    missing = [
        await writer.get(f"{MANIFESTS}{digest_of(b'')}"),
        await writer.get(f"{MANIFESTS}x"),
    ]

    assert shown == {
        "digest": digest_of(manifest),
        "is_manifest_list": False,
        "manifest_data": manifest.decode(),
        "config_media_type": OCI_CONFIG,
        "layers": [
            {
                "index": 0,
                "compressed_size": 5,
                "is_remote": False,
                "urls": None,
                "command": None,
                "comment": None,
                "author": None,
                "blob_digest": digest_of(b"12345"),
                "created_datetime": None,
            }
        ],
    }
    assert (listed["is_manifest_list"], listed["layers"]) == (True, None)
    assert listed["config_media_type"] is None
    assert [answer.status for answer in missing] == [404] * 2


async def test_labels_come_with_the_image_and_are_added_and_removed(
    registry: Client, writer: Client
) -> None:
    brought = {"maintainer": "ann", "org.data": '{"a": 1}', "broken": "\x00"}
    manifest = await push_image(registry, "v1", labels=brought)
    place = f"{MANIFESTS}{digest_of(manifest)}/labels"

    added = await writer.post(place, {"key": "team", "value": "blue", "media_type": None})
    label = added.json()["label"]
    shown = (await writer.get(place)).json()["labels"]
    some = (await writer.get(f"{place}?filter=te")).json()["labels"]
    one = await writer.get(added.headers["location"])
    fixed = await writer.delete(f"{place}/{shown[0]['id']}")
    removed = await writer.delete(f"{place}/{label['id']}")
    after = [await writer.get(f"{place}/{label['id']}"), await writer.delete(f"{place}/none")]

    assert added.status == 201
    assert [
        (each["key"], each["value"], each["source_type"], each["media_type"]) for each in shown
    ] == [
        ("maintainer", "ann", "manifest", "text/plain"),
        ("org.data", '{"a": 1}', "manifest", "application/json"),
        ("team", "blue", "api", "text/plain"),
    ]
    assert some == [label] == [one.json()]
    assert (fixed.status, fixed.json()["detail"]) == (400, "Cannot delete immutable label")
    assert removed.status == 204
    assert [said(answer) for answer in after] == [(404, NOT_FOUND)] * 2


async def test_a_label_that_cannot_be_is_refused(
    world: World, registry: Client, writer: Client
) -> None:
    manifest = await push_image(registry, "v1")
    place = f"{MANIFESTS}{digest_of(manifest)}/labels"
    reader = await world.client("reader", "repo:write repo:read")
    keys = ["quay.expires-after", "io.docker.x", "a b", "", "a..b", "-a", "x" * 256]

    answers = [
        await writer.post(place, {"key": key, "value": "v", "media_type": "text/plain"})
        for key in keys
    ]
    odd = [
        await writer.post(place, {"key": "a", "value": "v"}),
        await writer.post(place, {"key": "a", "value": "v", "media_type": "text/html"}),
        await writer.post(place, {"key": "a", "value": "v" * 70_000, "media_type": None}),
        await reader.post(place, {"key": "a", "value": "v", "media_type": None}),
        await writer.post(
            f"{MANIFESTS}{digest_of(b'')}/labels",
            {"key": "a", "value": "v", "media_type": None},
        ),
    ]

    assert [answer.status for answer in answers] == [400] * len(keys)
    assert [answer.json()["detail"] for answer in answers[:2]] == [
        "Label has a reserved prefix"
    ] * 2
    assert [answer.status for answer in odd] == [400, 400, 400, 403, 404]
