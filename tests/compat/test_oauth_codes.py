"""The code grant: an application's server changes a code for a token (quay-compat 6.3, RFC 6749 4.1)."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from dockbell.store.transactions import Store
from tests.accounts import said
from tests.asgi import Client
from tests.browsers import signed_in
from tests.conftest import SetClock
from tests.consents import HOME, application, asked, post_form
from tests.hub import basic
from tests.world import World, open_world


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


async def _code(
    world: World, client: Client, headers: Mapping[str, str], client_id: str
) -> str:
    agreed = await post_form(
        client,
        "/oauth/authorizeapp",
        {**asked(client_id, response_type="code"), "_csrf_token": headers["x-csrf-token"]},
    )
    return parse_qs(urlsplit(agreed.headers["location"]).query)["code"][0]


async def test_a_code_is_changed_for_a_token_once(world: World) -> None:
    app = await application(world)
    client, headers = await signed_in(world, "boss")
    code = await _code(world, client, headers, app["client_id"])
    form = {
        "grant_type": "authorization_code",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "redirect_uri": HOME,
        "code": code,
    }

    given = await post_form(world.anonymous, "/oauth/access_token", form)
    again = await post_form(world.anonymous, "/oauth/access_token", form)

    body = given.json()
    assert (given.status, {key: body[key] for key in body if key != "access_token"}) == (
        200,
        {"token_type": "Bearer", "expires_in": 315576000, "scope": "repo:read repo:admin"},
    )
    assert given.headers["cache-control"] == "no-store"
    me = world.anonymous.with_token(body["access_token"])
    assert (await me.get("/api/v1/repository/acme/web/notification/")).status == 200
    assert said(again) == (400, {"error": "invalid_grant"})


async def test_a_code_is_good_for_its_application_its_address_and_ten_minutes(
    world: World, clock: SetClock
) -> None:
    app, other = await application(world), await application(world)
    client, headers = await signed_in(world, "boss")
    form = {
        "grant_type": "authorization_code",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "redirect_uri": HOME,
    }

    async def change(**changed: str) -> tuple[int, object]:
        code = await _code(world, client, headers, app["client_id"])
        if changed.pop("wait", ""):
            clock.move(minutes=10)
        values = {**form, "code": code, **changed}
        return said(await post_form(world.anonymous, "/oauth/access_token", values))

    assert await change(client_secret="x" * 40) == (401, {"error": "invalid_client"})
    assert await change(client_id="x" * 20) == (401, {"error": "invalid_client"})
    assert await change(client_id=other["client_id"], client_secret=other["client_secret"]) == (
        400,
        {"error": "invalid_grant"},
    )
    assert await change(redirect_uri=f"{HOME}/other") == (400, {"error": "invalid_grant"})
    assert await change(wait="yes") == (400, {"error": "invalid_grant"})
    assert await change(code="x" * 40) == (400, {"error": "invalid_grant"})
    assert await change(grant_type="password") == (400, {"error": "unsupported_grant_type"})
    assert await change(code="") == (400, {"error": "invalid_request"})


async def test_a_wrong_secret_does_not_burn_the_code(world: World) -> None:
    app = await application(world)
    client, headers = await signed_in(world, "boss")
    form = {
        "grant_type": "authorization_code",
        "redirect_uri": HOME,
        "code": await _code(world, client, headers, app["client_id"]),
    }

    thief = await post_form(
        world.anonymous,
        "/oauth/access_token",
        {**form, "client_id": app["client_id"], "client_secret": "x" * 40},
    )
    owner = await post_form(
        world.anonymous,
        "/oauth/access_token",
        form,
        basic(app["client_id"], app["client_secret"]),
    )

    assert (thief.status, owner.status) == (401, 200)
