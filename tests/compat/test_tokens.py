"""OAuth applications and their tokens (quay-compat 6.3)."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import Scope
from dockbell.store.tables import audit_entries, tokens
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, NOT_FOUND, UNAUTHENTICATED, Statements, invalid, said
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.world import World, open_world

ALL = "/api/v1/organization/acme/applications"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _application(client: Client) -> str:
    made = await client.post(ALL, {"name": "ci"})
    return f"{ALL}/{made.json()['client_id']}"


async def test_an_application_is_made_shown_changed_and_deleted(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    new = {"name": "ci", "redirect_uri": "https://ci.example.com", "description": "d"}

    made = await boss.post(ALL, new)
    one = f"{ALL}/{made.json()['client_id']}"
    shown = await boss.get(one)
    listed = await boss.get(ALL)
    changed = await boss.put(
        one, {"name": "ci2", "redirect_uri": "", "application_uri": "https://x.example.com"}
    )
    reset = await boss.post(f"{one}/resetclientsecret")
    deleted = await boss.delete(one)
    gone = await boss.get(one)

    body = made.json()
    assert made.status == 200
    assert (len(body["client_id"]), len(body["client_secret"])) == (20, 40)
    assert {key: body[key] for key in body if not key.startswith("client_")} == {
        "name": "ci",
        "description": "d",
        "application_uri": "",
        "redirect_uri": "https://ci.example.com",
        "avatar_email": None,
    }
    assert (said(shown), said(listed)) == ((200, body), (200, {"applications": [body]}))
    assert said(changed) == (
        200,
        {**body, "name": "ci2", "redirect_uri": "", "application_uri": "https://x.example.com"},
    )
    assert (reset.status, len(reset.json()["client_secret"])) == (200, 40)
    assert reset.json()["client_secret"] != body["client_secret"]
    assert (said(deleted), said(gone)) == ((204, None), (404, NOT_FOUND))


async def test_anybody_may_see_what_an_application_is(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    client_id = (await _application(boss)).rpartition("/")[2]

    public = await world.anonymous.get(f"/api/v1/app/{client_id}")
    unknown = await world.anonymous.get("/api/v1/app/nothing")

    body = public.json()
    assert list(body) == ["name", "description", "uri", "avatar", "organization"]
    assert (body["name"], body["organization"]["name"], body["organization"]["email"]) == (
        "ci",
        "acme",
        "",
    )
    assert said(unknown) == (404, NOT_FOUND)


async def test_only_admins_reach_applications_and_tokens(world: World) -> None:
    boss = await world.client("boss", "org:admin")
    one = await _application(boss)
    calls = [
        ("GET", ALL),
        ("POST", ALL),
        ("GET", one),
        ("PUT", one),
        ("DELETE", one),
        ("POST", f"{one}/resetclientsecret"),
        ("GET", f"{one}/tokens"),
        ("POST", f"{one}/tokens"),
        ("DELETE", f"{one}/tokens/none"),
    ]
    reader = await world.client("reader", "org:admin")
    small = await world.client("boss", "repo:admin user:admin")

    refused = [said(await reader.send(*call)) for call in calls]
    capped = [said(await small.send(*call)) for call in calls]
    anonymous = [said(await world.anonymous.send(*call)) for call in calls]

    assert refused == capped == [(403, FORBIDDEN)] * len(calls)
    assert anonymous == [(401, UNAUTHENTICATED)] * len(calls)


async def test_a_token_is_shown_once_and_works_with_its_scope_only(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin")
    one = await _application(boss)

    made = await boss.post(f"{one}/tokens", {"name": " ci ", "scope": "repo:read,repo:read"})
    listed = await boss.get(f"{one}/tokens")
    client = boss.with_token(made.json()["token"])
    can = await client.get("/api/v1/repository/acme/web")
    cannot = await client.get("/api/v1/repository/acme/web/permissions/user/")

    body = made.json()
    secret = body.pop("token")
    assert (made.status, len(secret), secret.isalnum(), secret.upper()) == (
        200,
        40,
        True,
        secret,
    )
    assert {key: body[key] for key in body if key != "uuid"} == {
        "name": "ci",
        "scope": "repo:read",
        "expires_at": (NOON + timedelta(seconds=315_576_000)).replace(tzinfo=None).isoformat()
        + "Z",
        "created": "2026-03-14T12:00:00Z",
        "created_by": "boss",
        "last_accessed": None,
    }
    assert said(listed) == (200, {"tokens": [body]})
    assert (can.status, said(cannot)) == (200, (403, FORBIDDEN))


async def test_a_token_may_not_be_stronger_than_the_one_it_is_made_with(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:write")
    one = await _application(boss)

    answers = {
        scope: (await boss.post(f"{one}/tokens", {"name": "t", "scope": scope})).status
        for scope in sorted(Scope)
    }

    assert answers == {
        "org:admin": 200,
        "repo:admin": 403,
        "repo:create": 403,
        "repo:read": 200,
        "repo:write": 200,
        "super:user": 403,
        "user:admin": 403,
        "user:read": 403,
    }


async def test_only_superusers_get_the_scope_of_superusers(world: World) -> None:
    boss = await world.client("boss", "org:admin super:user")
    one = await _application(boss)

    refused = await boss.post(f"{one}/tokens", {"name": "t", "scope": "super:user"})

    assert said(refused) == (403, FORBIDDEN)


_BAD_BODIES: Sequence[tuple[object, object]] = [
    ({"name": "t", "scope": "repo:nope"}, {"message": "Invalid scope: repo:nope"}),
    (
        {"name": "t", "scope": "repo:read repo:nope"},
        {"message": "Invalid scope: repo:read repo:nope"},
    ),
    ({"name": "t", "scope": ""}, {"message": "Invalid scope: "}),
    ({"name": "  ", "scope": "repo:read"}, {"message": "'name' cannot be empty"}),
    ({"scope": "repo:read"}, invalid("'name' is a required property")),
    (
        {"name": "t", "scope": "repo:read", "expiration": 0},
        invalid("0 is less than the minimum of 1"),
    ),
    (
        {"name": "t", "scope": "repo:read", "expiration": "1"},
        invalid("'1' is not of type 'number'"),
    ),
]


async def test_create_token_refuses_bad_bodies(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:read")
    one = await _application(boss)

    answers = [said(await boss.post(f"{one}/tokens", body)) for body, _ in _BAD_BODIES]

    assert answers == [(400, answer) for _, answer in _BAD_BODIES]


async def test_a_token_ends_when_it_expires_and_when_it_is_revoked(
    world: World, clock: SetClock
) -> None:
    boss = await world.client("boss", "org:admin repo:read")
    one = await _application(boss)
    short = await boss.post(
        f"{one}/tokens", {"name": "s", "scope": "repo:read", "expiration": 60}
    )
    endless = await boss.post(
        f"{one}/tokens", {"name": "e", "scope": "repo:read", "expiration": 1e300}
    )
    clock.move(seconds=60)

    expired = await boss.with_token(short.json()["token"]).get("/api/v1/repository/acme/web")
    alive = await boss.with_token(endless.json()["token"]).get("/api/v1/repository/acme/web")
    revoked = await boss.delete(f"{one}/tokens/{endless.json()['uuid']}")
    dead = await boss.with_token(endless.json()["token"]).get("/api/v1/repository/acme/web")
    again = await boss.delete(f"{one}/tokens/{endless.json()['uuid']}")

    assert (said(expired), alive.status) == ((401, UNAUTHENTICATED), 200)
    assert (said(revoked), said(dead), said(again)) == (
        (204, None),
        (401, UNAUTHENTICATED),
        (404, NOT_FOUND),
    )


async def test_a_deleted_application_takes_its_tokens_along(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:read")
    one = await _application(boss)
    made = await boss.post(f"{one}/tokens", {"name": "t", "scope": "repo:read"})

    await boss.delete(one)
    answer = await boss.with_token(made.json()["token"]).get("/api/v1/repository/acme/web")

    assert said(answer) == (401, UNAUTHENTICATED)


async def test_audit_entries_name_the_token_and_hold_no_secret(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:admin repo:create")
    one = await _application(boss)
    made = await boss.post(f"{one}/tokens", {"name": "t", "scope": "repo:create"})
    client = boss.with_token(made.json()["token"])

    await client.post(
        "/api/v1/repository",
        {"namespace": "acme", "repository": "x", "visibility": "private", "description": ""},
    )

    async with world.store.read() as tx:
        rows = await tx.rows(select(audit_entries).order_by(audit_entries.c.id))
        token = await tx.first(select(tokens).where(tokens.c.uuid == made.json()["uuid"]))
    assert token is not None
    assert [row.kind for row in rows] == [
        "create_application",
        "create_oauth_api_token",
        "create_repo",
    ]
    assert rows[2].metadata == {
        "repo": "x",
        "namespace": "acme",
        "oauth_token_id": token.id,
        "oauth_token_application_id": one.rpartition("/")[2],
        "oauth_token_application": "ci",
    }
    secrets = [made.json()["token"], token.token_hash]
    assert [secret for secret in secrets if secret in str(rows)] == []


async def test_the_time_of_use_is_noted_at_most_once_in_ten_minutes(
    world: World, clock: SetClock
) -> None:
    boss = await world.client("boss", "org:admin repo:write")
    one = await _application(boss)
    made = await boss.post(f"{one}/tokens", {"name": "t", "scope": "repo:write"})
    client = boss.with_token(made.json()["token"])
    seen = []

    for minutes in (1, 9, 2):
        clock.move(minutes=minutes)
        await client.put("/api/v1/repository/acme/web", {"description": "d"})
        listed = await boss.get(f"{one}/tokens")
        seen.append(listed.json()["tokens"][0]["last_accessed"])

    assert seen == ["2026-03-14T12:01:00Z", "2026-03-14T12:01:00Z", "2026-03-14T12:12:00Z"]


async def test_tokens_come_in_pages_with_the_same_queries(world: World) -> None:
    boss = await world.client("boss", "org:admin repo:read")
    one = await _application(boss)
    statements = Statements.of(world.store)
    await boss.post(f"{one}/tokens", {"name": "t0", "scope": "repo:read"})
    statements.take()
    await boss.get(f"{one}/tokens")
    for_one = statements.take()
    for number in range(1, 52):
        await boss.post(f"{one}/tokens", {"name": f"t{number}", "scope": "repo:read"})

    statements.take()
    first = (await boss.get(f"{one}/tokens")).json()
    for_many = statements.take()
    second = (await boss.get(f"{one}/tokens?next_page={first['next_page']}")).json()

    names = [token["name"] for token in first["tokens"] + second["tokens"]]
    assert (len(first["tokens"]), list(second), for_one) == (50, ["tokens"], for_many)
    assert names == [f"t{number}" for number in range(52)]
