"""Quay's read calls of builds: list, get, status, logs."""

from typing import Any

import pytest

from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, said
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import World, open_world

BUILD = "/api/v1/repository/acme/web/build/"
REPORTS = "/api/v2/repositories/acme/web/builds"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write repo:read")


async def make(client: Client, **report: Any) -> str:
    answer = await client.post(REPORTS, report)
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["build"]["uuid"]
    return uuid


async def test_a_build_has_quays_keys_and_phase(writer: Client) -> None:
    uuid = await make(
        writer,
        status="failure",
        name="web #7",
        tags=["v1"],
        error_message="broken",
        trigger={"kind": "github", "id": "tri-1", "git_url": "https://git.test/web"},
    )

    one = await writer.get(f"{BUILD}{uuid}")
    status = await writer.get(f"{BUILD}{uuid}/status")

    assert said(one) == said(status)
    assert one.json() == {
        "id": uuid,
        "phase": "error",
        "started": "Sat, 14 Mar 2026 12:00:00 -0000",
        "display_name": "web #7",
        "status": {},
        "subdirectory": "",
        "dockerfile_path": "",
        "context": "",
        "tags": ["v1"],
        "manual_user": None,
        "is_writer": True,
        "trigger": {
            "id": "tri-1",
            "service": "github",
            "is_active": True,
            "build_source": "https://git.test/web",
            "repository_url": "https://git.test/web",
            "config": {},
            "can_invoke": False,
            "enabled": True,
            "disabled_reason": None,
        },
        "trigger_metadata": {"git_url": "https://git.test/web"},
        "resource_key": None,
        "pull_robot": None,
        "repository": {"namespace": "acme", "name": "web"},
        "error": "broken",
    }


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("queued", "waiting"),
        ("started", "building"),
        ("success", "complete"),
        ("failure", "error"),
        ("cancelled", "cancelled"),
    ],
)
async def test_each_state_is_a_phase_of_quays(writer: Client, status: str, phase: str) -> None:
    uuid = await make(writer, status=status)

    assert (await writer.get(f"{BUILD}{uuid}")).json()["phase"] == phase


async def test_the_list_has_five_the_newest_first_unless_told_otherwise(
    writer: Client, clock: SetClock
) -> None:
    made = []
    for _ in range(6):
        made.append(await make(writer))
        clock.move(seconds=10)
    newest = made[::-1]
    since = int(clock().timestamp()) - 15

    async def ids(query: str = "") -> list[str]:
        found = await writer.get(f"{BUILD}{query}")
        assert set(found.json()) == {"builds"}
        return [one["id"] for one in found.json()["builds"]]

    assert await ids() == newest[:5]
    assert await ids("?limit=2") == newest[:2]
    assert await ids("?limit=1000") == newest
    assert await ids("?limit=0") == []
    assert await ids(f"?since={since}") == newest[:1]
    assert (await writer.get(BUILD.rstrip("/"))).status == 200


async def test_arguments_that_are_no_numbers_are_400(writer: Client) -> None:
    limit = await writer.get(f"{BUILD}?limit=x")
    since = await writer.get(f"{BUILD}?since=99999999999999999")

    assert limit.json() == {
        "message": {"limit": "The maximum number of builds to return (int)"}
    }
    assert (since.status, since.json()["detail"]) == (
        400,
        "since must be a time in seconds since 1970",
    )


async def test_the_log_has_a_line_for_each_step(writer: Client, clock: SetClock) -> None:
    uuid = await make(writer, id="ci-1", url="https://ci.test/1")
    clock.move(seconds=60)
    await writer.post(REPORTS, {"id": "ci-1", "status": "failure", "error_message": "broken"})

    whole = await writer.get(f"{BUILD}{uuid}/logs")
    rest = await writer.get(f"{BUILD}{uuid}/logs?start=2")

    lines = [
        {
            "type": "phase",
            "message": "waiting",
            "data": {"datetime": "2026-03-14T12:00:00+00:00"},
        },
        {
            "type": "phase",
            "message": "error",
            "data": {"datetime": "2026-03-14T12:01:00+00:00"},
        },
        {"type": "error", "message": "broken"},
        {"type": "entry", "message": "https://ci.test/1"},
    ]
    assert whole.json() == {"start": 0, "total": 4, "logs": lines}
    assert rest.json() == {"start": 2, "total": 4, "logs": lines[2:]}


async def test_who_may_read_builds(world: World, writer: Client) -> None:
    uuid = await make(writer)
    reader, fresh = await world.client("reader", "repo:read"), await world.client("fresh")

    assert (await reader.get(BUILD)).json()["builds"][0]["is_writer"] is False
    assert (await reader.get(f"{BUILD}{uuid}")).status == 200
    assert said(await reader.get(f"{BUILD}{uuid}/logs")) == (403, FORBIDDEN)
    assert said(await fresh.get(BUILD)) == (403, FORBIDDEN)
    assert said(await world.anonymous.get(BUILD)) == (401, UNAUTHENTICATED)
    assert said(await reader.get(f"{BUILD}no-such-build")) == (404, NOT_FOUND)
    assert (await writer.post(BUILD, {})).status == 405
