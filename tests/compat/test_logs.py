"""Who did what: logs and their counts answer as Quay's do (quay-compat 8.1)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import Actor, ActorKind, Powers
from dockbell.domain.deliveries import PauseReason
from dockbell.domain.standings import Change
from dockbell.services import repositories
from dockbell.store import audit_entries, standings
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.world import World, open_world

REPOSITORY = "/api/v1/repository/acme/web/logs"
ORGANIZATION = "/api/v1/organization/acme/logs"
OWN = "/api/v1/user/logs"
ALL = "/api/v1/superuser/logs"
PLACES = [REPOSITORY, ORGANIZATION, OWN, ALL]


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store, Powers(frozenset({"boss"}), frozenset({"fresh"})))


@pytest.fixture
async def boss(world: World) -> Client:
    return await world.client("boss", "repo:admin org:admin user:admin super:user")


async def put(
    world: World,
    kind: str,
    *,
    by: str = "boss",
    namespace: str | None = "acme",
    repository: str | None = None,
    actor_kind: ActorKind = ActorKind.USER,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """An entry of this moment."""
    actor = Actor(kind=actor_kind, name=by, ip="192.0.2.7")
    async with world.store.begin() as tx:
        repository_id = None
        if repository is not None:
            boss = Actor(kind=ActorKind.USER, id="ns_boss", name="boss")
            found = await repositories.reader_of(tx, boss, repository)
            repository_id = found.repository.id
        await audit_entries.add(
            tx,
            actor,
            kind,
            namespace_id=None if namespace is None else f"ns_{namespace}",
            repository_id=repository_id,
            metadata=metadata or {},
        )


def counted(path: str) -> str:
    return path.replace("/logs", "/aggregatelogs")


async def kinds(client: Client, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status == 200, answer.body
    return [one["kind"] for one in answer.json()["logs"]]


async def test_what_an_admin_does_to_a_notification_is_logged_as_in_quay(
    world: World, boss: Client, clock: SetClock
) -> None:
    clock.now = datetime(2026, 11, 23, 8, 23, 1, tzinfo=UTC)
    base = "/api/v1/repository/acme/web/notification"
    hook = {
        "event": "repo_push",
        "method": "webhook",
        "config": {"url": "http://example.com"},
        "eventConfig": {},
    }
    uuid = (await boss.post(base, hook)).json()["uuid"]
    await boss.post(f"{base}/{uuid}/test")
    await boss.post(f"{base}/{uuid}")
    await boss.delete(f"{base}/{uuid}")

    answer = await boss.get(REPOSITORY)

    body = answer.json()
    logs = body.pop("logs")
    avatar = logs[0]["performer"].pop("avatar")
    token = {
        key: logs[0]["metadata"].pop(key)
        for key in sorted(logs[0]["metadata"])
        if key.startswith("oauth_")
    }
    assert (answer.status, body) == (
        200,
        {
            "start_time": "Sun, 22 Nov 2026 08:23:01 -0000",
            "end_time": "Tue, 24 Nov 2026 08:23:01 -0000",
        },
    )
    assert logs[0] == {
        "kind": "delete_repo_notification",
        "metadata": {
            "repo": "web",
            "namespace": "acme",
            "notification_id": uuid,
            "event": "repo_push",
            "method": "webhook",
        },
        "ip": "192.0.2.7",
        "datetime": "Mon, 23 Nov 2026 08:23:01 -0000",
        "performer": {"kind": "user", "name": "boss", "is_robot": False},
    }
    assert [one["kind"] for one in logs] == [
        "delete_repo_notification",
        "reset_repo_notification",
        "test_repo_notification",
        "add_repo_notification",
    ]
    assert sorted(avatar) == ["color", "hash", "kind", "name"]
    assert sorted(token) == [
        "oauth_token_application",
        "oauth_token_application_id",
        "oauth_token_id",
    ]


async def test_each_place_has_its_own(world: World, boss: Client) -> None:
    await put(world, "org_create")
    await put(world, "push_repo", repository="acme/web")
    await put(world, "create_robot", namespace="boss")
    await put(world, "org_delete", namespace="other", by="fresh")
    await put(world, "clock_jump", namespace=None, by="dockbell", actor_kind=ActorKind.SYSTEM)

    assert [await kinds(boss, path) for path in PLACES] == [
        ["push_repo"],
        ["push_repo", "org_create"],
        ["create_robot"],
        ["clock_jump", "org_delete", "create_robot", "push_repo", "org_create"],
    ]


async def test_performers_are_people_and_robots_and_the_server_is_none(
    world: World, boss: Client
) -> None:
    await put(world, "pause_repo_notification", by="dockbell", actor_kind=ActorKind.SYSTEM)
    await put(world, "push_repo", by="acme+ci", actor_kind=ActorKind.ROBOT)
    await put(world, "repo_push", by="(anonymous)", actor_kind=ActorKind.ANONYMOUS)

    logs = (await boss.get(ORGANIZATION)).json()["logs"]

    assert "performer" not in logs[0]
    assert logs[1]["performer"]["name"] == "acme+ci"
    assert logs[1]["performer"]["is_robot"] is True
    assert "performer" not in logs[2]


async def test_superusers_see_whose_each_is(world: World, boss: Client) -> None:
    await put(world, "org_create")
    await put(world, "user_create", namespace="reader")
    await put(world, "org_delete", namespace="gone")

    logs = (await boss.get(ALL)).json()["logs"]
    own = (await boss.get(ORGANIZATION)).json()["logs"]

    shown = [one.get("namespace") for one in logs]
    assert [None if one is None else (one["kind"], one["name"]) for one in shown] == [
        None,
        ("user", "reader"),
        ("org", "acme"),
    ]
    assert [sorted(one) for one in own] == [["datetime", "ip", "kind", "metadata", "performer"]]


@pytest.mark.parametrize("path", [REPOSITORY, ORGANIZATION, ALL])
async def test_pages_of_twenty_follow_each_other_without_a_gap(
    world: World, boss: Client, clock: SetClock, path: str
) -> None:
    for number in range(45):
        await put(world, f"kind_{number:02}", repository="acme/web")
        if number % 3 == 0:
            clock.move(milliseconds=1)

    pages: list[list[str]] = []
    query = ""
    while True:
        body = (await boss.get(f"{path}?x=1{query}")).json()
        pages.append([one["kind"] for one in body["logs"]])
        if "next_page" not in body:
            break
        query = f"&next_page={body['next_page']}"

    assert [len(page) for page in pages] == [20, 20, 5]
    assert [kind for page in pages for kind in page] == [
        f"kind_{number:02}" for number in reversed(range(45))
    ]


async def test_the_window_is_of_days_and_its_last_one_counts_whole(
    world: World, boss: Client, clock: SetClock
) -> None:
    for day in (1, 2, 3, 10):
        clock.now = datetime(2026, 3, day, 23, 59, tzinfo=UTC)
        await put(world, f"day_{day}")

    async def within(query: str) -> list[str]:
        return await kinds(boss, f"{ORGANIZATION}?{query}")

    assert await within("starttime=03/02/2026&endtime=03/03/2026") == ["day_3", "day_2"]
    assert await within("starttime=03/02/2026%20UTC&endtime=03/02/2026%20UTC") == ["day_2"]
    for last in ("12/30/9999", "12/31/9999"):  # no day comes after the second
        assert await within(f"starttime=03/03/2026&endtime={last}") == ["day_10", "day_3"]
    assert await within("starttime=12/31/9999&endtime=12/31/9999") == []
    assert await within("starttime=03/01/2026") == ["day_10", "day_3", "day_2", "day_1"]
    assert await within("") == ["day_10"]
    backwards = await boss.get(f"{ORGANIZATION}?starttime=03/03/2026&endtime=03/01/2026")
    assert said(backwards) == (400, invalid("endtime must not be before starttime"))
    assert (await boss.get(f"{ORGANIZATION}?starttime=03/02/2026&endtime=03/03/2026")).json()[
        "end_time"
    ] == "Wed, 04 Mar 2026 00:00:00 -0000"


async def test_one_performer_can_be_asked_for_except_in_a_repository(
    world: World, boss: Client
) -> None:
    await put(world, "by_boss", repository="acme/web")
    await put(world, "by_writer", by="writer", repository="acme/web")

    found = [
        await kinds(boss, f"{path}?performer={name}")
        for path in (ORGANIZATION, REPOSITORY)
        for name in ("writer", "nobody", "")
    ]

    both = ["by_writer", "by_boss"]
    assert found == [["by_writer"], [], both, both, both, both]


async def test_counts_are_by_kind_and_day(world: World, boss: Client, clock: SetClock) -> None:
    for day, kind in (
        (13, "push_repo"),
        (14, "push_repo"),
        (14, "create_repo"),
        (14, "push_repo"),
    ):
        clock.now = NOON.replace(day=day, hour=13)
        await put(world, kind, repository="acme/web", by="writer" if day == 13 else "boss")

    both = await boss.get(counted(ORGANIZATION) + "?starttime=03/13/2026")
    one = await boss.get(counted(ORGANIZATION) + "?starttime=03/13/2026&performer=writer")
    others = [
        (await boss.get(counted(path) + "?starttime=03/13/2026")).json()["aggregated"]
        for path in (REPOSITORY, ALL, OWN)
    ]

    expected = [
        {"kind": "push_repo", "count": 1, "datetime": "Fri, 13 Mar 2026 00:00:00 -0000"},
        {"kind": "create_repo", "count": 1, "datetime": "Sat, 14 Mar 2026 00:00:00 -0000"},
        {"kind": "push_repo", "count": 2, "datetime": "Sat, 14 Mar 2026 00:00:00 -0000"},
    ]
    assert said(both) == (200, {"aggregated": expected})
    assert said(one) == (200, {"aggregated": expected[:1]})
    assert others == [expected, expected, []]


@pytest.mark.parametrize("path", [*PLACES, *map(counted, PLACES)])
async def test_a_day_that_is_none_is_named(boss: Client, path: str) -> None:
    answers = [
        said(await boss.get(f"{path}?{query}"))
        for query in ("starttime=2026-03-14", "endtime=13/13/2026", "starttime=1/1/99999")
    ]

    start = 'Earliest time for logs. Format: "%m/%d/%Y" in UTC. (str)'
    end = 'Latest time for logs. Format: "%m/%d/%Y" in UTC. (str)'
    assert answers == [
        (400, {"message": {"starttime": start}}),
        (400, {"message": {"endtime": end}}),
        (400, {"message": {"starttime": start}}),
    ]


@pytest.mark.parametrize("path", PLACES)
async def test_a_page_that_we_never_gave_out_is_refused(boss: Client, path: str) -> None:
    answers = [said(await boss.get(f"{path}?next_page={token}")) for token in ("x", "bm9wZQ")]

    assert answers == [(400, invalid("Invalid next_page token"))] * 2


async def test_only_who_administers_the_place_reads_its_logs(world: World) -> None:
    admin = "repo:admin org:admin user:admin super:user"
    clients = {
        name: await world.client(name, scope)
        for name, scope in (
            ("boss", "repo:read user:read"),
            ("writer", admin),
            ("reader", admin),
        )
    }
    paths = [one for path in (REPOSITORY, ORGANIZATION, ALL) for one in (path, counted(path))]

    refused = [said(await client.get(path)) for client in clients.values() for path in paths]
    own = [said(await clients["boss"].get(path)) for path in (OWN, counted(OWN))]
    unknown = [said(await world.anonymous.get(path)) for path in (*paths, OWN, counted(OWN))]

    assert refused == [(403, FORBIDDEN)] * len(refused)
    assert own == [(403, FORBIDDEN)] * 2
    assert unknown == [(401, UNAUTHENTICATED)] * len(unknown)


async def test_readonly_superusers_read_all_logs(world: World) -> None:
    fresh = await world.client("fresh", "repo:read")

    answers = [
        (await fresh.get(one)).status
        for path in (REPOSITORY, ORGANIZATION, ALL)
        for one in (path, counted(path))
    ]

    assert answers == [200] * 6


async def test_a_repository_that_is_not_there_is_unknown_to_its_admin(boss: Client) -> None:
    answers = [
        said(await boss.get(path))
        for path in (
            "/api/v1/repository/acme/nope/logs",
            "/api/v1/repository/acme/nope/aggregatelogs",
        )
    ]

    assert answers == [(404, NOT_FOUND)] * 2


@pytest.mark.parametrize("path", [*PLACES, *map(counted, PLACES)])
async def test_a_page_takes_as_many_queries_with_one_entry_as_with_three(
    world: World, boss: Client, path: str
) -> None:
    statements = Statements.of(world.store)
    taken: list[Any] = []
    for _ in range(2):
        await put(world, "push_repo", repository="acme/web")
        await put(world, "create_robot", namespace="boss")
        statements.take()
        assert (await boss.get(path)).status == 200
        taken.append(statements.take())

    assert taken[0] == taken[1] > 0


async def test_a_pause_by_rule_is_logged_without_a_performer(
    world: World, boss: Client
) -> None:
    base = "/api/v1/repository/acme/web/notification"
    hook = {
        "event": "repo_push",
        "method": "webhook",
        "config": {"url": "http://example.com"},
        "eventConfig": {},
    }
    uuid = (await boss.post(base, hook)).json()["uuid"]
    async with world.store.begin() as tx:
        (row,) = await tx.rows(
            select(t.notifications.c.id).where(t.notifications.c.uuid == uuid)
        )
        more = {"reason": PauseReason.GONE.value}
        await standings._tell(tx, row.id, Change.PAUSED, "It is paused.", more)

    (entry, _) = (await boss.get(REPOSITORY)).json()["logs"]

    assert (entry["kind"], "performer" in entry) == ("pause_repo_notification", False)
    assert entry["metadata"] == {
        "repo": "web",
        "namespace": "acme",
        "notification_id": uuid,
        "event": "repo_push",
        "method": "webhook",
        "reason": "gone",
    }
