"""A server that is killed loses nothing that it has acknowledged."""

import asyncio
import http.client
import itertools
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dockbell.cli.own_image import build_image, push
from tests.e2e.programs import Program, serving
from tests.receiver import Receiver

PASSWORD = "correct-horse-battery"
TAGS = [f"v{number}" for number in range(5)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


def settings_of(database_url: str) -> dict[str, str]:
    return {
        "DOCKBELL_DATABASE_URL": database_url,
        "DOCKBELL_EGRESS_ALLOW": "loopback",
        "DOCKBELL_USER_INITIALIZE": "true",
        "DOCKBELL_SEND_TIMEOUT": "2",
        "DOCKBELL_RETRY_WAITS": "0.2,0.2,0.2,1,1,1",
    }


def furnish(server: Program, url: str) -> dict[str, str]:
    """The user alice with the repository alice/web, whose pushes go to that address. Return alice's headers."""
    first = {"username": "alice", "password": PASSWORD, "access_token": True}
    _, made = server.call("POST", "/api/v1/user/initialize", first)
    bearer = {"Authorization": f"Bearer {made['access_token']}"}
    repository = {"repository": "web", "visibility": "private", "description": ""}
    server.call("POST", "/api/v1/repository", repository, **bearer)
    wanted: dict[str, Any] = {"event": "repo_push", "method": "webhook", "eventConfig": {}}
    status, _ = server.call(
        "POST",
        "/api/v1/repository/alice/web/notification/",
        {**wanted, "config": {"url": url}},
        **bearer,
    )
    assert status == 201
    return bearer


def push_all(server: Program) -> None:
    for tag in TAGS:
        push(server.address, "alice/web", tag, build_image(), ("alice", PASSWORD))


def tags_of(receiver: Receiver) -> dict[str, list[str]]:
    """Which delivery brought which tag."""
    return {
        dict(request.headers)["webhook-id"]: json.loads(request.body)["updated_tags"]
        for request in receiver.requests
    }


@pytest.mark.slow
async def test_a_push_that_was_acknowledged_rings_after_a_kill_before_any_try(
    tmp_path: Path, database_url: str, receiver: Receiver
) -> None:
    settings = settings_of(database_url)
    with serving(tmp_path, "--no-engine", **settings) as server:
        furnish(server, receiver.url("/hook"))
        push_all(server)
        server.end(signal.SIGKILL)
    before = len(receiver.requests)

    with serving(tmp_path, **settings) as again:
        await receiver.wait_for(len(TAGS))
        code = again.end()

    assert (before, code) == (0, 0)
    assert sorted(tags_of(receiver).values()) == [[tag] for tag in TAGS]
    assert len(receiver.requests) == len(TAGS)


@pytest.mark.slow
async def test_a_try_that_a_kill_cut_off_is_made_again_with_the_same_id(
    tmp_path: Path, database_url: str, receiver: Receiver
) -> None:
    if database_url.startswith("postgresql"):
        pytest.skip(
            "on PostgreSQL a lease must run out first: contract/test_deliveries.py with a set clock"
        )
    settings = settings_of(database_url)
    receiver.answer(drop="stall")
    with serving(tmp_path, **settings) as server:
        furnish(server, receiver.url("/hook"))
        await asyncio.to_thread(push_all, server)
        await receiver.wait_for(len(TAGS))
        server.end(signal.SIGKILL)
    cut_off = tags_of(receiver)
    receiver.answer(status=200)

    with serving(tmp_path, **settings) as again:
        await receiver.wait_for(2 * len(TAGS))
        code = again.end()

    assert code == 0
    assert sorted(cut_off.values()) == [[tag] for tag in TAGS]
    assert tags_of(receiver) == cut_off
    assert len(receiver.requests) == 2 * len(TAGS)


def report_until_gone(
    server: Program, bearer: dict[str, str], program: int, told: dict[str, str | None]
) -> None:
    """Report one event after another; note each id, and dockbell's own once it was answered."""
    for number in itertools.count():
        producer_id = f"p{program}-{number}"
        told[producer_id] = None
        event = {
            "id": producer_id,
            "event": "repo_push",
            "repository": "alice/web",
            "data": {"updated_tags": [producer_id]},
        }
        try:
            status, answer = server.call("POST", "/api/v2/events", event, **bearer)
        except (OSError, http.client.HTTPException):
            return
        assert status == 202, answer
        told[producer_id] = answer["id"]


@pytest.mark.slow
async def test_events_that_were_reported_when_the_server_was_killed_are_there_once(
    tmp_path: Path, database_url: str, receiver: Receiver
) -> None:
    """Reliability 1 and 2: what was answered is kept, and what was not can be sent again."""
    settings = settings_of(database_url)
    told: dict[str, str | None] = {}
    with serving(tmp_path, "--no-engine", **settings) as server:
        bearer = furnish(server, receiver.url("/hook"))
        programs = [
            asyncio.create_task(
                asyncio.to_thread(report_until_gone, server, bearer, number, told)
            )
            for number in range(4)
        ]
        async with asyncio.timeout(60):
            while sum(own is not None for own in dict(told).values()) < 40:
                await asyncio.sleep(0.01)
        server.end(signal.SIGKILL)
        await asyncio.gather(*programs)

    with serving(tmp_path, **settings) as again:
        repeated = {}
        for producer_id in told:
            event = {
                "id": producer_id,
                "event": "repo_push",
                "repository": "alice/web",
                "data": {"updated_tags": [producer_id]},
            }
            _, repeated[producer_id] = again.call("POST", "/api/v2/events", event, **bearer)
        await receiver.wait_for(len(told))
        again.end()

    answered = {producer_id: own for producer_id, own in told.items() if own is not None}
    assert {
        producer_id: (repeated[producer_id]["status"], repeated[producer_id]["id"])
        for producer_id in answered
    } == {producer_id: ("duplicate", own) for producer_id, own in answered.items()}
    assert sorted(tags_of(receiver).values()) == sorted([producer_id] for producer_id in told)
