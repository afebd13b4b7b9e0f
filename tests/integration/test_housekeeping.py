"""What the server does by itself, with everything wired as it runs: expiry, silence, garbage; and the command for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from dockbell.bootstrap import Application, build
from dockbell.cli.app import run as run_here
from dockbell.domain.digests import Digest
from dockbell.settings import Settings
from dockbell.store import notifications, tables
from dockbell.store.transactions import Store
from tests import queues
from tests.asgi import Client
from tests.e2e.programs import ROOT, environment_of
from tests.receiver import Receiver


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data=tmp_path, database_url=database_url, egress_allow=("loopback",))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as one:
        yield one


@pytest.fixture
async def application(store: Store, settings: Settings) -> AsyncIterator[Application]:
    del store  # whose tables are there
    application = build(settings)
    await application.start()
    try:
        yield application
    finally:
        await application.drain()
        await application.close()


async def add_tag(store: Store, name: str, *, expires_in: timedelta | None = None) -> None:
    """A tag with its manifest, made long ago, in the place of `queues`."""
    async with store.begin() as tx:
        await queues.add_place(tx)
        row = await tx.first(select(tables.repositories.c.id))
        assert row is not None
        long_ago = tx.now - timedelta(days=100)
        await tx.run(
            tables.manifests.insert().values(
                repository_id=row.id,
                digest=str(Digest.of_body(name.encode())),
                media_type="application/vnd.oci.image.index.v1+json",
                body=b"{}",
                created_at=long_ago,
            )
        )
        await tx.run(
            tables.tags.insert().values(
                repository_id=row.id,
                name=name,
                digest=str(Digest.of_body(name.encode())),
                created_at=long_ago,
                updated_at=long_ago,
                expires_at=None if expires_in is None else tx.now + expires_in,
            )
        )


async def listen(store: Store, url: str, kind: str, **event_config: object) -> None:
    async with store.begin() as tx:
        row = await tx.first(select(tables.repositories.c.id))
        assert row is not None
        made = await notifications.insert(
            tx,
            namespace_id=None,
            repository_id=row.id,
            kind=kind,
            method="webhook",
            title=None,
            config={"url": url},
            event_config=event_config,
        )
        await tx.run(
            update(tables.notifications)
            .where(tables.notifications.c.id == made.id)
            .values(created_at=tx.now - timedelta(days=30))
        )


async def test_a_process_that_is_too_old_for_the_tables_says_so(
    application: Application,
) -> None:
    client = Client(application.asgi)
    store, floors = application.store, tables.schema_floors
    await application._look_at_schema()
    before = await client.get("/readyz")
    well = await client.get("/health/instance")
    ((floor,),) = await queues.rows(store, select(floors.c.revision))
    async with store.begin() as tx:
        await tx.run(update(floors).values(revision="9999"))
    try:
        await application._look_at_schema()
        error = await application.outgrown()
        ill = await client.get("/health/endtoend")
    finally:
        async with store.begin() as tx:
            await tx.run(update(floors).values(revision=floor))
    after = await client.get("/readyz")

    assert (before.status, after.status) == (200, 503)
    assert (well.status, ill.status) == (200, 503)
    assert (well.json()["status_code"], ill.json()["status_code"]) == (200, 503)
    assert well.json()["data"]["services"]["schema"] is True
    assert ill.json()["data"]["services"] == {
        **well.json()["data"]["services"],
        "schema": False,
    }
    assert error is not None
    assert after.json()["reasons"] == {"schema": error.detail}
    assert "need a version of schema 9999 or newer" in error.detail


async def test_news_of_expiry_and_of_silence_is_delivered(
    application: Application, receiver: Receiver
) -> None:
    store = application.store
    await add_tag(store, "soon", expires_in=timedelta(hours=5))
    await listen(store, receiver.url("/expiry"), "repo_image_expiry", days=1)
    await listen(store, receiver.url("/silence"), "event_missing", hours=24)

    for _ in range(2):
        await application._look_at_expiry()
        await application._look_at_silence()
    requests = await receiver.wait_for(2)

    bodies = {request.path: json.loads(request.body) for request in requests}
    assert bodies["/expiry"]["tags"] == ["soon"]
    assert bodies["/silence"]["expected"] == "repo_push"


async def test_a_tag_that_has_expired_goes_and_its_manifest_and_files_later(
    application: Application, receiver: Receiver, tmp_path: Path
) -> None:
    store = application.store
    await add_tag(store, "over", expires_in=timedelta(hours=-5))
    await listen(store, receiver.url("/gone"), "tag_deleted")
    stray = tmp_path / "blobs" / "sha256" / "00" / ("0" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    old = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    os.utime(stray, (old, old))

    await application._look_at_expiry()
    await application._purge()
    (request,) = await receiver.wait_for(1)

    assert json.loads(request.body)["reason"] == "expired"
    async with store.read() as tx:
        left = [await tx.rows(select(table)) for table in (tables.tags, tables.manifests)]
    assert (left, stray.exists()) == ([[], []], False)


def _path(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / "sha256" / digest.hex[:2] / digest.hex


async def _fill(store: Store, folder: Path, number: int) -> list[Digest]:
    """Content that no repository holds since days."""
    found = []
    async with store.begin() as tx:
        long_ago = tx.now - timedelta(days=3)
        for place in range(number):
            digest = Digest.of_body(b"content %d" % place)
            path = _path(folder, digest)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"content %d" % place)
            found.append(digest)
            await tx.run(
                tables.blobs.insert().values(
                    digest=str(digest),
                    size=path.stat().st_size,
                    created_at=long_ago,
                    unheld_since=long_ago,
                )
            )
    return found


async def test_the_command_frees_space_and_tells_before(
    store: Store,
    database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    own_logging: None,
) -> None:
    del own_logging
    await _fill(store, tmp_path, 3)
    words = ("blobs", "prune", "--data", str(tmp_path), "--database-url", database_url)
    application = build(Settings(data=tmp_path, database_url=database_url))
    await application.prepare()
    await application.close()

    capsys.readouterr()  # what was logged so far

    async def do(*more: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run_here, [*words, *more])
        return code, *capsys.readouterr()

    dry = await do("--dry-run", "-o", "json")
    done = await do("-o", "json")
    said = await do()

    assert [json.loads(one[1])["blobs"] for one in (dry, done)] == [3, 3], (dry, done)
    assert json.loads(dry[1])["dry_run"] is True
    assert (said[0], said[1]) == (0, "")
    assert "0 blobs with 0 bytes" in said[2]


async def test_a_command_that_is_killed_amid_leaves_no_row_without_its_file_in_use(
    store: Store, database_url: str, tmp_path: Path, own_logging: None
) -> None:
    del own_logging
    digests = await _fill(store, tmp_path, 200)
    paths = [_path(tmp_path, digest) for digest in digests]
    application = build(Settings(data=tmp_path, database_url=database_url))
    await application.prepare()
    await application.close()
    words = ("blobs", "prune", "--data", str(tmp_path))

    for _ in range(2):
        process = subprocess.Popen(  # noqa: ASYNC220 -- our own program, which is killed at once
            [sys.executable, "-m", "dockbell", *words],
            cwd=tmp_path,
            env=environment_of(
                DOCKBELL_DATABASE_URL=database_url, PYTHONPATH=str(ROOT / "src")
            ),
            stderr=subprocess.DEVNULL,
        )
        before = sum(map(os.path.exists, paths))
        async with asyncio.timeout(30):
            while sum(map(os.path.exists, paths)) > before - 20:
                if process.poll() is not None:
                    break
                await asyncio.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    rows = await _known(store)
    left = [digest for digest in digests if _path(tmp_path, digest).is_file()]
    code = await asyncio.to_thread(run_here, [*words, "--database-url", database_url])

    # A row goes with its file: at most the one at each kill has lost its file first.
    assert 0 <= len(rows) - len(left) <= 2
    assert {str(digest) for digest in left} <= rows
    assert code == 0
    assert await _known(store) == set()
    assert [digest for digest in digests if _path(tmp_path, digest).is_file()] == []


async def _known(store: Store) -> set[Any]:
    async with store.read() as tx:
        return {row.digest for row in await tx.rows(select(tables.blobs.c.digest))}
