"""What every answer under `/api/v1` has in common: CORS, content types, and which shape an error has (quay-compat 1.1-1.4)."""

import json
from collections.abc import Mapping

import pytest

from dockbell.store.transactions import Store
from tests.accounts import NOT_FOUND, UNAUTHENTICATED
from tests.asgi import Answer, Client
from tests.browsers import csrf_token, signed_in
from tests.world import PUBLIC_URL, World, open_world

HOOKS = "/api/v1/repository/acme/web/notification/"
FORM = {"content-type": "application/x-www-form-urlencoded"}
CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, POST, PUT",
    "access-control-max-age": "21600",
    "access-control-allow-headers": "AUTHORIZATION, CONTENT-TYPE, X-REQUESTED-WITH",
    "vary": "Cookie",
}
WRONG_TYPE = "Did not attempt to load JSON data because the request Content-Type was not 'application/json'."
MALFORMED = "The browser (or proxy) sent a request that this server could not understand."
METHOD = "The method is not allowed for the requested URL."
CSRF = "CSRF token was invalid or missing."
PROBLEM_KEYS = ["detail", "error_message", "error_type", "title", "type", "status"]


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


def shape_of(answer: Answer) -> tuple[int, str, str]:
    """Status, the shape's letter in quay-compat 1.2, and what it says."""
    body = answer.json()
    keys = list(body)
    if keys[-6:] == PROBLEM_KEYS:
        assert body["detail"] == body["error_message"]
        assert body["error_type"] == body["title"]
        assert body["type"] == f"{PUBLIC_URL}/api/v1/error/{body['title']}"
        assert body["status"] == answer.status
        return answer.status, "A", body["detail"]
    assert len(keys) == 1
    return answer.status, {"error": "B", "message": "C"}[keys[0]], body[keys[0]]


async def test_each_refusal_has_its_shape_and_all_are_json(world: World) -> None:
    admin = await world.client("admin")
    reader = await world.client("reader")
    browser, _ = await signed_in(world, "admin")
    fresh = world.anonymous.as_browser()
    form_token = {"x-csrf-token": await csrf_token(fresh)}
    unknown = "5f0c0000-0000-4000-8000-000000000000"

    async def ask(
        client: Client, verb: str, path: str, body: bytes = b"", **more: str
    ) -> Answer:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        return await client.send(verb, path, body=body, headers=headers)

    json_type = {"content_type": "application/json"}
    answers = {
        "nobody reads": await ask(world.anonymous, "GET", HOOKS),
        "nobody writes": await ask(world.anonymous, "POST", HOOKS, b"{}", **json_type),
        "no right": await ask(reader, "POST", HOOKS, b"{}", **json_type),
        "no CSRF token": await ask(browser, "POST", HOOKS, b"{}", **json_type),
        "nothing there": await ask(admin, "GET", f"{HOOKS}{unknown}"),
        "unknown uuid": await ask(admin, "DELETE", f"{HOOKS}{unknown}"),
        "no such path": await ask(admin, "GET", "/api/v1/nothing"),
        "wrong verb": await ask(admin, "PATCH", HOOKS),
        "a form": await ask(
            admin, "POST", HOOKS, b"event=repo_push", content_type=FORM["content-type"]
        ),
        "no type": await ask(admin, "POST", HOOKS, b"{}"),
        "no JSON": await ask(admin, "POST", HOOKS, b"{", **json_type),
        "null": await ask(admin, "POST", HOOKS, b"null", **json_type),
        "a key missing": await ask(admin, "POST", HOOKS, b"{}", **json_type),
        "a bad number": await ask(admin, "GET", "/api/v1/user/notifications?page=x"),
        "sign-in by form": await fresh.send(
            "POST", "/api/v1/signin", body=b"username=admin", headers={**FORM, **form_token}
        ),
        "switched off": await ask(
            world.anonymous, "POST", "/api/v1/user/initialize", b"{}", **json_type
        ),
    }

    missing = f"No repository notification found for: acme, web, {unknown}"
    assert {name: shape_of(answer) for name, answer in answers.items()} == {
        "nobody reads": (401, "A", "Requires authentication"),
        "nobody writes": (401, "A", "Requires authentication"),
        "no right": (403, "A", "Unauthorized"),
        "no CSRF token": (403, "B", CSRF),
        "nothing there": (404, "A", "Not Found"),
        "unknown uuid": (400, "A", missing),
        "no such path": (404, "A", "Not Found"),
        "wrong verb": (405, "C", METHOD),
        "a form": (415, "C", WRONG_TYPE),
        "no type": (415, "C", WRONG_TYPE),
        "no JSON": (400, "C", MALFORMED),
        "null": (400, "A", "Missing JSON body"),
        "a key missing": (400, "A", "'event' is a required property"),
        "a bad number": (400, "C", {"page": "Offset page number. (int)"}),
        "sign-in by form": (415, "C", WRONG_TYPE),
        "switched off": (404, "B", "Not Found"),
    }
    assert {answer.headers["content-type"] for answer in answers.values()} == {
        "application/json"
    }
    for answer in answers.values():
        assert {name: answer.headers.get(name) for name in CORS} == CORS


async def test_no_answer_lets_another_sites_page_use_a_session(world: World) -> None:
    """Any origin may read what a token may read; none may send a cookie along and read, or send our CSRF header."""
    client, headers = await signed_in(world, "admin")
    foreign = {"origin": "https://evil.example.com"}

    answers = [
        await client.get("/api/v1/user/", headers=foreign),
        await client.get("/csrf_token", headers=foreign),
        await client.send("OPTIONS", HOOKS, headers=foreign),
        await client.get("/oauth/authorize?client_id=x", headers=foreign),
    ]

    assert [answer.headers.get("access-control-allow-credentials") for answer in answers] == [
        None
    ] * 4
    allowed = [
        answer.headers.get("access-control-allow-headers", "").lower() for answer in answers
    ]
    assert [text for text in allowed if "x-csrf-token" in text] == []
    # The token itself is readable by no other origin at all.
    assert "access-control-allow-origin" not in answers[1].headers
    assert (answers[2].status, answers[2].body) == (200, b"")
    assert headers["x-csrf-token"] in answers[1].body.decode()


async def test_a_form_is_taken_where_quay_takes_forms_and_nowhere_else(world: World) -> None:
    client, headers = await signed_in(world, "admin")
    token = headers["x-csrf-token"]
    bodies: Mapping[str, bytes] = {
        "form": f"_csrf_token={token}".encode(),
        "json": json.dumps({"_csrf_token": token}).encode(),
    }

    by_form = await client.send("POST", "/api/v1/signout", body=bodies["json"], headers=FORM)
    by_json = await client.send(
        "POST",
        "/api/v1/signout",
        body=bodies["json"],
        headers={"content-type": "application/json"},
    )
    out = await client.send("POST", "/api/v1/signout", body=bodies["form"], headers=FORM)

    # The token of a form is a field of it; in JSON it belongs into the header.
    assert [shape_of(one) for one in (by_form, by_json)] == [(403, "B", CSRF)] * 2
    assert (out.status, out.json()) == (200, {"success": True})


async def test_a_form_that_cannot_be_read_is_refused_and_no_error_of_ours(world: World) -> None:
    browser = world.anonymous.as_browser()
    await csrf_token(browser)

    statuses = [
        (await browser.send("POST", path, body=body, headers=FORM)).status
        for path in ("/signin", "/oauth/authorizeapp", "/oauth/access_token", "/api/v1/signin")
        for body in (b"\xff\xfe=\xff", b"&".join([b"a=b"] * 500), b"username=%00", b"=", b"")
    ]

    assert [status for status in statuses if status not in {400, 403}] == []
    assert (UNAUTHENTICATED["status"], NOT_FOUND["status"]) == (401, 404)
