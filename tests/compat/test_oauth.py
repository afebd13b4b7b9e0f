"""The OAuth flow of Quay's browsers and its Ansible collection (quay-compat 6.3), and what hostile callers try."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import select, update

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import NOT_FOUND, PASSWORD, said
from tests.asgi import Answer, Client
from tests.browsers import csrf_token, sign_in, signed_in, with_password
from tests.consents import HOME, HTML, LOCAL, application, asked, authorize, post_form
from tests.hub import basic
from tests.world import World, open_world

CSRF = {"error": "CSRF token was invalid or missing."}
TOKEN = r"[A-Z0-9]{40}"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


def fragment_of(answer: Answer) -> dict[str, str]:
    fields = parse_qs(urlsplit(answer.headers["location"]).fragment)
    return {name: values[0] for name, values in fields.items()}


async def test_the_implicit_flow_by_a_program_gives_a_token_as_quay(world: World) -> None:
    """As Ansible does: sign in, take the CSRF token, post the form, read the address."""
    app = await application(world)
    client, headers = await signed_in(world, "boss")

    described = await authorize(client, asked(app["client_id"], format="json", state="s 1"))
    agreed = await post_form(
        client,
        "/oauth/authorizeapp",
        asked(app["client_id"], state="s 1", _csrf_token=headers["x-csrf-token"]),
    )

    body = described.json()
    assert {key: body[key] for key in body if key != "scopes"} == {
        "has_dangerous_scopes": True,
        "application": {
            "name": "<ci> & co",
            "description": '"<b>fast</b>"',
            "url": "",
            "organization": {"name": "acme"},
        },
        **asked(app["client_id"], state="s 1"),
        "csrf_token_val": headers["x-csrf-token"],
    }
    assert [one["scope"] for one in body["scopes"]] == ["repo:admin"]
    assert (agreed.status, agreed.body) == (302, b"")
    assert re.fullmatch(
        re.escape(f"{HOME}?scope=repo%3Aread+repo%3Aadmin&state=s+1#access_token=")
        + f"{TOKEN}&token_type=Bearer&expires_in=315576000",
        agreed.headers["location"],
    )
    token = world.anonymous.with_token(fragment_of(agreed)["access_token"])
    assert (await token.get("/api/v1/repository/acme/web/notification/")).status == 200
    assert (await token.get("/api/v1/organization/acme/applications")).status == 403


async def test_the_page_that_asks_escapes_what_the_application_says(world: World) -> None:
    app = await application(world)
    client, headers = await signed_in(world, "boss")

    page = await authorize(client, asked(app["client_id"], state='"><script>'), HTML)

    text = page.body.decode()
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;ci&gt; &amp; co" in text
    assert "&lt;b&gt;fast&lt;/b&gt;" in text
    assert 'value="&#34;&gt;&lt;script&gt;"' in text
    assert [mark for mark in ("<ci>", "<b>", "<script") if mark in text] == []
    assert f'name="_csrf_token" value="{headers["x-csrf-token"]}"' in text
    assert re.findall(r'<form method="post" action="([^"]+)">', text) == [
        "/oauth/authorizeapp",
        "/oauth/denyapp",
    ]
    assert "<code>repo:admin</code>" in text


async def test_every_page_stands_alone_and_in_no_frame(world: World) -> None:
    app = await application(world)
    client, _ = await signed_in(world, "boss")
    pages = [
        await authorize(client, asked(app["client_id"]), HTML),
        await client.get("/"),
        await client.get("/oauth/localapp"),
        await world.anonymous.get("/signin"),
        await client.get("/repository/acme/web"),
        await client.get("/organization/acme"),
    ]

    for page in pages:
        policy = page.headers["content-security-policy"].split("; ")
        assert page.status == 200
        assert policy[:5] == [
            "default-src 'none'",
            "style-src 'self'",
            "script-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
        assert (page.headers["x-frame-options"], page.headers["cache-control"]) == (
            "DENY",
            "no-store",
        )
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        # Nothing is loaded from elsewhere, and no markup holds code of its own.
        assert (
            set(re.findall(r'(?:src|href)="(https?:[^"]*|//[^"]*)"', page.body.decode()))
            == set()
        )
        assert re.findall(rb"<style|<script>|\bon\w+=|style=", page.body) == []
    assert [page.headers["content-security-policy"].split("; ")[5] for page in pages[:2]] == [
        "form-action 'self' https://ci.example.com https:",
        "form-action 'self'",
    ]


async def test_denying_tells_the_application(world: World) -> None:
    app = await application(world, redirect_uri=f"{HOME}?a=1")
    client, headers = await signed_in(world, "boss")
    values = asked(app["client_id"], redirect_uri=f"{HOME}?a=1", state="s")

    denied = await post_form(
        client, "/oauth/denyapp", {**values, "_csrf_token": headers["x-csrf-token"]}
    )

    assert (denied.status, denied.headers["location"]) == (
        302,
        f"{HOME}?a=1&error=access_denied&state=s",
    )


async def test_who_agreed_once_goes_on_at_once_but_only_for_as_much(world: World) -> None:
    app = await application(world)
    client, headers = await signed_in(world, "boss")
    form = {"_csrf_token": headers["x-csrf-token"]}
    await post_form(client, "/oauth/authorizeapp", {**asked(app["client_id"]), **form})

    again = await authorize(client, asked(app["client_id"], scope="repo:read"), HTML)
    more = await authorize(client, asked(app["client_id"], scope="repo:read org:admin"), HTML)
    async with world.store.begin() as tx:
        await tx.run(update(t.tokens).values(expires_at=tx.now))
    later = await authorize(client, asked(app["client_id"], scope="repo:read"), HTML)

    assert (again.status, again.headers["location"].partition("#")[0]) == (
        302,
        f"{HOME}?scope=repo%3Aread",
    )
    assert (more.status, later.status) == (200, 200)


async def test_who_is_not_signed_in_signs_in_and_comes_back_to_the_question(
    world: World,
) -> None:
    app = await application(world)
    await with_password(world, "boss")
    client = world.anonymous.as_browser()

    page = await authorize(client, asked(app["client_id"], state="<x>"), HTML)
    text = page.body.decode()
    (csrf,) = re.findall(r'name="_csrf_token" value="([^"]+)"', text)
    (following,) = re.findall(r'name="next" value="([^"]+)"', text)
    following = following.replace("&amp;", "&")
    fields = {"_csrf_token": csrf, "next": following, "username": "boss"}
    wrong = await post_form(client, "/signin", {**fields, "password": "wrong-password"})
    right = await post_form(client, "/signin", {**fields, "password": PASSWORD})
    question = await client.get(right.headers["location"], headers=HTML)

    assert (page.status, "Sign in" in text) == (401, True)
    # A browser would else stop at the redirect to the application of somebody who has agreed before.
    assert page.headers["content-security-policy"].endswith("form-action 'self' https: http:")
    assert (
        wrong.status,
        "The user name or the password is not right." in wrong.body.decode(),
    ) == (
        403,
        True,
    )
    assert (right.status, right.headers["location"]) == (303, following)
    assert (question.status, "Authorize" in question.body.decode()) == (200, True)


FOREIGN = [
    "https://evil.example.com/",
    "//evil.example.com/",
    "/\\evil.example.com",
    "/\t/evil.example.com",
    "\\\\evil.example.com",
    "javascript:alert(1)",
    "https:evil.example.com",
    "/ /evil",
    "",
    "evil",
]


@pytest.mark.parametrize("following", FOREIGN)
async def test_signing_in_leads_to_no_other_site(world: World, following: str) -> None:
    await with_password(world, "boss")
    client = world.anonymous.as_browser()
    token = await csrf_token(client)

    answer = await post_form(
        client,
        "/signin",
        {"_csrf_token": token, "next": following, "username": "boss", "password": PASSWORD},
    )
    again = await client.get(f"/signin?{urlencode({'next': following})}")

    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert (again.status, again.headers["location"]) == (303, "/")


async def test_signing_in_at_the_page_needs_its_form(world: World) -> None:
    await with_password(world, "boss")
    client = world.anonymous.as_browser()

    answer = await post_form(client, "/signin", {"username": "boss", "password": PASSWORD})

    assert answer.status == 403
    assert "please try again" in answer.body.decode().lower()
    assert (await client.get("/api/v1/user/")).status == 401


async def test_what_is_missing_or_wrong_in_the_question_is_told_as_quay_tells_it(
    world: World,
) -> None:
    app = await application(world)
    client, _ = await signed_in(world, "boss")
    reader, _ = await signed_in(world, "reader")
    good = asked(app["client_id"])
    known = good["client_id"]

    def without(name: str) -> dict[str, str]:
        return {key: value for key, value in good.items() if key != name}

    answers = [
        said(await authorize(client, without("client_id"))),
        said(await authorize(client, without("redirect_uri"))),
        said(await authorize(client, without("scope"))),
        said(await authorize(world.anonymous, good)),
        said(await authorize(reader, good)),
        said(await authorize(client, asked("x" * 20))),
    ]
    places = [
        (await authorize(client, asked(known, **changed))).headers.get("location")
        for changed in (
            {"redirect_uri": "https://evil.example.com/"},
            {"scope": "repo:nope"},
            {"scope": "repo:read,super:user"},
            {"response_type": "wish"},
        )
    ]

    assert answers == [
        (400, {"error": "Required param: client_id"}),
        (400, {"error": "Required param: redirect_uri"}),
        (400, {"error": "Required param: scope"}),
        (401, {"error": "Requires authentication"}),
        (403, {"error": "Unauthorized"}),
        (404, {"error": "Not Found"}),
    ]
    assert places == [
        f"{HOME}?error=redirect_uri_mismatch",
        f"{HOME}?error=invalid_scope",
        f"{HOME}?error=invalid_scope",
        f"{HOME}?error=unsupported_response_type",
    ]


async def test_an_application_without_an_address_sends_nobody_anywhere(world: World) -> None:
    app = await application(world, redirect_uri="")
    client, _ = await signed_in(world, "boss")

    foreign = await authorize(client, asked(app["client_id"]))
    local = await authorize(client, asked(app["client_id"], redirect_uri=LOCAL), HTML)

    assert said(foreign) == (400, {"error": "redirect_uri_mismatch"})
    assert local.status == 200


async def test_addresses_that_no_header_can_hold_are_refused(world: World) -> None:
    client, _ = await signed_in(world, "boss")
    answers = []

    for registered in ("https://\u00e9.example.com/", "javascript:alert(1)", "https://[::1/"):
        app = await application(world, redirect_uri=registered)
        places = (registered, "https://ci.example.com/\u2044")
        answers += [
            said(await authorize(client, asked(app["client_id"], redirect_uri=place)))
            for place in places
        ]

    assert answers == [(400, {"error": "redirect_uri_mismatch"})] * 6


async def test_agreeing_is_refused_as_tabled(world: World) -> None:
    app = await application(world)
    known = app["client_id"]
    client, headers = await signed_in(world, "boss")
    reader, reader_headers = await signed_in(world, "reader")
    browser = world.anonymous.as_browser()
    anonymous = await csrf_token(browser)
    own = {"_csrf_token": headers["x-csrf-token"]}

    async def agree(who: Client, values: Mapping[str, str]) -> Answer:
        return await post_form(who, "/oauth/authorizeapp", values)

    without = await agree(client, asked(known))
    wrong = await agree(client, asked(known, _csrf_token=anonymous))
    nobody = await agree(browser, asked(known, _csrf_token=anonymous))
    stranger = await agree(reader, asked(known, _csrf_token=reader_headers["x-csrf-token"]))
    missing = await agree(client, own)
    foreign = await agree(
        client, {**asked(known, redirect_uri="https://evil.example.com"), **own}
    )
    unknown = await agree(client, {**asked("x" * 20), **own})
    unknown_local = await agree(client, {**asked("x" * 20, redirect_uri=LOCAL), **own})
    scope = await agree(client, {**asked(known, scope="repo:nope"), **own})

    assert [said(one) for one in (without, wrong)] == [(403, CSRF)] * 2
    assert said(nobody) == (401, {"error": "Requires authentication"})
    assert said(stranger) == (403, {"error": "Unauthorized"})
    assert said(missing) == (400, {"error": "Required param: client_id"})
    assert said(foreign) == (400, {"error": "invalid_request"})
    assert said(unknown) == (400, {"error": "unauthorized_client"})
    assert unknown_local.headers["location"] == f"{LOCAL}?error=unauthorized_client"
    assert (scope.status, scope.headers["location"]) == (302, f"{HOME}?error=invalid_scope")
    async with world.store.read() as tx:
        kept = await tx.rows(
            select(t.tokens.c.id).where(t.tokens.c.application_id.is_not(None))
        )
    assert kept == []


async def test_a_password_in_the_header_asks_too_and_a_token_does_not(world: World) -> None:
    app = await application(world)
    await with_password(world, "boss")
    bearer = await world.client("boss", "org:admin repo:admin user:admin")
    browser = world.anonymous.as_browser()
    csrf = {"_csrf_token": await csrf_token(browser)}

    described = await authorize(
        world.anonymous, asked(app["client_id"], format="json"), basic("boss", PASSWORD)
    )
    agreed = await post_form(
        browser,
        "/oauth/authorizeapp",
        {**asked(app["client_id"]), **csrf},
        basic("boss", PASSWORD),
    )
    wrong = await authorize(
        world.anonymous, asked(app["client_id"]), basic("boss", "wrong-password")
    )
    by_token = await authorize(bearer, asked(app["client_id"]))

    assert (described.status, agreed.status) == (200, 302)
    assert re.fullmatch(TOKEN, fragment_of(agreed)["access_token"])
    assert said(wrong) == (401, {"error": "Invalid Username or Password"})
    assert said(by_token) == (401, {"error": "Requires authentication"})


async def test_a_user_sees_and_takes_back_what_applications_may(world: World) -> None:
    app = await application(world)
    client, headers = await signed_in(world, "boss")
    other, other_headers = await signed_in(world, "admin")
    agreed = await post_form(
        client,
        "/oauth/authorizeapp",
        {**asked(app["client_id"]), "_csrf_token": headers["x-csrf-token"]},
    )
    token = world.anonymous.with_token(fragment_of(agreed)["access_token"])
    hooks = "/api/v1/repository/acme/web/notification/"

    listed = await client.get("/api/v1/user/authorizations")
    (one,) = listed.json()["authorizations"]
    path = f"/api/v1/user/authorizations/{one['uuid']}"
    shown = await client.get(path)
    foreign = [
        said(await other.get(path)),
        said(await other.delete(path, headers=other_headers)),
    ]
    before = await token.get(hooks)
    revoked = await client.delete(path, headers=headers)
    after = await token.get(hooks)

    assert list(one) == ["application", "scopes", "uuid"]
    assert list(one["application"]) == ["name", "description", "url", "avatar", "organization"]
    assert one["application"]["organization"]["name"] == "acme"
    assert [scope["scope"] for scope in one["scopes"]] == ["repo:admin"]
    assert said(shown) == (200, one)
    assert foreign == [(404, NOT_FOUND)] * 2
    assert (before.status, said(revoked), after.status) == (200, (204, None), 401)
    assert (await client.get("/api/v1/user/authorizations")).json() == {"authorizations": []}
    assert (await other.get("/api/v1/user/authorizations")).json() == {"authorizations": []}


async def test_the_page_for_tokens_needs_no_script_to_be_of_use(world: World) -> None:
    page = await world.anonymous.get("/oauth/localapp")
    script = await world.anonymous.get("/static/token.js")
    style = await world.anonymous.get("/static/dockbell.css")
    refused = await world.anonymous.get("/oauth/localapp?error=%3Cb%3E")
    nothing = await world.anonymous.get("/static/..%2Fpages.py")

    assert "#access_token=" in page.body.decode()
    assert script.headers["content-type"].startswith("text/javascript")
    assert style.headers["content-type"].startswith("text/css")
    assert "There is no token: &lt;b&gt;." in refused.body.decode()
    assert nothing.status == 404


async def test_signing_out_at_the_page_needs_its_form(world: World) -> None:
    client, headers = await signed_in(world, "boss")

    without = await post_form(client, "/signout", {})
    still = await client.get("/api/v1/user/")
    out = await post_form(client, "/signout", {"_csrf_token": headers["x-csrf-token"]})

    assert (without.status, still.status) == (403, 200)
    assert (out.status, out.headers["location"]) == (303, "/")
    assert (await client.get("/api/v1/user/")).status == 401
    assert (await sign_in(client, "boss")).status == 200
