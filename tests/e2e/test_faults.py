"""Processes that are killed, stopped or starved at a chosen moment lose nothing."""

import asyncio
import base64
import contextlib
import os
import re
import resource
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select

from dockbell.cli.own_image import build_image, push
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.e2e.programs import Program, processor_seconds_of, serving, unheard
from tests.engines import until_states
from tests.receiver import Receiver

IDLE_SECONDS = 5
PASSWORD = "correct-horse-battery"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


def settings_of(database_url: str, **more: str) -> dict[str, str]:
    return {
        "DOCKBELL_DATABASE_URL": database_url,
        "DOCKBELL_EGRESS_ALLOW": "loopback",
        "DOCKBELL_USER_INITIALIZE": "true",
        "DOCKBELL_RETRY_WAITS": "0.2,0.2,0.2,1,1,1",
        **more,
    }


def furnish(server: Program, *urls: str) -> None:
    """The user alice with the repository alice/web, whose pushes go to these addresses."""
    first = {"username": "alice", "password": PASSWORD, "access_token": True}
    _, made = server.call("POST", "/api/v1/user/initialize", first)
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    repository = {"repository": "web", "visibility": "private", "description": ""}
    server.call("POST", "/api/v1/repository", repository, **bearer)
    for url in urls:
        wanted: dict[str, Any] = {"event": "repo_push", "method": "webhook", "eventConfig": {}}
        status, _ = server.call(
            "POST",
            "/api/v1/repository/alice/web/notification/",
            {**wanted, "config": {"url": url}},
            **bearer,
        )
        assert status == 201


async def push_one(server: Program, tag: str = "v1") -> None:
    await asyncio.to_thread(
        push, server.address, "alice/web", tag, build_image(), ("alice", PASSWORD)
    )


@contextlib.asynccontextmanager
async def nothing_can_be_written(database_url: str) -> AsyncIterator[None]:
    """Hold what every settling needs, from another connection."""
    if database_url.startswith("sqlite"):
        with contextlib.closing(
            sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
        return
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def let_leases_end(database_url: str) -> None:
    """As if the time of every lease were over. On SQLite a start takes them back anyway."""
    if database_url.startswith("postgresql"):
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("UPDATE deliveries SET leased_until = 0 WHERE lease <> ''")
        finally:
            await connection.close()


@pytest.mark.slow
async def test_a_success_that_a_kill_kept_from_the_tables_is_sent_once_more(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    settings = settings_of(database_url)
    with serving(tmp_path, **settings) as server:
        furnish(server, receiver.url("/hook"))
        await push_one(server)
        await receiver.wait_for(1)
        async with nothing_can_be_written(database_url):
            may_answer.set()
            await receiver.wait_for_answers(1)
            server.end(signal.SIGKILL)
    await let_leases_end(database_url)

    with serving(tmp_path, **settings) as again:
        await receiver.wait_for(2, within=10)
        await until_states(store, "delivered")
        code = again.end()

    assert code == 0
    first, second = receiver.requests
    assert first.header("webhook-id") == second.header("webhook-id")
    assert first.body == second.body
    ((delivery_id, tries),) = await queues.rows(
        store, select(t.deliveries.c.id, t.deliveries.c.tries)
    )
    assert (tries, await queues.attempts(store, delivery_id)) == (
        1,
        [(1, "failed", "interrupted"), (2, "delivered", "ok")],
    )
    await queues.assert_lanes_are_right(store)


@pytest.mark.slow
async def test_an_ordered_end_waits_for_what_is_under_way(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)
    with serving(tmp_path, **settings_of(database_url)) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(60)))
        await push_one(server)
        await receiver.wait_for(60, within=20)
        server.send(signal.SIGTERM)
        may_answer.set()
        code = await asyncio.to_thread(server.process.wait, 20)

    assert code == 0
    assert Counter((await queues.states(store)).values()) == {"delivered": 60}
    assert len(receiver.requests) == 60
    await queues.assert_lanes_are_right(store)


@pytest.mark.slow
async def test_a_second_signal_hands_back_what_is_under_way(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    receiver.answer(drop="stall")
    with serving(tmp_path, **settings_of(database_url)) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(20)))
        await push_one(server)
        await receiver.wait_for(20, within=20)
        server.send(signal.SIGTERM)
        await asyncio.sleep(0.2)  # signals of one kind that come together are one
        code = await asyncio.to_thread(server.end)

    left = select(t.deliveries.c.state, t.deliveries.c.tries, t.deliveries.c.lease)
    assert code == 1
    assert await queues.rows(store, left) == [("waiting", 0, None)] * 20
    await queues.assert_lanes_are_right(store)


@pytest.mark.slow
async def test_deliveries_go_on_when_no_log_line_can_be_written(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    with unheard(tmp_path, **settings_of(database_url)) as server:
        furnish(server, receiver.url("/hook"), receiver.url("/fails"))
        receiver.answer(status=500, times=1)  # a try that failed is a line at the usual level
        await push_one(server)
        await until_states(store, "delivered", "delivered")
        code = await asyncio.to_thread(server.end)

    assert code == 0
    assert len(receiver.requests) == 3


@pytest.mark.slow
async def test_an_idle_server_does_next_to_nothing(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    with serving(tmp_path, **settings_of(database_url)) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(20)))
        await push_one(server)
        await until_states(store, *["delivered"] * 20)
        await asyncio.sleep(2)  # what follows from the work is over

        before = processor_seconds_of(server)
        await asyncio.sleep(IDLE_SECONDS)  # the time over which it is measured
        used = processor_seconds_of(server) - before

    assert used <= 0.02 * IDLE_SECONDS


@pytest.mark.slow
async def test_enormous_answers_to_hundreds_of_tries_take_little_memory(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    receiver.answer(body=lambda: (b"x" * 65_536 for _ in range(320)))  # 20 MiB, and no length
    with serving(tmp_path, **settings_of(database_url)) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(150)))
        before = memory_of(server)
        for tag in ("v1", "v2"):
            await push_one(server, tag)
        await until_states(store, *["delivered"] * 300)
        most = memory_of(server)

    assert most - before < 64 << 20  # of 6 GB


def memory_of(server: Program) -> int:
    """The most that the process has held at once, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) << 10


@pytest.mark.slow
def test_no_secret_stands_in_the_process_list_and_a_crash_leaves_no_core(
    tmp_path: Path,
) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    secrets = {
        "DOCKBELL_SECRET_KEY": key,
        "DOCKBELL_METRICS_TOKEN": "metrics-s3cret",
        "DOCKBELL_EGRESS_PROXY": "http://user:proxy-s3cret@127.0.0.1:9",
    }
    with serving(tmp_path, **secrets) as server:
        process = Path(f"/proc/{server.process.pid}")
        listed = (process / "cmdline").read_bytes() + (process / "comm").read_bytes()
        limits = (process / "limits").read_text()
        server.send(signal.SIGABRT)
        code = server.process.wait(20)

    assert code == -signal.SIGABRT
    assert [one for one in (key, "s3cret") if one.encode() in listed] == []
    assert re.search(r"Max core file size +0 ", limits)
    assert [path for path in tmp_path.rglob("*") if "core" in path.name] == []


@pytest.mark.slow
async def test_a_process_without_descriptors_charges_nobody_and_recovers(
    tmp_path: Path, database_url: str, store: Store, receiver: Receiver
) -> None:
    settings = settings_of(
        database_url,
        DOCKBELL_RETRY_WAITS="0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5",
    )
    with serving(tmp_path, **settings) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(40)))
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        opened = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 -- no file is waited for
        may_answer = asyncio.Event()
        receiver.answer(wait=may_answer)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened + 12, before[1]))
        with contextlib.suppress(Exception):  # the push itself may find no descriptor
            await push_one(server)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (opened + 8, before[1]))
        with contextlib.suppress(AssertionError):
            await receiver.wait_for(40, within=2)
        came = len(receiver.requests)
        may_answer.set()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        await push_one(server, "v2")
        await until_states(store, *["delivered"] * len(await queues.states(store)))
        code = await asyncio.to_thread(server.end)

    assert code == 0
    assert came < 40
    outcomes = (
        select(t.attempts.c.code, t.attempts.c.fault).distinct().order_by(t.attempts.c.code)
    )
    assert await queues.rows(store, outcomes) == [("ok", None), ("out_of_sockets", "ours")]
    tries = await queues.rows(store, select(t.deliveries.c.tries))
    assert set(tries) == {(1,)}
    await queues.assert_lanes_are_right(store)
