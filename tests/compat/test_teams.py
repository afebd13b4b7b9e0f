"""Teams, their members and invitations (quay-compat 6.6)."""

import pytest

from dockbell.store.transactions import Store
from tests.accounts import (
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    Statements,
    invalid,
    open_empty,
    said,
)
from tests.world import World, open_world

BASE = "/api/v1/organization/acme/team"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def test_put_makes_a_team_and_then_changes_it(world: World) -> None:
    boss = await world.client("boss", "org:admin")

    made = await boss.put(f"{BASE}/build-team", {"role": "member", "description": "d"})
    changed = await boss.put(f"{BASE}/build-team", {"role": "creator"})

    body = made.json()
    assert {key: body[key] for key in body if key != "avatar"} == {
        "name": "build-team",
        "description": "d",
        "can_view": True,
        "role": "member",
        "new_team": True,
    }
    assert said(changed) == (200, {**body, "role": "creator", "new_team": False})


async def test_refusals_name_their_reason_in_quays_words(world: World) -> None:
    boss = await world.client("boss", "org:admin")

    answers = [
        said(await boss.put(f"{BASE}/devs", {"role": "nope"})),
        said(await boss.put(f"{BASE}/devs", {})),
        said(await boss.put(f"{BASE}/Bad%20Name", {"role": "member"})),
        said(await boss.put(f"{BASE}/owners", {"role": "member"})),
        said(await boss.delete(f"{BASE}/owners")),
        said(await boss.delete(f"{BASE}/none")),
        said(await boss.put(f"{BASE}/devs/members/nobody")),
        said(await boss.put(f"{BASE}/none/members/reader")),
        said(await boss.put(f"{BASE}/devs/members/reader")),
        said(await boss.delete(f"{BASE}/devs/members/fresh")),
        said(await boss.delete(f"{BASE}/devs/members/nobody")),
        said(await boss.delete(f"{BASE}/owners/members/boss")),
        said(await boss.get(f"{BASE}/none/members")),
    ]

    assert answers == [
        (400, invalid("'nope' is not one of ['member', 'creator', 'admin']")),
        (400, invalid("'role' is a required property")),
        (
            400,
            {
                "message": "Invalid team name Bad Name: "
                "Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"
            },
        ),
        (
            400,
            {
                "message": "Cannot remove admin from team 'owners' because calling user "
                "would no longer have admin on org 'acme'"
            },
        ),
        (
            400,
            {
                "message": "Deleting team 'owners' would remove admin ability for user 'boss' "
                "in organization 'acme'"
            },
        ),
        (400, {"message": "Team 'none' is not a team in org 'acme'"}),
        (400, invalid("Unknown user")),
        (404, NOT_FOUND),
        (400, {"message": "User reader is already a member of team devs"}),
        (400, {"message": "User fresh does not belong to team devs"}),
        (404, NOT_FOUND),
        (400, {"message": "User cannot remove themselves from their only admin team."}),
        (404, NOT_FOUND),
    ]


async def test_who_belongs_to_the_organization_joins_at_once_and_others_are_invited(
    world: World,
) -> None:
    boss = await world.client("boss", "org:admin")
    await boss.put("/api/v1/organization/acme/robots/ci")
    await boss.put(f"{BASE}/new", {"role": "member"})

    known = await boss.put(f"{BASE}/new/members/reader")
    robot = await boss.put(f"{BASE}/new/members/acme+ci")
    stranger = await boss.put(f"{BASE}/new/members/fresh")
    again = await boss.put(f"{BASE}/new/members/fresh")
    members = await boss.get(f"{BASE}/new/members")
    pending = await boss.get(f"{BASE}/new/members?includePending=true")

    body = known.json()
    assert {key: body[key] for key in body if key != "avatar"} == {
        "name": "reader",
        "kind": "user",
        "is_robot": False,
        "invited": False,
    }
    assert (robot.json()["kind"], robot.json()["is_robot"], robot.json()["invited"]) == (
        "user",
        True,
        False,
    )
    assert (stranger.json()["invited"], said(again)) == (True, said(stranger))
    assert said(members) == (
        200,
        {"name": "new", "members": [robot.json(), body], "can_edit": True},
    )
    assert pending.json()["members"] == [robot.json(), body, stranger.json()]


async def test_an_invitation_gives_nothing_until_it_is_accepted(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    fresh = await world.client("fresh", "user:admin repo:admin")
    await boss.put(f"{BASE}/admins", {"role": "admin"})
    await boss.put(f"{BASE}/admins/members/fresh")
    await boss.put(f"{BASE}/devs/members/fresh")
    notices = (await fresh.get("/api/v1/user/notifications")).json()["notifications"]

    before = await fresh.get("/api/v1/repository/acme/web/permissions/user/")
    accepted = await fresh.put(f"/api/v1/teaminvite/{notices[0]['metadata']['code']}")
    after = await fresh.get("/api/v1/repository/acme/web/permissions/user/")
    left = (await fresh.get("/api/v1/user/notifications")).json()["notifications"]
    again = await fresh.put(f"/api/v1/teaminvite/{notices[0]['metadata']['code']}")

    assert sorted((one["kind"], one["metadata"]["team"]) for one in notices) == [
        ("org_team_invite", "admins"),
        ("org_team_invite", "devs"),
    ]
    assert {key: notices[0]["metadata"][key] for key in ("inviter", "org")} == {
        "inviter": "boss",
        "org": "acme",
    }
    assert (said(before), after.status, left) == ((403, FORBIDDEN), 200, [])
    assert said(accepted) == (200, {"org": "acme", "team": notices[0]["metadata"]["team"]})
    assert said(again) == (400, {"message": "Invalid confirmation code."})


async def test_an_invitation_can_be_declined_and_taken_back(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    fresh = await world.client("fresh", "user:admin")
    admin = await world.client("admin", "user:admin")
    await boss.put(f"{BASE}/devs/members/fresh")
    await boss.put(f"{BASE}/devs/members/admin")
    notice = (await fresh.get("/api/v1/user/notifications")).json()["notifications"][0]
    code = notice["metadata"]["code"]

    foreign = await admin.put(f"/api/v1/teaminvite/{code}")
    declined = await fresh.delete(f"/api/v1/teaminvite/{code}")
    taken_back = await boss.delete(f"{BASE}/devs/members/admin")
    pending = await boss.get(f"{BASE}/devs/members?includePending=true")

    assert said(foreign) == (
        400,
        {
            "message": 'This invite is intended for user "fresh". '
            "Please login to that account and try again."
        },
    )
    assert (said(declined), said(taken_back)) == ((204, None), (204, None))
    assert [one["name"] for one in pending.json()["members"]] == ["reader", "writer"]


async def test_without_the_setting_everybody_joins_at_once(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    direct = open_empty(world.store, requires_team_invite=False).with_token(boss.token)

    joined = await direct.put(f"{BASE}/devs/members/fresh")

    assert (joined.status, joined.json()["invited"]) == (200, False)


async def test_a_foreign_robot_may_not_join(world: World) -> None:
    boss = await world.client("boss", "org:admin user:admin")
    await boss.put("/api/v1/user/robots/mine")

    answer = await boss.put(f"{BASE}/devs/members/boss+mine")

    assert said(answer) == (
        400,
        {
            "message": "Cannot add the specified robot to this team, "
            "as it is not a member of the organization"
        },
    )


async def test_members_see_their_own_team_and_only_admins_change_it(world: World) -> None:
    reader = await world.client("reader", "org:admin")
    small = await world.client("boss", "repo:admin user:admin")
    fresh = await world.client("fresh", "org:admin")

    own = await reader.get(f"{BASE}/devs/members?includePending=true")
    answers = [
        said(await reader.get(f"{BASE}/owners/members")),
        said(await reader.put(f"{BASE}/devs", {})),
        said(await reader.delete(f"{BASE}/devs")),
        said(await reader.put(f"{BASE}/devs/members/fresh")),
        said(await reader.delete(f"{BASE}/devs/members/writer")),
        said(await small.put(f"{BASE}/devs", {})),
        said(await fresh.get(f"{BASE}/devs/members")),
    ]
    anonymous = await world.anonymous.get(f"{BASE}/devs/members")

    assert (own.status, own.json()["can_edit"]) == (200, False)
    assert [one["name"] for one in own.json()["members"]] == ["reader", "writer"]
    assert answers == [(403, FORBIDDEN)] * 7
    assert said(anonymous) == (401, UNAUTHENTICATED)


async def test_a_teams_roles_are_listed_and_go_with_it(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    await boss.put("/api/v1/repository/acme/web/permissions/team/devs", {"role": "write"})

    listed = await boss.get(f"{BASE}/devs/permissions")
    deleted = await boss.delete(f"{BASE}/devs")
    left = await boss.get("/api/v1/repository/acme/web/permissions/team/")

    assert said(listed) == (
        200,
        {"permissions": [{"repository": {"name": "web", "is_public": False}, "role": "write"}]},
    )
    assert (said(deleted), said(left)) == ((204, None), (200, {"permissions": {}}))


async def test_the_members_take_the_same_queries_for_one_and_for_three(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    statements = Statements.of(world.store)
    counts = []

    for team in ("owners", "devs"):
        statements.take()
        await boss.get(f"{BASE}/{team}/members?includePending=true")
        counts.append(statements.take())

    assert counts[0] == counts[1]
