"""Changing one's own password, and what needs the password to have been shown lately (quay-compat 1.2, `fresh_login_required`)."""

import pytest

from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, PASSWORD, UNAUTHENTICATED, invalid, said
from tests.browsers import sign_in, signed_in
from tests.compat.test_sessions import CSRF, HOOKS, NEW
from tests.conftest import SetClock
from tests.world import World, open_world


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


STALE = {
    **UNAUTHENTICATED,
    "detail": "Requires fresh login",
    "error_message": "Requires fresh login",
    "error_type": "fresh_login_required",
    "title": "fresh_login_required",
    "type": "https://dockbell.test/api/v1/error/fresh_login_required",
}
NEW_PASSWORD = "another-good-one"


async def test_what_outlives_a_session_needs_the_password_within_ten_minutes(
    world: World, clock: SetClock
) -> None:
    client, headers = await signed_in(world, "admin")
    clock.move(minutes=10, seconds=1)
    changes = [
        ("PUT", "/api/v1/user/", {"password": NEW_PASSWORD}),
        ("POST", "/api/v1/user/apptoken", {"title": "x"}),
    ]

    stale = [said(await client.send(*one, headers=headers)) for one in changes]
    other = await client.post(HOOKS, NEW, headers=headers)
    wrong = await client.post(
        "/api/v1/signin/verify", {"password": "wrong-password"}, headers=headers
    )
    without = await client.post("/api/v1/signin/verify", {"password": PASSWORD})
    right = await client.post("/api/v1/signin/verify", {"password": PASSWORD}, headers=headers)
    fresh = {"x-csrf-token": right.headers["x-next-csrf-token"]}
    statuses = [(await client.send(*one, headers=fresh)).status for one in reversed(changes)]

    assert stale == [(401, STALE)] * 2
    assert (other.status, wrong.status, said(without)) == (201, 403, (403, CSRF))
    assert said(right) == (200, {"success": True})
    assert statuses == [200, 200]


async def test_a_new_password_ends_all_other_sessions_and_keeps_this_one_under_a_new_cookie(
    world: World,
) -> None:
    client, headers = await signed_in(world, "admin")
    elsewhere = world.anonymous.as_browser()
    await sign_in(elsewhere, "admin")
    before = dict(client.jar.cookies)

    changed = await client.put("/api/v1/user/", {"password": NEW_PASSWORD}, headers=headers)
    next_token = {"x-csrf-token": changed.headers["x-next-csrf-token"]}
    made = await client.post(HOOKS, NEW, headers=next_token)

    assert (changed.status, changed.json()["username"]) == (200, "admin")
    assert client.jar.cookies != before
    assert made.status == 201
    assert (await elsewhere.get("/api/v1/user/")).status == 401
    assert (await sign_in(world.anonymous.as_browser(), "admin")).status == 403
    assert (await sign_in(world.anonymous.as_browser(), "admin", NEW_PASSWORD)).status == 200


async def test_a_bad_password_and_a_token_change_nothing(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    token = await world.client("admin", "user:admin repo:admin org:admin")
    refused = (
        "Invalid password, password must be at least 8 characters and contain no whitespace."
    )

    answers = [
        said(await client.put("/api/v1/user/", {"password": text}, headers=headers))
        for text in ("short", "with a space in it", "")
    ]
    by_token = await token.put("/api/v1/user/", {"password": NEW_PASSWORD})
    unchanged = await client.put("/api/v1/user/", {}, headers=headers)

    assert answers == [(400, invalid(refused))] * 3
    assert said(by_token) == (403, FORBIDDEN)
    assert (unchanged.status, unchanged.json()["username"]) == (200, "admin")
    assert said(await world.anonymous.put("/api/v1/user/", {})) == (401, UNAUTHENTICATED)
    assert (await client.get("/api/v1/user/")).status == 200
