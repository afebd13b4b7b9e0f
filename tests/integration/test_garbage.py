"""Collecting garbage: what nothing needs goes, after its time of grace, and what a push needs never does."""

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dockbell.domain.digests import Digest
from dockbell.registry.folders import Folder
from dockbell.registry.garbage import Collected, Collector
from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import (
    OCI_IMAGE,
    OCI_INDEX,
    Hub,
    artifact,
    descriptor,
    digest_of,
    open_hub,
    push_blob,
    push_image,
    push_manifest,
    rows_of,
)

KEEP = timedelta(days=14)


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


@pytest.fixture
def collect(hub: Hub, store: Store, clock: SetClock) -> Callable[..., Any]:
    """Run once, now."""

    async def run(*, keep: timedelta | None = KEEP, is_dry: bool = False) -> Collected:
        collector = Collector(store.begin, store.read, hub.files, keep)
        return await collector.run(clock(), is_dry=is_dry)

    return run


def files_of(hub: Hub) -> list[str]:
    return sorted(path.name for path in (hub.folder / "blobs").rglob("*") if path.is_file())


async def test_what_tags_need_stays_for_ever(
    client: Client, store: Store, hub: Hub, clock: SetClock, collect: Any
) -> None:
    image = await push_image(client, "v1")
    index = b'{"schemaVersion":2,"mediaType":"%s","manifests":[%s]}'
    child = await push_image(client, "gone")
    listed = index % (OCI_INDEX.encode(), _json(descriptor(OCI_IMAGE, child)))
    await push_manifest(client, listed, "all", media_type=OCI_INDEX)
    await push_blob(client, b"{}")
    signature = artifact(image, "application/vnd.sig")
    await push_manifest(client, signature, digest_of(signature))
    await client.delete("/v2/acme/web/manifests/gone")
    before = (await rows_of(store, tables.manifests, "digest"), files_of(hub))

    for _ in range(3):
        clock.move(days=100)
        await collect()

    assert (await rows_of(store, tables.manifests, "digest"), files_of(hub)) == before


def _json(value: object) -> bytes:
    import json  # noqa: PLC0415 -- one use

    return json.dumps(value).encode()


async def test_a_manifest_goes_when_its_last_tag_is_past_restoring_and_its_blobs_after_it(
    client: Client, store: Store, hub: Hub, clock: SetClock, collect: Any
) -> None:
    await push_image(client, "v1")
    await client.delete("/v2/acme/web/manifests/v1")

    clock.move(days=13)
    early = await collect()
    clock.move(days=2)
    first = await collect()
    clock.move(hours=23)
    waiting = await collect()
    clock.move(hours=2)
    last = await collect()

    assert [one.manifests for one in (early, first, waiting, last)] == [0, 1, 0, 0]
    assert [one.links for one in (early, first, waiting, last)] == [0, 2, 0, 0]
    assert [one.marked for one in (early, first, waiting, last)] == [0, 2, 0, 0]
    assert [one.blobs for one in (early, first, waiting, last)] == [0, 0, 0, 2]
    assert await rows_of(store, tables.manifests, "digest") == []
    assert await rows_of(store, tables.tag_versions, "name") == []
    assert await rows_of(store, tables.blobs, "digest") == []
    assert files_of(hub) == []


async def test_without_an_end_no_manifest_ever_goes(
    client: Client, store: Store, clock: SetClock, collect: Any
) -> None:
    await push_image(client, "v1")
    await client.delete("/v2/acme/web/manifests/v1")

    clock.move(days=4000)
    await collect(keep=None)

    assert len(await rows_of(store, tables.manifests, "digest")) == 1


async def test_an_index_takes_its_children_and_a_subject_its_referrers_along(
    client: Client, store: Store, clock: SetClock, collect: Any
) -> None:
    child = await push_image(client, "child")
    index = (
        b'{"schemaVersion":2,"mediaType":"%s","manifests":[' % OCI_INDEX.encode()
        + _json(descriptor(OCI_IMAGE, child))
        + b"]}"
    )
    await push_manifest(client, index, "all", media_type=OCI_INDEX)
    await push_blob(client, b"{}")
    signature = artifact(child, "application/vnd.sig")
    await push_manifest(client, signature, digest_of(signature))
    for tag in ("child", "all"):
        await client.delete(f"/v2/acme/web/manifests/{tag}")

    clock.move(days=15)
    done = await collect()

    assert done.manifests == 3
    assert await rows_of(store, tables.manifests, "digest") == []


async def test_a_dry_run_tells_and_changes_nothing(
    client: Client, store: Store, hub: Hub, clock: SetClock, collect: Any
) -> None:
    await push_image(client, "v1", content=b"12345")
    await client.delete("/v2/acme/web/manifests/v1")
    clock.move(days=15)
    names = ("manifests", "tag_versions", "repository_blobs", "blobs")
    before = [await rows_of(store, getattr(tables, name), "digest") for name in names]

    done = await collect(is_dry=True)

    size = sum(
        path.stat().st_size for path in (hub.folder / "blobs").rglob("*") if path.is_file()
    )
    assert (done.manifests, done.links, done.blobs) == (1, 2, 0)
    assert (done.later, done.later_size) == (2, size)
    assert [await rows_of(store, getattr(tables, name), "digest") for name in names] == before


async def test_a_blob_that_was_never_used_goes_but_not_one_that_is_asked_for(
    hub: Hub, store: Store, clock: SetClock, collect: Any
) -> None:
    client = await hub.client()
    unused = await push_blob(client, b"unused")
    asked = await push_blob(client, b"asked for")
    pushed = await push_blob(client, b"pushed again")
    mounted = await push_blob(client, b"mounted")
    clock.move(hours=20)
    client = await hub.client()
    both = Client(
        hub.registry,
        await hub.ask_token("writer", "repository:acme/api:pull,push repository:acme/web:pull"),
    )
    await client.send("HEAD", f"/v2/acme/web/blobs/{asked}")
    await push_blob(client, b"pushed again")
    await both.post(f"/v2/acme/api/blobs/uploads/?mount={mounted}&from=acme/web")

    clock.move(hours=5)
    await collect()
    held = await rows_of(store, tables.repository_blobs, "digest")
    clock.move(hours=12)
    await collect()
    clock.move(hours=20)
    await collect()

    assert held == sorted([(asked,), (pushed,), (mounted,)], key=repr)
    assert Digest.of(unused).hex not in files_of(hub)


async def test_content_that_a_push_brings_back_in_its_time_of_grace_stays(
    hub: Hub, store: Store, clock: SetClock, collect: Any
) -> None:
    digest = await push_blob(await hub.client(), b"content")
    clock.move(hours=25)
    first = await collect()
    clock.move(hours=25)
    await push_blob(await hub.client(), b"content")

    last = await collect()

    assert (first.links, first.marked, last.blobs) == (1, 1, 0)
    found = await (await hub.client()).get(f"/v2/acme/web/blobs/{digest}")
    assert found.body == b"content"
    assert await rows_of(store, tables.blobs, "unheld_since") == [(None,)]


async def test_files_without_rows_go_and_uploads_stay(
    hub: Hub, clock: SetClock, collect: Any
) -> None:
    client = await hub.client()
    location = (await client.post("/v2/acme/web/blobs/uploads/")).headers["location"]
    await client.send("PATCH", location, body=b"half")
    stray = Digest.of(digest_of(b"stray"))
    place = hub.folder / "blobs" / "sha256" / stray.hex[:2] / stray.hex
    place.parent.mkdir(parents=True)
    place.write_bytes(b"stray")
    (place.parent / "README").write_text("not ours")
    old = clock().timestamp() - 25 * 3600
    for path in (place, place.parent / "README"):
        os.utime(path, (old, old))

    dry = await collect(is_dry=True)
    done = await collect()

    assert (dry.orphans, done.orphans) == (1, 1)
    assert files_of(hub) == ["README"]
    digest = digest_of(b"half")
    assert (await client.put(f"{location}?digest={digest}")).status == 201


async def test_many_pushes_while_garbage_is_collected_lose_nothing(
    hub: Hub, store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content whose time is over is pushed again at the very moment in which it is collected, over and over."""
    client, api = await hub.client(), await hub.client("writer", "acme/api")
    contents = [b"content %d" % number for number in range(12)]
    for content in contents:
        await push_blob(client, content)
    collector = Collector(store.begin, store.read, hub.files, KEEP)
    clock.move(hours=25)
    await collector.run(clock())
    clock.move(hours=25)
    client, api = await hub.client(), await hub.client("writer", "acme/api")
    real = Folder.remove

    async def slowly(files: Folder, digest: Digest) -> None:
        await asyncio.sleep(0.01)
        await real(files, digest)

    monkeypatch.setattr(Folder, "remove", slowly)

    async def push(one: Client, path: str, content: bytes) -> None:
        await asyncio.sleep(contents.index(content) * 0.005)
        await push_blob(one, content, path)

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(collector.run(clock()))
        for content in contents:
            group.create_task(push(client, "acme/web", content))
            group.create_task(push(api, "acme/api", content))

    for one, path in ((client, "acme/web"), (api, "acme/api")):
        for content in contents:
            found = await one.get(f"/v2/{path}/blobs/{digest_of(content)}")
            assert (found.status, found.body) == (200, content)


@pytest.mark.parametrize("moment", ["before the file", "after the file"])
async def test_a_collector_that_dies_leaves_nothing_that_the_next_does_not_take(
    hub: Hub,
    store: Store,
    clock: SetClock,
    collect: Any,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    client = await hub.client()
    digest = await push_blob(client, b"content")
    clock.move(hours=25)
    await collect()
    clock.move(hours=25)
    real = Folder.remove

    async def die(files: Folder, digest: Digest) -> None:
        if moment == "after the file":
            await real(files, digest)
        raise SystemError

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "remove", die)
        with pytest.raises(SystemError):
            await collect()
    left = await rows_of(store, tables.blobs, "digest")
    done = await collect()

    assert left == [
        (digest,)
    ]  # the row is undone with the transaction, so that the digest is looked at again
    assert (done.blobs, await rows_of(store, tables.blobs, "digest"), files_of(hub)) == (
        1,
        [],
        [],
    )
    # And a push is taken as if there had never been anything.
    await push_blob(await hub.client(), b"content")
    assert (await (await hub.client()).get(f"/v2/acme/web/blobs/{digest}")).body == b"content"
