"""A PostgreSQL that restarts, or stands still, under a server that runs."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import Program, processor_seconds_of, serving
from tests.postgres import Postgres
from tests.receiver import Receiver

PASSWORD = "correct-horse-battery"
QUICK = 1.0  # seconds that an answer may take while the database refuses connections
RECOVERY = 5.0
READINESS = 6.0
SPAN = 4.0


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A server of this test's own, which it may end."""
    server = Postgres()
    yield server
    server.stop()


@dataclass(frozen=True, slots=True)
class Site:
    """A running dockbell with a notification."""

    server: Program
    receiver: Receiver
    token: str
    test_path: str

    async def call(self, verb: str, path: str, body: Any = None) -> tuple[int, Any, float]:
        """Status, JSON answer, and the seconds that it took."""
        started = time.monotonic()
        status, answer = await asyncio.to_thread(
            self.server.call, verb, path, body, Authorization=f"Bearer {self.token}"
        )
        return status, answer, time.monotonic() - started

    async def test(self) -> int:
        return (await self.call("POST", self.test_path))[0]

    async def until(self, is_so: Callable[[tuple[int, Any, float]], bool], path: str) -> float:
        """Ask until the answer is so; the seconds until then."""
        started = time.monotonic()
        async with asyncio.timeout(30):
            while not is_so(await self.call("GET", path)):
                await asyncio.sleep(0.05)
        return time.monotonic() - started


@pytest.fixture
async def site(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        server = stack.enter_context(
            serving(
                tmp_path,
                "--user-initialize",
                DOCKBELL_DATABASE_URL=postgres.url,
                DOCKBELL_EGRESS_ALLOW="loopback",
            )
        )
        first = {"username": "alice", "password": PASSWORD, "access_token": True}
        _, made = await asyncio.to_thread(server.call, "POST", "/api/v1/user/initialize", first)
        site = Site(server, receiver, made["access_token"], "")
        repository = {"repository": "web", "visibility": "private", "description": ""}
        await site.call("POST", "/api/v1/repository", repository)
        path = "/api/v1/repository/alice/web/notification/"
        wanted = {
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": receiver.url("/hook")},
            "eventConfig": {},
        }
        _, notification, _ = await site.call("POST", path, wanted)
        yield Site(server, receiver, site.token, f"{path}{notification['uuid']}/test")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_restart_is_outlived(
    site: Site, postgres: Postgres, how: signal.Signals
) -> None:
    assert await site.test() == 200
    await site.receiver.wait_for(1)

    await asyncio.to_thread(postgres.end, how)
    away = [
        await site.call("GET", "/api/v1/user/"),
        await site.call("POST", site.test_path),
        await site.call("GET", "/readyz"),
    ]
    await asyncio.to_thread(postgres.start)
    ready_after = await site.until(lambda answer: answer[0] == 200, "/readyz")
    answer = await site.call("GET", "/api/v1/user/")
    tested = await site.test()
    await site.receiver.wait_for(2)

    reason = "The database cannot be reached."
    assert [(status, said.get("detail", said)) for status, said, _ in away] == [
        (503, reason),
        (503, reason),
        (503, {"status": "not ready", "reasons": {"database": reason}}),
    ]
    assert [seconds for *_, seconds in away if seconds > QUICK] == []
    assert (answer[0], answer[1]["username"], tested) == (200, "alice", 200)
    assert ready_after < RECOVERY
    assert site.server.process.poll() is None
    assert "Traceback" not in site.server.said


async def test_what_is_on_its_way_is_delivered_after_a_restart(
    site: Site, postgres: Postgres
) -> None:
    answered = asyncio.Event()
    site.receiver.answer(status=200, wait=answered, times=1)
    assert await site.test() == 200
    await site.receiver.wait_for(1)

    await asyncio.to_thread(postgres.end, signal.SIGQUIT)
    answered.set()  # the result comes while nobody can write it down
    await asyncio.to_thread(postgres.start)
    await site.until(lambda answer: answer[0] == 200, "/readyz")
    assert await site.test() == 200
    requests = await site.receiver.wait_for(2)

    first, second = (request.header("webhook-id") for request in requests)
    assert first != second


async def test_a_server_without_its_database_is_idle(site: Site, postgres: Postgres) -> None:
    assert await site.test() == 200
    await site.receiver.wait_for(1)
    await asyncio.to_thread(postgres.end, signal.SIGINT)
    await site.until(lambda answer: answer[0] == 503, "/readyz")

    before = processor_seconds_of(site.server)
    await asyncio.sleep(SPAN)  # the time over which it is measured
    used = processor_seconds_of(site.server) - before
    await asyncio.to_thread(postgres.start)

    assert used < 0.05 * SPAN


async def test_readiness_does_not_wait_for_a_database_that_stands_still(
    site: Site, postgres: Postgres
) -> None:
    postgres.freeze()
    try:
        frozen = [await site.call("GET", "/readyz") for _ in range(2)]
    finally:
        postgres.freeze(signal.SIGCONT)
    thawed = await site.until(lambda answer: answer[0] == 200, "/readyz")

    reason = "The database did not answer within 3 seconds."
    assert [(status, said) for status, said, _ in frozen] == [
        (503, {"status": "not ready", "reasons": {"database": reason}})
    ] * 2
    assert [seconds for *_, seconds in frozen if seconds > READINESS] == []
    assert thawed < RECOVERY


async def test_calls_during_a_restart_are_done_or_refused(
    site: Site, postgres: Postgres
) -> None:
    is_over = asyncio.Event()
    answers: list[tuple[str, int, float]] = []

    async def create(worker: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            name = f"r{worker}-{number}"
            body = {"repository": name, "visibility": "public", "description": ""}
            status, _, seconds = await site.call("POST", "/api/v1/repository", body)
            answers.append((name, status, seconds))

    workers = [asyncio.create_task(create(worker)) for worker in range(6)]
    for how in (signal.SIGQUIT, signal.SIGINT):
        await _until_more(answers, 30)
        await asyncio.to_thread(postgres.end, how)
        await _until_more(answers, 10)
        await asyncio.to_thread(postgres.start)
    await _until_more(answers, 30)
    is_over.set()
    await asyncio.gather(*workers)
    kept: set[str] = set()
    page = ""
    while page is not None:
        path = f"/api/v1/repository?namespace=alice&next_page={page}"
        _, found, _ = await site.call("GET", path)
        kept |= {one["name"] for one in found["repositories"]}
        page = found.get("next_page")

    made = {name for name, status, _ in answers if status == 201}
    assert {status for _, status, _ in answers} == {201, 503}
    assert made - kept == set()
    assert max(seconds for *_, seconds in answers) < RECOVERY


async def _until_more(answers: list[tuple[str, int, float]], count: int) -> None:
    wanted = len(answers) + count
    async with asyncio.timeout(20):
        while len(answers) < wanted:
            await asyncio.sleep(0.01)
