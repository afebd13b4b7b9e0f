"""Uploads that do not go as they should: cut off, stalled, raced, restarted, abandoned, on a full disk."""

import asyncio
import errno
import fcntl
import os
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dockbell.domain.digests import Digest
from dockbell.domain.links import Links
from dockbell.registry import upload_files
from dockbell.registry.app import Registry
from dockbell.registry.files import Files
from dockbell.registry.uploads import purge_stale
from dockbell.services.intake import Intake
from dockbell.store import tables
from dockbell.store.transactions import Store
from tests.asgi import Client
from tests.conftest import SetClock
from tests.hub import HOST, Hub, digest_of, errors_of, open_hub, push_blob, rows_of

CONTENT = bytes(range(256)) * 4096  # 1 MiB
UPLOADS = "/v2/acme/web/blobs/uploads/"


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


@pytest.fixture
async def client(hub: Hub) -> Client:
    return await hub.client()


def reopen(hub: Hub, clock: SetClock, **more: Any) -> Registry:
    """The registry as another process, or the next start, opens it on the same data."""
    links = Links(f"https://{HOST}")
    return Registry(
        store_begin=hub.store.begin,
        store_read=hub.store.read,
        files=Files(hub.folder),
        links=links,
        intake=Intake(kinds={}, links=links),
        clock=clock,
        tokens=hub.tokens,
        **more,
    )


@dataclass(slots=True)
class Wire:
    """A connection whose client sends what a test says, when it says it."""

    registry: Registry
    token: str
    sent: "asyncio.Queue[MutableMapping[str, Any]]" = field(default_factory=asyncio.Queue)
    came: list[MutableMapping[str, Any]] = field(default_factory=list)

    def send(self, body: bytes, *, more: bool = True) -> None:
        self.sent.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def hang_up(self) -> None:
        self.sent.put_nowait({"type": "http.disconnect"})

    async def request(self, verb: str, path: str) -> int | None:
        """Make the request; return the status, or None if there was no answer."""
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": verb,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {self.token}".encode())],
            "client": ("192.0.2.7", 40000),
        }

        async def take(message: MutableMapping[str, Any]) -> None:
            self.came.append(message)

        await self.registry(scope, self.sent.get, take)
        return self.came[0]["status"] if self.came else None


async def start(client: Client) -> str:
    return (await client.post(UPLOADS)).headers["location"]


async def test_an_upload_that_was_cut_off_is_resumed(hub: Hub, client: Client) -> None:
    location = await start(client)
    wire = Wire(hub.registry, client.token or "")
    for at in range(0, 700_000, 70_000):
        wire.send(CONTENT[at : at + 70_000])
    wire.hang_up()

    answer = await wire.request("PATCH", location)
    status = await client.get(location)
    rest = await client.send(
        "PATCH",
        location,
        body=CONTENT[700_000:],
        headers={"content-range": f"700000-{len(CONTENT) - 1}"},
    )
    done = await client.put(f"{location}?digest={digest_of(CONTENT)}")

    assert answer is None
    assert (status.status, status.headers["range"]) == (204, "0-699999")
    assert (rest.status, done.status) == (202, 201)


async def test_an_upload_goes_on_after_a_restart(
    hub: Hub, client: Client, clock: SetClock
) -> None:
    location = await start(client)
    await client.send("PATCH", location, body=CONTENT[:300_000])
    restarted = Client(reopen(hub, clock), client.token)

    status = await restarted.get(location)
    await restarted.send("PATCH", location, body=CONTENT[300_000:600_000])
    # The first process comes back with a hash that is too old: it must not trust it.
    done = await client.put(f"{location}?digest={digest_of(CONTENT)}", body=CONTENT[600_000:])

    assert status.headers["range"] == "0-299999"
    assert done.status == 201
    blob = await restarted.get(f"/v2/acme/web/blobs/{digest_of(CONTENT)}")
    assert blob.body == CONTENT


async def test_two_requests_cannot_write_to_one_upload(
    hub: Hub, client: Client, clock: SetClock
) -> None:
    location = await start(client)
    wire = Wire(hub.registry, client.token or "")
    wire.send(CONTENT[:500_000])
    first = asyncio.create_task(wire.request("PATCH", location))
    await until(wire.sent.empty)
    elsewhere = Client(reopen(hub, clock), client.token)

    second = [
        await each.send("PATCH", location, body=b"intruder") for each in (client, elsewhere)
    ]
    finish = await client.put(f"{location}?digest={digest_of(b'')}")
    wire.send(CONTENT[500_000:], more=False)
    assert await first == 202

    done = await client.put(f"{location}?digest={digest_of(CONTENT)}")
    assert [(each.status, errors_of(each)[0][0]) for each in (*second, finish)] == [
        (409, "BLOB_UPLOAD_INVALID")
    ] * 3
    assert done.status == 201


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_a_client_that_stops_sending_is_let_go_and_may_resume(
    hub: Hub, client: Client, clock: SetClock
) -> None:
    impatient = reopen(hub, clock, patience_seconds=0.05)
    location = await start(client)
    wire = Wire(impatient, client.token or "")
    wire.send(CONTENT[:1000])

    status = await wire.request("PATCH", location)

    assert status == 408
    assert (await client.get(location)).headers["range"] == "0-999"


async def test_a_slow_client_is_waited_for_as_long_as_bytes_come(
    hub: Hub, client: Client, clock: SetClock
) -> None:
    impatient = reopen(hub, clock, patience_seconds=0.5)
    location = await start(client)
    wire = Wire(impatient, client.token or "")
    running = asyncio.create_task(wire.request("PATCH", location))
    loop = asyncio.get_running_loop()
    begun = loop.time()

    while loop.time() < begun + 0.8:
        wire.send(b"x")
        await asyncio.sleep(0.1)
    wire.send(b"", more=False)

    assert await running == 202


async def test_a_cancelled_upload_cannot_be_finished_by_who_still_writes(
    hub: Hub, client: Client, store: Store
) -> None:
    location = await start(client)
    wire = Wire(hub.registry, client.token or "")
    wire.send(CONTENT)
    running = asyncio.create_task(
        wire.request("PUT", f"{location}?digest={digest_of(CONTENT)}")
    )
    await until(wire.sent.empty)

    await client.delete(location)
    wire.send(b"", more=False)

    assert await running == 404
    assert await rows_of(store, tables.blobs, "digest") == []


async def test_a_full_disk_is_told_and_the_upload_goes_on_when_there_is_room(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = await start(client)
    real = os.writev

    def full(descriptor: int, pieces: list[bytes]) -> int:
        real(descriptor, [pieces[0][:1000]])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upload_files.os, "writev", full)
    refused = await client.send("PATCH", location, body=CONTENT)
    monkeypatch.setattr(upload_files.os, "writev", real)
    status = await client.get(location)
    done = await client.put(
        f"{location}?digest={digest_of(CONTENT)}",
        body=CONTENT[1000:],
        headers={"content-range": f"1000-{len(CONTENT) - 1}"},
    )

    assert (refused.status, errors_of(refused)) == (
        503,
        [("UNAVAILABLE", "The server's disk is full.")],
    )
    assert status.headers["range"] == "0-999"
    assert done.status == 201


async def test_a_disk_that_takes_little_by_little_loses_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.writev
    monkeypatch.setattr(
        upload_files.os, "writev", lambda descriptor, pieces: real(descriptor, [pieces[0][:7]])
    )

    digest = await push_blob(client, CONTENT)

    assert (await client.get(f"/v2/acme/web/blobs/{digest}")).body == CONTENT


async def test_the_row_is_written_only_when_the_file_is_durable(
    hub: Hub, client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = os.fsync, []

    def sync(descriptor: int) -> None:
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(place.name if place.is_file() else str(place.relative_to(hub.folder)))
        real(descriptor)

    monkeypatch.setattr(upload_files.os, "fsync", sync)
    digest = Digest.of(digest_of(CONTENT))
    location = await start(client)
    await client.put(f"{location}?digest={digest}", body=CONTENT)

    upload_id = location.rpartition("/")[2]
    folder = f"blobs/sha256/{digest.hex[:2]}"
    assert seen == [upload_id, "blobs", "blobs/sha256", folder]
    assert await rows_of(store, tables.blobs, "digest") == [(str(digest),)]


async def test_a_file_that_is_lost_is_missing_and_healed_by_the_next_push(
    hub: Hub, client: Client
) -> None:
    digest = await push_blob(client, CONTENT)
    next(path for path in hub.folder.rglob("*") if path.is_file()).unlink()

    missing = await client.send("HEAD", f"/v2/acme/web/blobs/{digest}")
    mount = await client.post(f"{UPLOADS}?mount={digest}&from=acme/web")
    await push_blob(client, CONTENT)

    assert (missing.status, mount.status) == (404, 202)
    assert (await client.get(f"/v2/acme/web/blobs/{digest}")).body == CONTENT


async def test_many_pushes_of_one_blob_at_once_all_succeed(hub: Hub, client: Client) -> None:
    api = await hub.client("writer", "acme/api")

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(push_blob(client, CONTENT))
            group.create_task(push_blob(api, CONTENT, "acme/api"))

    digest = digest_of(CONTENT)
    assert (await client.get(f"/v2/acme/web/blobs/{digest}")).body == CONTENT
    assert (await api.get(f"/v2/acme/api/blobs/{digest}")).body == CONTENT


async def test_abandoned_uploads_are_purged_after_a_day_and_others_stay(
    hub: Hub, client: Client, clock: SetClock, store: Store
) -> None:
    old = await start(client)
    await client.send("PATCH", old, body=b"old")
    clock.move(hours=25)
    client = await hub.client()
    new = await start(client)
    await client.send("PATCH", new, body=b"new")
    busy = (await start(client)).rpartition("/")[2]
    for name, hours in ((old, 25), (new, 1), (busy, 25)):
        path = hub.folder / "uploads" / name.rpartition("/")[2]
        path.touch()
        stamp = clock().timestamp() - hours * 3600
        os.utime(path, (stamp, stamp))

    async with hub.files.upload(busy):
        purged = await purge_stale(store.begin, hub.files, clock())

    assert purged == 1
    assert [(await client.get(location)).status for location in (old, new)] == [404, 204]
    left = {path.name for path in (hub.folder / "uploads").iterdir()}
    assert left == {new.rpartition("/")[2], busy}


async def test_a_download_stops_when_the_client_is_gone(hub: Hub, client: Client) -> None:
    digest = await push_blob(client, CONTENT)
    wire = Wire(hub.registry, client.token or "")
    wire.send(b"", more=False)
    wire.hang_up()

    status = await wire.request("GET", f"/v2/acme/web/blobs/{digest}")

    pieces = [
        message["body"] for message in wire.came if message["type"] == "http.response.body"
    ]
    assert status == 200
    assert 0 < len(b"".join(pieces)) < len(CONTENT)


async def test_an_error_nobody_foresaw_is_a_500_in_json_and_in_the_log(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int, pieces: list[bytes]) -> int:
        raise OSError(errno.EIO, "the secret inside")

    location = await start(client)
    monkeypatch.setattr(upload_files.os, "writev", broken)

    with capture_logs() as lines:
        answer = await client.send("PATCH", location, body=b"x" * 300_000)

    assert (answer.status, errors_of(answer)) == (
        500,
        [("UNKNOWN", "The server made a mistake. It is in its log.")],
    )
    assert [line["event"] for line in lines] == ["registry_bug"]


def file_of(hub: Hub, location: str) -> Path:
    return hub.folder / "uploads" / location.rpartition("/")[2]


def blob_files(hub: Hub) -> list[Path]:
    return [path for path in (hub.folder / "blobs").rglob("*") if path.is_file()]


def replace_file(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(bytes(path.stat().st_size))
    other.replace(path)


def overwrite_file(path: Path) -> None:
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # file systems count in milliseconds
        path.write_bytes(bytes(before.st_size))


def lengthen_file(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("spoil", [replace_file, overwrite_file, lengthen_file, Path.unlink])
async def test_a_file_that_was_spoilt_between_requests_never_becomes_a_blob(
    hub: Hub, client: Client, store: Store, spoil: Callable[[Path], None]
) -> None:
    location = await start(client)
    await client.send("PATCH", location, body=CONTENT)

    spoil(file_of(hub, location))
    answer = await client.put(f"{location}?digest={digest_of(CONTENT)}")

    assert (answer.status, errors_of(answer)[0][0]) == (400, "DIGEST_INVALID")
    assert blob_files(hub) == []
    assert await rows_of(store, tables.blobs, "digest") == []
    assert list((hub.folder / "uploads").iterdir()) == []


async def test_a_file_that_is_replaced_while_it_is_written_never_becomes_a_blob(
    hub: Hub, client: Client
) -> None:
    location = await start(client)
    path = file_of(hub, location)

    async with hub.files.upload(path.name) as upload:
        upload.write(CONTENT)
        replace_file(path)
        with pytest.raises(FileNotFoundError):
            await hub.files.blobs.settle(upload, Digest.of(digest_of(CONTENT)))

    assert blob_files(hub) == []


async def test_an_upload_that_another_process_finishes_meanwhile_is_not_written_to(
    hub: Hub, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = await start(client)
    await client.send("PATCH", location, body=CONTENT)
    path, blob = file_of(hub, location), hub.folder / "blobs" / "settled"
    real = fcntl.flock

    def settle_first(descriptor: int, operation: int) -> None:
        if not blob.exists():
            path.rename(blob)  # between the opening and the lock
        real(descriptor, operation)

    monkeypatch.setattr(upload_files.fcntl, "flock", settle_first)
    async with hub.files.upload(path.name) as upload:
        size = upload.size
        upload.write(b"intruder")

    assert size == 0
    assert blob.read_bytes() == CONTENT
    assert path.read_bytes() == b"intruder"


async def test_a_chunk_that_did_not_reach_the_disk_is_not_acknowledged(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, pieces: list[bytes]) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    location = await start(client)
    monkeypatch.setattr(upload_files.os, "writev", full)

    answer = await client.send("PATCH", location, body=b"small")

    assert (answer.status, errors_of(answer)[0][0]) == (503, "UNAVAILABLE")
    assert (await client.get(location)).headers["range"] == "0-0"


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
async def test_an_upload_that_is_cancelled_while_it_comes_leaves_nothing(
    hub: Hub, client: Client, store: Store, verb: str
) -> None:
    location = await start(client)
    wire = Wire(hub.registry, client.token or "")
    wire.send(CONTENT)
    query = f"?digest={digest_of(CONTENT)}" if verb == "PUT" else ""
    running = asyncio.create_task(wire.request(verb, location + query))
    await until(wire.sent.empty)

    cancelled = await client.delete(location)
    wire.send(b"", more=False)

    assert (cancelled.status, await running) == (204, 404)
    assert [path for path in hub.folder.rglob("*") if path.is_file()] == []
    assert await rows_of(store, tables.blobs, "digest") == []


@pytest.mark.parametrize("verb", ["PATCH", "PUT"])
async def test_an_upload_that_is_cancelled_and_then_cut_off_leaves_nothing(
    hub: Hub, client: Client, verb: str
) -> None:
    location = await start(client)
    wire = Wire(hub.registry, client.token or "")
    wire.send(CONTENT)
    query = f"?digest={digest_of(CONTENT)}" if verb == "PUT" else ""
    running = asyncio.create_task(wire.request(verb, location + query))
    await until(wire.sent.empty)

    await client.delete(location)
    wire.hang_up()

    assert await running is None
    assert list((hub.folder / "uploads").iterdir()) == []


async def test_a_push_by_one_post_that_is_cut_off_leaves_nothing(
    hub: Hub, client: Client, store: Store
) -> None:
    wire = Wire(hub.registry, client.token or "")
    wire.send(CONTENT[:500_000])
    wire.hang_up()

    answer = await wire.request("POST", f"{UPLOADS}?digest={digest_of(CONTENT)}")

    assert answer is None
    assert await rows_of(store, tables.uploads, "id") == []
    assert [path for path in hub.folder.rglob("*") if path.is_file()] == []


async def test_an_upload_is_not_thrown_away_under_who_writes_to_it(
    hub: Hub, client: Client
) -> None:
    location = await start(client)
    path = file_of(hub, location)

    async with hub.files.upload(path.name) as upload:
        upload.write(CONTENT)
        await hub.files.discard(path.name)
        await hub.files.blobs.settle(upload, Digest.of(digest_of(CONTENT)))

    assert [blob.read_bytes() for blob in blob_files(hub)] == [CONTENT]
