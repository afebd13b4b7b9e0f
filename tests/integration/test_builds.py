"""Builds that build systems report: who may, the steps, one event each, whatever is told twice or late."""

import asyncio
import itertools
from typing import Any

import pytest
from sqlalchemy import insert, select

from dockbell.domain.secrets import hash_of
from dockbell.services import builds as service
from dockbell.store import builds as rows
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import hub
from tests.accounts import Statements, said
from tests.asgi import Client
from tests.conftest import SetClock
from tests.three_ways import listening
from tests.world import World, open_world

BUILDS = "/api/v2/repositories/acme/web/builds"
STEPS = ("queued", "started", "success", "failure", "cancelled")
EVENTS = {
    "queued": "build_queued",
    "started": "build_start",
    "success": "build_success",
    "failure": "build_failure",
    "cancelled": "build_cancelled",
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write")


async def kinds_of(store: Store) -> list[str]:
    async with store.read() as tx:
        found = await tx.rows(select(t.events.c.kind).order_by(t.events.c.id))
    return [row.kind for row in found]


async def report(client: Client, status: str, **more: Any) -> dict[str, Any]:
    answer = await client.post(BUILDS, {"status": status, **more})
    assert answer.status in {200, 201}, answer.body
    told: dict[str, Any] = answer.json()
    return told


async def test_each_step_of_builds_reaches_a_webhook_a_mailbox_and_a_bell(
    world: World, writer: Client, clock: SetClock
) -> None:
    trigger = {
        "kind": "jenkins",
        "id": "deploy",
        "ref": "refs/heads/main",
        "commit": "42d4a62c53350993ea41069e9f2cfdefb0df097d",
    }
    async with listening(world.store, clock, list(EVENTS.values())) as ways:
        first = await report(
            writer, "queued", id="ci-1", name="web #1", tags=["v1"], trigger=trigger
        )
        await report(writer, "started", id="ci-1")
        await report(writer, "failure", id="ci-1", error_message="no <space> left")
        await report(writer, "success", id="ci-2", manifest_digests=[f"sha256:{'a' * 64}"])
        await report(writer, "cancelled", id="ci-3")

        hooks = dict(await ways.webhooks(5))
        subjects = await ways.subjects(5)
        bells = dict(await ways.bells(5))

    uuid = first["build"]["uuid"]
    base = {
        "repository": "acme/web",
        "namespace": "acme",
        "name": "web",
        "docker_url": "dockbell.test/acme/web",
        "homepage": f"https://dockbell.test/repository/acme/web/build/{uuid}",
    }
    metadata = {"ref": trigger["ref"], "commit": trigger["commit"]}
    whence = {
        "trigger_id": "deploy",
        "trigger_kind": "jenkins",
        "trigger_metadata": metadata,
    }
    named = {"build_id": uuid, "build_name": "web #1", "docker_tags": ["v1"]}
    assert hooks["build_queued"] == {
        **base,
        **named,
        "repo": "web",
        "is_manual": False,
        "manual_user": None,
        **whence,
        "trigger_manual": False,
    }
    assert hooks["build_start"] == {**base, **named, **whence}
    assert hooks["build_failure"] == {
        **base,
        **named,
        **whence,
        "error_message": "no <space> left",
    }
    success = hooks["build_success"]
    assert (success["trigger_metadata"], success["trigger_id"]) == ({}, None)
    assert success["manifest_digests"] == [f"sha256:{'a' * 64}"]
    assert bells == hooks
    assert [subject.partition(" [")[0] for subject in subjects] == [
        "Build cancelled for repository acme/web",
        "Build failure for repository acme/web",
        "Build queued for repository acme/web",
        "Build started for repository acme/web",
        "Build succeeded for repository acme/web",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS[:4])))
async def test_reports_in_any_order_and_twice_make_no_event_twice_and_the_first_end_stands(
    store: Store, order: tuple[str, ...]
) -> None:
    world = await open_world(store)
    writer = await world.client("writer", "repo:write")
    ends = [step for step in order if step in {"success", "failure"}]
    ranks = {"queued": 0, "started": 1, "success": 2, "failure": 2}
    expected = [
        EVENTS[step]
        for at, step in enumerate(order)
        if all(ranks[step] > ranks[other] for other in order[:at])
    ]

    for step in order:
        await report(writer, step, id="ci-1")
        await report(writer, step, id="ci-1")

    (build,) = (await writer.get(BUILDS)).json()["items"]
    assert await kinds_of(store) == expected
    assert build["status"] == ends[0]


async def test_many_reports_of_one_step_at_once_make_one_build_and_one_event(
    world: World, writer: Client
) -> None:
    told = await asyncio.gather(*(report(writer, "started", id="ci-1") for _ in range(8)))

    assert len({one["build"]["id"] for one in told}) == 1
    assert len([one for one in told if one["event_id"] is not None]) == 1
    assert await kinds_of(world.store) == ["build_start"]


async def test_a_build_is_updated_and_shown_by_the_build_systems_own_id(
    world: World, writer: Client
) -> None:
    made = await writer.post(BUILDS, {"id": "ci 1#a", "name": "nightly"})
    other = (await writer.post(BUILDS, {"name": "other"})).json()["build"]
    # A build system may give the id of another build: the one that has it here goes first.
    await writer.post(BUILDS, {"id": other["uuid"], "name": "twin"})

    changed = await writer.send("PATCH", f"{BUILDS}/ci%201%23a", {"status": "started"})
    shown = await writer.get(f"{BUILDS}/ci%201%23a")
    first = await writer.get(f"{BUILDS}/{other['uuid']}")
    unknown = await writer.send("PATCH", f"{BUILDS}/ci-2", {"status": "started"})

    assert (changed.status, changed.json()["build"]["status"]) == (200, "started")
    assert shown.json() == {**changed.json()["build"], "id": made.json()["build"]["id"]}
    assert first.json()["name"] == "other"
    assert unknown.status == 404


async def test_a_build_is_updated_by_its_id_or_uuid(
    world: World, writer: Client, clock: SetClock
) -> None:
    made = await writer.post(BUILDS, {"name": "nightly", "tags": ["v1"]})
    build = made.json()["build"]
    clock.move(seconds=5)

    started = await writer.send("PATCH", f"{BUILDS}/{build['id']}", {"status": "started"})
    clock.move(seconds=5)
    ended = await writer.send(
        "PATCH", f"{BUILDS}/{build['uuid']}", {"status": "success", "image_id": "abc"}
    )
    late = await writer.send(
        "PATCH", f"{BUILDS}/{build['id']}", {"status": "failure", "url": "https://ci.test/1"}
    )

    assert [one.status for one in (made, started, ended, late)] == [201, 200, 200, 200]
    assert late.json()["event_id"] is None
    assert (await writer.get(f"{BUILDS}/{build['id']}")).json() == {
        **build,
        "status": "success",
        "image_id": "abc",
        "url": "https://ci.test/1",
        "queued_at": "2026-03-14T12:00:00Z",
        "started_at": "2026-03-14T12:00:05Z",
        "finished_at": "2026-03-14T12:00:10Z",
        "updated_at": "2026-03-14T12:00:10Z",
    }
    assert await kinds_of(world.store) == ["build_queued", "build_start", "build_success"]


async def test_only_who_may_push_reports_builds(world: World) -> None:
    found = {
        name: (await (await world.client(name, "repo:write")).post(BUILDS, {})).status
        for name in ("boss", "admin", "writer", "reader", "fresh")
    }
    without_scope = await (await world.client("admin", "repo:read")).post(BUILDS, {})
    anonymous = await world.anonymous.post(BUILDS, {})

    assert found == {"boss": 201, "admin": 201, "writer": 201, "reader": 403, "fresh": 404}
    assert (without_scope.status, anonymous.status) == (403, 401)


async def test_a_robot_reports_with_its_name_and_token(world: World, store: Store) -> None:
    async with store.begin() as tx:
        web = await tx.first(select(t.repositories.c.id).where(t.repositories.c.name == "web"))
        assert web is not None
        await tx.run(
            insert(t.robots).values(
                id="rob_ci",
                namespace_id="ns_acme",
                name=hub.ROBOT,
                token_hash=hash_of(hub.ROBOT_TOKEN),
                token_sealed=tx.seal.close(hub.ROBOT_TOKEN.encode()),
                created_at=tx.now,
            )
        )
        await tx.run(
            insert(t.permissions).values(
                repository_id=web.id, holder_id="rob_ci", robot_id="rob_ci", role="write"
            )
        )
    good, bad = hub.basic(hub.ROBOT, hub.ROBOT_TOKEN), hub.basic(hub.ROBOT, "x" * 64)

    made = await world.anonymous.post(BUILDS, {}, headers=good)
    refused = await world.anonymous.post(BUILDS, {}, headers=bad)
    elsewhere = await world.anonymous.post(BUILDS.replace("web", "team/app"), {}, headers=good)

    assert [one.status for one in (made, refused, elsewhere)] == [201, 401, 404]
    async with store.read() as tx:
        (event,) = await tx.rows(select(t.events))
    assert (event.performer_name, event.performer_kind) == (hub.ROBOT, "robot")


async def test_a_repository_with_slashes_has_builds_and_other_repositories_do_not_see_them(
    world: World, writer: Client
) -> None:
    nested = BUILDS.replace("acme/web", "acme/team/app")
    made = (await writer.post(nested, {"id": "ci-1"})).json()["build"]

    shown = await writer.get(f"{nested}/{made['id']}")
    escaped = await writer.get(f"/api/v2/repositories/acme%2Fteam%2Fapp/builds/{made['id']}")
    elsewhere = await writer.get(f"{BUILDS}/{made['id']}")
    changed = await writer.send("PATCH", f"{BUILDS}/{made['id']}", {"status": "started"})

    assert said(shown) == said(escaped) == (200, made)
    assert [elsewhere.status, changed.status] == [404, 404]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"status": "running"}, "status"),
        ({"tags": ["no spaces"]}, "tags[0]"),
        ({"id": "a\nb"}, "id"),
        ({"id": ""}, "id"),
        ({"trigger": {"commit_info": {"message": "x" * 20_000}}}, "trigger.commit_info"),
        ({"manifest_digests": ["latest"]}, "manifest_digests[0]"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"error_message": "x" * 10_001}, "error_message"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"state": "queued"}, "state"),
    ],
)
async def test_what_is_wrong_with_a_report_is_named_and_nothing_is_kept(
    world: World, writer: Client, body: dict[str, Any], field: str
) -> None:
    answer = await writer.post(BUILDS, body)

    assert answer.status == 400
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert await kinds_of(world.store) == []
    assert (await writer.get(BUILDS)).json()["items"] == []


async def test_the_history_comes_in_pages_with_the_same_number_of_queries(
    world: World, writer: Client, clock: SetClock
) -> None:
    await report(writer, "queued", id="ci-0")
    statements = Statements.of(world.store)
    await writer.get(BUILDS)
    for_one = statements.take()
    for number in (1, 2):
        clock.move(seconds=1)
        await report(writer, "queued", id=f"ci-{number}")
    statements.take()

    whole = await writer.get(BUILDS)
    for_three = statements.take()
    first = await writer.get(f"{BUILDS}?limit=2")
    rest = await writer.get(f"{BUILDS}?limit=2&cursor={first.json()['next_cursor']}")

    assert [one["key"] for one in whole.json()["items"]] == ["ci-2", "ci-1", "ci-0"]
    assert [one["key"] for one in first.json()["items"]] == ["ci-2", "ci-1"]
    assert [one["key"] for one in rest.json()["items"]] == ["ci-0"]
    assert for_three == for_one


async def test_old_builds_that_have_ended_are_forgotten_and_others_are_not(
    world: World, writer: Client, clock: SetClock
) -> None:
    for number, status in enumerate(("success", "queued", "failure", "success")):
        clock.move(seconds=1)
        await report(writer, status, id=f"ci-{number}")

    async with world.store.begin() as tx:
        web = await tx.first(select(t.builds.c.repository_id))
        assert web is not None
        gone = await rows.prune(tx, web.repository_id, keep=1)

    left = [one["key"] for one in (await writer.get(BUILDS)).json()["items"]]
    assert (gone, left, service.KEPT) == (2, ["ci-3", "ci-1"], 1000)


async def test_a_report_leaves_an_audit_entry_for_the_build_and_none_for_its_steps(
    world: World, writer: Client
) -> None:
    made = await report(writer, "queued", id="ci-1")
    await report(writer, "started", id="ci-1")

    found = await hub.rows_of(world.store, t.audit_entries, "kind", "actor_name", "metadata")
    ((kind, actor, metadata),) = found
    assert (kind, actor) == ("build_dockerfile", "writer")
    assert metadata["build_uuid"] == made["build"]["uuid"]
