"""Many callers of the management API at the same moment: only documented answers, and nothing half done."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import world
from tests.accounts import FORBIDDEN, invalid, said
from tests.asgi import Answer, Client
from tests.world import World

SCOPES = "repo:create repo:admin org:admin user:admin super:user"
MANY = 20
ROUNDS = 6
NEW_REPOSITORY = {"repository": "new", "visibility": "private", "description": ""}


@pytest.fixture
async def people(store: Store) -> World:
    return await world.open_world(store)


@pytest.fixture
async def boss(people: World) -> Client:
    """Owns `acme` and manages all users."""
    async with people.store.begin() as tx:
        await tx.run(
            t.users.update()
            .where(t.users.c.namespace_id == "ns_boss")
            .values(is_superuser=True)
        )
    return await people.client("boss", SCOPES)


async def at_once(*calls: Awaitable[Answer]) -> Counter[str]:
    """How often each answer came: its status and, for what is not a success, its words."""
    answers = await asyncio.gather(*calls)
    return Counter(_shown(answer) for answer in answers)


def _shown(answer: Answer) -> str:
    if answer.status < 300:
        return str(answer.status)
    body = answer.json()
    return f"{answer.status} {body.get('detail', body.get('message'))}"


async def count(store: Store, table: Table, *where: Any) -> int:
    async with store.read() as tx:
        row = await tx.first(select(func.count()).select_from(table).where(*where))
    assert row is not None
    return int(row[0])


# The same thing made many times


async def test_an_organization_is_made_once(people: World, boss: Client) -> None:
    found = await at_once(
        *(boss.post("/api/v1/organization/", {"name": "new"}) for _ in range(MANY))
    )

    assert found == {
        "201": 1,
        "400 A user or organization with this name already exists": MANY - 1,
    }
    assert await count(people.store, t.teams, t.teams.c.name == "owners") == 3


async def test_a_repository_is_made_once(people: World, boss: Client) -> None:
    wanted = {**NEW_REPOSITORY, "namespace": "acme"}

    found = await at_once(*(boss.post("/api/v1/repository", wanted) for _ in range(MANY)))

    assert found == {"201": 1, "400 Repository already exists": MANY - 1}
    made = t.repositories.c.name == "new"
    assert await count(people.store, t.repositories, made) == 1


async def test_a_robot_is_made_once(people: World, boss: Client) -> None:
    found = await at_once(
        *(boss.put("/api/v1/organization/acme/robots/ci") for _ in range(MANY))
    )

    assert found == {"201": 1, "400 Existing robot with name: acme+ci": MANY - 1}
    assert await count(people.store, t.robots) == 1


async def test_a_team_is_new_once(people: World, boss: Client) -> None:
    path = "/api/v1/organization/acme/team/new"

    answers = await asyncio.gather(
        *(boss.put(path, {"role": "creator", "description": "x"}) for _ in range(MANY))
    )

    assert Counter((answer.status, answer.json()["new_team"]) for answer in answers) == {
        (200, True): 1,
        (200, False): MANY - 1,
    }
    assert await count(people.store, t.teams, t.teams.c.name == "new") == 1


async def test_a_team_made_in_two_ways_has_the_role_of_one_of_them(
    people: World, boss: Client
) -> None:
    path = "/api/v1/organization/acme/team/new"

    answers = await asyncio.gather(
        *(boss.put(path, {"role": role}) for role in ("member", "creator") * (MANY // 2))
    )

    said_roles = [answer.json()["role"] for answer in answers]
    assert said_roles == ["member", "creator"] * (MANY // 2)


async def test_a_member_is_added_once(people: World, boss: Client) -> None:
    path = "/api/v1/organization/acme/team/owners/members/writer"

    found = await at_once(*(boss.put(path) for _ in range(MANY)))

    assert found == {"200": 1, "400 User writer is already a member of team owners": MANY - 1}


async def test_a_user_is_made_once(people: World, boss: Client) -> None:
    wanted = {"username": "newcomer", "email": "newcomer@example.org"}

    found = await at_once(
        *(boss.post("/api/v1/superuser/users/", wanted) for _ in range(MANY // 4))
    )

    assert sorted(found.values()) == [1, MANY // 4 - 1]
    assert found["200"] == 1
    assert set(found) <= {
        "200",
        "400 The username already exists",
        "400 E-mail address already used",
    }
    assert await count(people.store, t.users) == 6


async def test_a_role_is_given_to_one_holder_once(people: World, boss: Client) -> None:
    path = "/api/v1/repository/acme/web/permissions/user/fresh"

    found = await at_once(
        *(boss.put(path, {"role": role}) for role in ("read", "write") * (MANY // 2))
    )

    assert found == {"200": MANY}
    assert (
        await count(people.store, t.permissions, t.permissions.c.holder_id == "ns_fresh") == 1
    )


# Making while removing


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_things_are_made_in_an_organization_that_goes(
    people: World, boss: Client, round_: int
) -> None:
    base = "/api/v1/organization/acme"
    making = [
        boss.post("/api/v1/repository", {**NEW_REPOSITORY, "namespace": "acme"}),
        boss.put(f"{base}/robots/ci"),
        boss.put(f"{base}/team/new", {"role": "member"}),
        boss.put(f"{base}/team/devs/members/fresh"),
        boss.put("/api/v1/repository/acme/web/permissions/user/fresh", {"role": "read"}),
        boss.put("/api/v1/repository/acme/web/permissions/team/devs", {"role": "read"}),
        boss.post("/api/v1/repository/acme/web/changevisibility", {"visibility": "public"}),
    ]
    going = [boss.delete(base), boss.delete("/api/v1/repository/acme/web")]

    # A different one begins each time.
    found = await at_once(*_turned([*making, *going], round_))

    assert set(found) <= {
        "200",
        "201",
        "204",
        "403 Unauthorized",
        "404 Not Found",
        "400 No team devs in organization acme",  # gone already, when somebody gives it a right
    }
    assert await _left_of(people.store, "ns_acme") == {}


def _turned(calls: Sequence[Any], by: int) -> Sequence[Any]:
    first = by * len(calls) // ROUNDS
    return [*calls[first:], *calls[:first]]


async def _left_of(store: Store, namespace_id: str) -> dict[str, int]:
    """Rows that still point to the namespace, by table. Its name is free again."""
    left = {}
    for table in (t.namespaces, t.teams, t.robots, t.repositories, t.notifications):
        column = table.c.get("namespace_id", table.c.id)
        number = await count(store, table, column == namespace_id)
        if number:
            left[table.name] = number
    return left


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_roles_change_while_their_holder_goes(
    people: World, boss: Client, round_: int
) -> None:
    role = "/api/v1/repository/acme/web/permissions/user/writer"
    member = "/api/v1/organization/acme/team/owners/members/writer"
    writer = await people.client("writer", SCOPES)
    calls = [
        boss.put(role, {"role": "admin"}),
        boss.put(role, {"role": "read"}),
        boss.delete(role),
        boss.put(member),
        boss.delete(member),
        writer.get("/api/v1/user"),
        writer.post("/api/v1/organization/", {"name": "own"}),
        writer.post("/api/v1/repository", NEW_REPOSITORY),
        writer.put("/api/v1/user/robots/ci"),
        boss.delete("/api/v1/superuser/users/writer"),
        boss.delete("/api/v1/superuser/users/writer"),
    ]

    found = await at_once(*_turned(calls, round_))

    assert set(found) <= {
        "200",
        "201",
        "204",
        "400 Invalid username: writer",
        "400 User does not have permission for repo.",
        "400 Unknown user",
        "400 User writer does not belong to team owners",
        "401 Requires authentication",
        "403 Unauthorized",  # who went between being known and being asked for a right
        "404 Not Found",
    }
    assert found["204"] >= 1
    assert await _left_of(people.store, "ns_writer") == {}


@pytest.mark.parametrize("kind", ["robots/ci", "team/devs"])
async def test_something_goes_many_times(people: World, boss: Client, kind: str) -> None:
    path = f"/api/v1/organization/acme/{kind}"
    if kind.startswith("robots"):
        await boss.put(path)
    gone = {
        "robots/ci": "400 Could not find robot with specified username",
        "team/devs": "400 Team 'devs' is not a team in org 'acme'",
    }[kind]

    found = await at_once(*(boss.delete(path) for _ in range(MANY)))

    assert found == {"204": 1, gone: MANY - 1}


async def test_a_repository_goes_many_times(people: World, boss: Client) -> None:
    found = await at_once(*(boss.delete("/api/v1/repository/acme/web") for _ in range(MANY)))

    assert found == {"204": MANY}


async def test_an_organization_goes_many_times(people: World, boss: Client) -> None:
    answers = await asyncio.gather(
        *(boss.delete("/api/v1/organization/acme") for _ in range(MANY))
    )

    first, *rest = sorted(answers, key=lambda answer: answer.status)
    assert first.status == 204
    assert [said(answer) for answer in rest] == [(403, FORBIDDEN)] * (MANY - 1)


# Rules about several rows


async def test_nobody_loses_their_last_way_in_by_two_removals_at_once(
    people: World, boss: Client
) -> None:
    base = "/api/v1/organization/acme/team"
    for round_ in range(ROUNDS):
        team = f"{base}/chiefs{round_}"
        await boss.put(team, {"role": "admin"})
        await boss.put(f"{team}/members/boss")

        answers = await asyncio.gather(
            boss.delete(team), boss.put(f"{base}/owners", {"role": "member"})
        )

        assert [answer.status for answer in answers] in ([204, 400], [400, 200])
        await boss.put(f"{base}/owners", {"role": "admin"})
        await boss.delete(team)


async def test_two_accounts_never_share_an_address(people: World, boss: Client) -> None:
    found = await at_once(
        *(
            boss.post("/api/v1/organization/", {"name": f"org{n}", "email": "a@example.org"})
            for n in range(MANY)
        )
    )

    assert found == {
        "201": 1,
        f"400 {invalid('E-mail address already used')['detail']}": MANY - 1,
    }


async def test_two_owners_cannot_remove_each_other(people: World, boss: Client) -> None:
    base = "/api/v1/organization/acme"
    async with people.store.begin() as tx:
        owners = await tx.first(
            select(t.teams.c.id).where(
                t.teams.c.name == "owners", t.teams.c.namespace_id == "ns_acme"
            )
        )
        assert owners is not None
        await tx.run(
            t.team_members.insert().values(
                team_id=owners.id, user_id="ns_admin", member_id="ns_admin", created_at=tx.now
            )
        )
    admin = await people.client("admin", SCOPES)

    answers = await asyncio.gather(
        boss.delete(f"{base}/members/admin"), admin.delete(f"{base}/members/boss")
    )

    assert sorted(answer.status for answer in answers) == [204, 403]
    assert await count(people.store, t.team_members, t.team_members.c.team_id == owners.id) == 1
