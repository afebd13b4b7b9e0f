"""Sessions with CSRF, as browsers and Quay's Ansible collection use them (quay-compat 6.4, clients.md 1.3)."""

import re

import pytest
from sqlalchemy import func, select, update

from dockbell.api.v1.handlers import HANDLERS
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, PASSWORD, UNAUTHENTICATED, invalid, open_empty, said
from tests.asgi import Client
from tests.browsers import csrf_token, sign_in, signed_in, with_password
from tests.conftest import SetClock
from tests.world import World, open_world

CSRF = {"error": "CSRF token was invalid or missing."}
COOKIE = r"_csrf_token=[A-Z0-9]{48}; Path=/; HttpOnly; SameSite=Lax"
HOOKS = "/api/v1/repository/acme/web/notification/"
NEW = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "https://example.com/"},
    "eventConfig": {},
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _sessions(world: World) -> int:
    async with world.store.read() as tx:
        row = await tx.first(select(func.count()).select_from(t.sessions))
    return 0 if row is None else int(row[0])


async def test_quays_flow_signs_in_changes_something_and_signs_out(world: World) -> None:
    await with_password(world, "admin")
    client = world.anonymous.as_browser()

    first = await client.get("/csrf_token")
    signed = await client.post(
        "/api/v1/signin",
        {"username": "admin", "password": PASSWORD},
        headers={"X-CSRF-Token": first.json()["csrf_token"]},
    )
    token = signed.headers["x-next-csrf-token"]
    me = await client.get("/api/v1/user/")
    made = await client.post(HOOKS, NEW, headers={"X-CSRF-Token": token})
    out = await client.post("/api/v1/signout", headers={"X-CSRF-Token": token})
    after = await client.get("/api/v1/user/")

    assert (first.status, list(first.json())) == (200, ["csrf_token"])
    assert re.fullmatch(f"{COOKIE}; Secure", first.headers["set-cookie"])
    assert said(signed) == (200, {"success": True})
    assert re.fullmatch(f"{COOKIE}; Max-Age=604800; Secure", signed.headers["set-cookie"])
    assert token not in {first.json()["csrf_token"], ""}
    assert (me.status, me.json()["username"], made.status) == (200, "admin", 201)
    assert said(out) == (200, {"success": True})
    assert out.headers["set-cookie"].startswith("_csrf_token=; Path=/")
    assert said(after) == (401, {"session_required": False, **UNAUTHENTICATED})
    assert await _sessions(world) == 0


async def test_the_token_belongs_to_the_session_and_stays_the_same(world: World) -> None:
    client, headers = await signed_in(world, "admin")

    again = await csrf_token(client)
    strange = await csrf_token(world.anonymous.as_browser())

    assert again == headers["x-csrf-token"]
    assert strange != again


CHANGES = [
    ("POST", HOOKS),
    ("POST", f"{HOOKS}5f0c0000-0000-4000-8000-000000000000"),
    ("POST", f"{HOOKS}5f0c0000-0000-4000-8000-000000000000/test"),
    ("DELETE", f"{HOOKS}5f0c0000-0000-4000-8000-000000000000"),
    ("PUT", "/api/v1/repository/acme/web"),
    ("POST", "/api/v1/repository"),
    ("POST", "/api/v1/organization/"),
    ("PUT", "/api/v1/user/notifications/x"),
    ("POST", "/api/v1/user/apptoken"),
    ("POST", "/api/v1/signout"),
]


@pytest.mark.quirk("Q27")
async def test_every_change_by_a_session_needs_its_token(world: World) -> None:
    client, _ = await signed_in(world, "admin")
    other = await csrf_token(world.anonymous.as_browser())

    without = [said(await client.send(*call)) for call in CHANGES]
    wrong = [
        said(await client.send(*call, headers={"x-csrf-token": other})) for call in CHANGES
    ]
    kinds = {(await client.send(*call)).headers["content-type"] for call in CHANGES}

    assert without == wrong == [(403, CSRF)] * len(CHANGES)
    assert kinds == {"application/json"}
    assert await _sessions(world) == 1


async def test_the_token_may_stand_in_the_address(world: World) -> None:
    client, headers = await signed_in(world, "admin")

    made = await client.post(f"{HOOKS}?_csrf_token={headers['x-csrf-token']}", NEW)

    assert made.status == 201


async def test_api_v2_asks_for_the_token_too(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    unknown = "/api/v2/notifications/ntf_00000000000000000000000000"

    refused = await client.delete(unknown)
    checked = await client.delete(unknown, headers=headers)

    assert (refused.status, refused.json()["detail"], checked.status) == (
        403,
        "CSRF token was invalid or missing.",
        404,
    )


@pytest.mark.quirk("Q2")
async def test_bearer_tokens_need_no_csrf_token_and_stand_alone(world: World) -> None:
    client, _ = await signed_in(world, "admin")
    reader = client.with_token((await world.client("reader")).token)
    broken = client.with_token("x" * 40)

    assert (await reader.get("/api/v1/user/")).json()["username"] == "reader"
    assert said(await reader.post(HOOKS, NEW)) == (403, FORBIDDEN)
    # FIX Q2: a header that is not good is what went wrong, whatever cookie comes along.
    assert said(await broken.post(HOOKS, NEW)) == (401, UNAUTHENTICATED)


async def test_without_a_session_a_change_is_unauthenticated(world: World) -> None:
    browser = world.anonymous.as_browser()
    token = await csrf_token(browser)

    bare = [said(await world.anonymous.send(*call)) for call in CHANGES[:-1]]
    with_token = [
        said(await browser.send(*call, headers={"x-csrf-token": token}))
        for call in CHANGES[:-1]
    ]
    out = said(await world.anonymous.post("/api/v1/signout"))

    assert bare == with_token == [(401, UNAUTHENTICATED)] * (len(CHANGES) - 1)
    assert out == (200, {"success": True})


async def test_signing_in_needs_the_token_first(world: World) -> None:
    await with_password(world, "admin")
    body = {"username": "admin", "password": PASSWORD}
    browser = world.anonymous.as_browser()
    other = await csrf_token(world.anonymous.as_browser())

    answers = [
        said(await world.anonymous.post("/api/v1/signin", body)),
        said(await browser.post("/api/v1/signin", body, headers={"x-csrf-token": other})),
        said(await browser.post("/api/v1/signin", body=b"nonsense")),
    ]
    empty = await browser.post(
        "/api/v1/signin", {}, headers={"x-csrf-token": await csrf_token(browser)}
    )

    assert answers == [(403, CSRF)] * 3
    assert said(empty) == (400, invalid("'username' is a required property"))


async def test_a_wrong_password_and_an_unverified_address_are_told_in_quays_shape(
    world: World,
) -> None:
    await with_password(world, "admin")
    await with_password(world, "writer")
    async with world.store.begin() as tx:
        await tx.run(
            update(t.users)
            .where(t.users.c.namespace_id == "ns_writer")
            .values(email_verified=False)
        )
    client = world.anonymous.as_browser()
    wrong = {
        "needsEmailVerification": False,
        "invalidCredentials": True,
        "message": "Invalid Username or Password",
    }

    refused = [
        said(await sign_in(client, *pair))
        for pair in (
            ("admin", "wrong-password"),
            ("nobody", PASSWORD),
            ("acme", PASSWORD),
            ("acme+bot", PASSWORD),
            ("$oauthtoken", "x" * 40),
            ("$app", "x" * 64),
            ("writer", "wrong-password"),
        )
    ]
    unverified = await sign_in(client, "writer")

    assert refused == [(403, wrong)] * 7
    assert said(unverified) == (
        403,
        {
            "needsEmailVerification": True,
            "invalidCredentials": False,
            "message": "Please verify your e-mail address",
        },
    )
    assert await _sessions(world) == 0


async def test_too_many_wrong_passwords_lock_even_the_right_one_out_for_a_while(
    world: World, clock: SetClock
) -> None:
    await with_password(world, "admin")
    client = world.anonymous.as_browser()

    refused = [(await sign_in(client, "admin", "wrong-password")).status for _ in range(6)]
    locked = await sign_in(client, "admin")
    clock.move(seconds=1)
    after = await sign_in(client, "admin")

    assert refused == [403] * 5 + [429]
    assert (locked.status, locked.headers["retry-after"], locked.body) == (
        429,
        "1",
        b"Too many login attempts. Try again in 1 seconds.\n",
    )
    assert said(after) == (200, {"success": True})


async def test_signing_in_again_ends_the_session_before(world: World) -> None:
    client, _ = await signed_in(world, "admin")
    before = dict(client.jar.cookies)

    again = await sign_in(client, "admin")
    old = world.anonymous.as_browser()
    old.jar.cookies.update(before)

    assert again.status == 200
    assert client.jar.cookies != before
    assert (await client.get("/api/v1/user/")).status == 200
    assert (await old.get("/api/v1/user/")).status == 401
    assert await _sessions(world) == 1


async def test_what_a_stranger_planted_before_is_no_session_afterwards(world: World) -> None:
    """A cookie that was there before signing in is never the one that is signed in."""
    await with_password(world, "admin")
    victim = world.anonymous.as_browser()
    await csrf_token(victim)
    attacker = world.anonymous.as_browser()
    attacker.jar.cookies.update(victim.jar.cookies)

    await sign_in(victim, "admin")

    assert (await victim.get("/api/v1/user/")).status == 200
    assert (await attacker.get("/api/v1/user/")).status == 401


async def _end_by_time(world: World, clock: SetClock) -> None:
    clock.move(days=7)


async def _end_by_password(world: World, clock: SetClock) -> None:
    boss = await _superuser(world)
    changed = await boss.put("/api/v1/superuser/users/admin", {"password": "another-good-one"})
    assert changed.status == 200


async def _end_by_password_elsewhere(world: World, clock: SetClock) -> None:
    # Past the service that ends sessions: the fingerprint alone has to notice.
    await with_password(world, "admin", "another-good-one")


async def _end_by_disabling(world: World, clock: SetClock) -> None:
    boss = await _superuser(world)
    await boss.put("/api/v1/superuser/users/admin", {"enabled": False})
    await boss.put("/api/v1/superuser/users/admin", {"enabled": True})


async def _end_by_deleting(world: World, clock: SetClock) -> None:
    await (await _superuser(world)).delete("/api/v1/superuser/users/admin")


async def _superuser(world: World) -> Client:
    async with world.store.begin() as tx:
        await tx.run(
            update(t.users).where(t.users.c.namespace_id == "ns_boss").values(is_superuser=True)
        )
    return await world.client("boss", "super:user")


@pytest.mark.parametrize(
    "end",
    [
        _end_by_time,
        _end_by_password,
        _end_by_password_elsewhere,
        _end_by_disabling,
        _end_by_deleting,
    ],
)
async def test_a_session_ends(world: World, clock: SetClock, end: object) -> None:
    client, headers = await signed_in(world, "admin")
    assert (await client.get("/api/v1/user/")).status == 200

    await end(world, clock)  # type: ignore[operator] -- one of the functions above

    assert (await client.get("/api/v1/user/")).status == 401
    assert said(await client.post(HOOKS, NEW, headers=headers)) == (401, UNAUTHENTICATED)


async def test_a_session_has_all_rights_of_its_user_and_no_more(world: World) -> None:
    reader, reader_headers = await signed_in(world, "reader")
    boss, boss_headers = await signed_in(world, "boss")

    assert said(await reader.get(HOOKS)) == (403, FORBIDDEN)
    assert said(await reader.post(HOOKS, NEW, headers=reader_headers)) == (403, FORBIDDEN)
    assert (await boss.post(HOOKS, NEW, headers=boss_headers)).status == 201
    made = await boss.put("/api/v1/organization/acme/robots/deployer", headers=boss_headers)
    assert made.status == 201
    assert (await boss.get("/api/v1/superuser/users/")).status == 403


async def test_the_database_knows_no_cookie_and_no_csrf_token(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    (cookie,) = client.jar.cookies.values()

    async with world.store.read() as tx:
        rows = [repr(tuple(row)) for row in await tx.rows(select(t.sessions))]
        entries = [repr(tuple(row)) for row in await tx.rows(select(t.audit_entries))]

    assert len(rows) == 1
    text = "\n".join([*rows, *entries])
    assert (cookie in text, headers["x-csrf-token"] in text) == (False, False)


async def test_a_user_keeps_fifty_sessions_at_most(world: World, clock: SetClock) -> None:
    first, _ = await signed_in(world, "admin")
    async with world.store.begin() as tx:
        for number in range(49):
            await tx.run(
                t.sessions.insert().values(
                    id=tx.new_id("ses"),
                    user_id="ns_admin",
                    secret_hash=f"{number}",
                    credential="",
                    created_at=tx.now,
                    expires_at=tx.now,
                )
            )
    clock.move(seconds=1)

    newest, _ = await signed_in(world, "admin")

    assert await _sessions(world) == 50
    assert (await first.get("/api/v1/user/")).status == 401
    assert (await newest.get("/api/v1/user/")).status == 200


async def test_the_first_user_is_signed_in(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True).as_browser()

    made = await client.post(
        "/api/v1/user/initialize",
        {"username": "quayadmin", "password": PASSWORD, "email": "q@example.com"},
    )
    created = await client.post(
        "/api/v1/organization/",
        {"name": "acme"},
        headers={"x-csrf-token": made.headers["x-next-csrf-token"]},
    )

    assert (made.status, said(created)) == (200, (201, "Created"))


async def test_cookies_that_are_none_are_no_error(world: World) -> None:
    texts = ["", "x" * 47, "é" * 48, "x" * 4000, '"; DROP', "A" * 48]

    answers = [
        (
            await world.anonymous.get(
                "/api/v1/user/", headers={"cookie": f"_csrf_token={text}"}
            )
        ).status
        for text in texts
    ]

    assert answers == [401] * len(texts)


def _changing_routes() -> list[tuple[str, str]]:
    """Verb and address of everything under `/api/v1` that can change something, with names filled in."""
    filled = {
        "repository": "acme/web",
        "organization": "acme",
        "name": "reader",
        "member": "reader",
        "digest": f"sha256:{'0' * 64}",
    }
    return sorted(
        {
            (verb, "/api/v1" + re.sub(r"\{(\w+):\w+\}", lambda m: filled.get(m[1], "x"), path))
            for handler in HANDLERS
            for verb in handler.http_methods
            for path in handler.paths
            if verb not in {"GET", "HEAD", "OPTIONS"}
        }
    )


# Calls that no session makes, each with what it answers without a right of another kind.
OTHER_RIGHTS = {("POST", "/api/v1/user/initialize"): 404}


async def test_every_route_that_changes_something_asks_a_session_for_its_token(
    world: World,
) -> None:
    client, _ = await signed_in(world, "boss")
    routes = _changing_routes()
    found = {}

    for verb, path in routes:
        answer = await client.send(verb, path)
        found[verb, path] = (answer.status, answer.json())

    refused = {
        route for route, (status, body) in found.items() if (status, body) == (403, CSRF)
    }
    assert len(routes) > 40
    assert {
        route: status for route, (status, _) in found.items() if route not in refused
    } == OTHER_RIGHTS
    assert await _sessions(world) == 1
