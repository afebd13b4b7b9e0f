"""The token flow: who gets what, and which tokens the registry takes."""

import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from dockbell.domain.accounts import ANONYMOUS
from dockbell.domain.secrets import hash_of, lookup_of
from dockbell.services import passwords, registry_tokens
from dockbell.store import robots, tables, users
from dockbell.store.transactions import Store, Tx
from tests.asgi import Client
from tests.conftest import NOON, SetClock
from tests.hub import (
    HOST,
    PASSWORD,
    ROBOT,
    ROBOT_TOKEN,
    Hub,
    basic,
    digest_of,
    errors_of,
    open_hub,
    rows_of,
)

CHALLENGE = f'Bearer realm="https://{HOST}/v2/auth",service="{HOST}"'


@pytest.fixture
async def hub(store: Store, tmp_path: Path, clock: SetClock) -> Hub:
    return await open_hub(store, tmp_path / "data", clock)


def claims_of(token: str) -> Any:
    text = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


async def access_of(hub: Hub, username: str | None, *scopes: str) -> list[dict[str, Any]]:
    claims = claims_of(await hub.ask_token(username, *scopes))
    access: list[dict[str, Any]] = claims["access"]
    return access


async def test_a_token_holds_what_was_asked_and_may_be_done(hub: Hub) -> None:
    expected: dict[tuple[str | None, str], list[str]] = {
        (ROBOT, "repository:acme/web:pull,push"): ["pull", "push"],
        (ROBOT, "repository:acme/web:*"): ["pull", "push"],
        (ROBOT, "repository:acme/web:pull,delete"): ["pull", "delete"],
        (ROBOT, "repository:acme/api:pull,push"): [],
        ("writer", "repository:acme/web:push,pull"): ["push", "pull"],
        ("reader", "repository:acme/web:pull,push,*"): ["pull"],
        ("boss", "repository:acme/web:*"): ["*"],
        ("fresh", "repository:acme/web:pull"): [],
        ("fresh", "repository:boss/open:pull,push"): ["pull"],
        (None, "repository:boss/open:pull,push"): ["pull"],
        (None, "repository:acme/web:pull"): [],
        ("writer", "repository:acme/new:pull,push"): [],
        ("writer", "repository:nowhere/new:pull,push"): [],
        ("writer", "repository:ubuntu:pull"): [],
        ("writer", "repository:acme/WEB:pull,push"): [],
        ("writer", "plugin:acme/web:pull"): [],
        ("boss", "repository:acme/web:pull,paint"): ["pull"],
        ("fresh", "registry:catalog:*"): ["*"],
    }

    found = {asked: await access_of(hub, *asked) for asked in expected}

    assert found == {
        (username, scope): [
            {"type": scope.split(":")[0], "name": scope.split(":")[1], "actions": actions}
        ]
        for (username, scope), actions in expected.items()
    }


async def test_the_first_answer_is_quays_challenge(hub: Hub) -> None:
    for path in ("/v2/", "/v2"):
        answer = await hub.anonymous.get(path)

        assert (answer.status, answer.body) == (401, b"true")
        assert answer.headers["www-authenticate"] == CHALLENGE
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["docker-distribution-api-version"] == "registry/2.0"


async def test_a_token_comes_under_quays_one_key_with_quays_claims(hub: Hub) -> None:
    answer = await hub.anonymous.get(
        f"/v2/auth?service={HOST}&scope=repository:acme/web:pull&account=x&offline_token=true",
        headers=basic("reader", PASSWORD),
    )

    claims = claims_of(answer.json()["token"])
    assert list(answer.json()) == ["token"]
    assert (claims["iss"], claims["aud"], claims["sub"]) == ("quay", HOST, "reader")
    assert claims["exp"] - claims["iat"] == 3600


async def test_a_token_answers_every_scope_and_takes_our_host_off_the_name(hub: Hub) -> None:
    access = await access_of(
        hub,
        "writer",
        f"repository:{HOST}/acme/web:pull%20repository:acme/api:pull",
        "repository:boss/open:pull",
    )

    assert [(entry["name"], entry["actions"]) for entry in access] == [
        ("acme/web", ["pull"]),
        ("acme/api", ["pull"]),
        ("boss/open", ["pull"]),
    ]


async def test_asking_to_push_creates_a_private_repository_for_who_may(
    hub: Hub, store: Store
) -> None:
    before = await rows_of(store, tables.repositories, "name", "visibility")

    access = await access_of(hub, "boss", "repository:acme/team/new:pull,push")
    await access_of(hub, "boss", "repository:acme/team/new:pull,push")
    await access_of(hub, "boss", "repository:acme/only-pulled:pull")
    await access_of(hub, "writer", "repository:acme/refused:pull,push")

    after = await rows_of(store, tables.repositories, "name", "visibility")
    assert access[0]["actions"] == ["pull", "push"]
    assert sorted(set(after) - set(before)) == [("team/new", "private")]


async def test_bad_credentials_are_refused_with_the_challenge(hub: Hub) -> None:
    unreadable = "access to the requested resource is not authorized"
    robot = "Could not find robot with username: acme+bot1 and supplied password."
    expected = [
        (basic("writer", "wrong"), "Invalid Username or Password"),
        (basic("nobody", PASSWORD), "Invalid Username or Password"),
        (basic("acme+bot1", "x"), robot),
        (basic("$oauthtoken", "x" * 40), "Invalid or expired OAuth access token."),
        ({"authorization": "Basic !!!"}, unreadable),
        ({"authorization": "Basic bm9jb2xvbg=="}, unreadable),
        ({"authorization": "Bearer x"}, unreadable),
        ({}, unreadable),
    ]

    answers = [
        await hub.anonymous.get(f"/v2/auth?service={HOST}", headers=headers)
        for headers, _ in expected
    ]

    assert [
        (answer.status, errors_of(answer), answer.headers["www-authenticate"])
        for answer in answers
    ] == [(401, [("UNAUTHORIZED", message)], CHALLENGE) for _, message in expected]


async def test_empty_credentials_are_nobody(hub: Hub) -> None:
    # So do the conformance suite and some clients that were given no user name.
    nobody, asked = basic("", ""), f"/v2/auth?service={HOST}"
    tokens = [
        await hub.anonymous.get(f"{asked}&scope=repository:{path}:pull,push", headers=nobody)
        for path in ("boss/open", "acme/web")  # public, private
    ]

    for_nothing = await hub.anonymous.get(asked, headers=nobody)
    half = await hub.anonymous.get(f"{asked}&scope=registry:catalog:*", headers=basic("", "x"))
    as_such = await hub.anonymous.get("/v2/", headers=nobody)

    claims = [claims_of(each.json()["token"]) for each in tokens]
    assert [each["sub"] for each in claims] == ["(anonymous)"] * 2
    assert [each["access"][0]["actions"] for each in claims] == [["pull"], []]
    assert [each.status for each in (for_nothing, half, as_such)] == [401] * 3


async def test_a_question_that_cannot_be_read_is_a_400(hub: Hub) -> None:
    decode = "Unable to decode repository and actions:"
    expected = {
        "scope=nonsense": f"{decode} nonsense",
        "scope=repository:acme/web:": f"{decode} repository:acme/web:",
        "scope=repository:acme%00/web:pull": "The query of the address cannot be read.",
        "scope=repository:acme%FF/web:pull": "The query of the address cannot be read.",
        "service=elsewhere.test": f"This server's `service` is {HOST}.",
    }

    answers = [
        await hub.anonymous.get(f"/v2/auth?{query}", headers=basic(ROBOT, ROBOT_TOKEN))
        for query in expected
    ]

    assert [(answer.status, errors_of(answer)) for answer in answers] == [
        (400, [("INVALID_REQUEST", message)]) for message in expected.values()
    ]


async def test_an_oauth_form_gives_the_same_token(hub: Hub) -> None:
    form = f"grant_type=password&service={HOST}&client_id=x&username=writer&password=correct+horse&scope=repository:acme/web:pull,push"

    answer = await hub.anonymous.post("/v2/auth", body=form.encode())

    found = answer.json()
    assert answer.status == 200
    assert found["access_token"] == found["token"]
    assert claims_of(found["token"])["access"] == [
        {"type": "repository", "name": "acme/web", "actions": ["pull", "push"]}
    ]
    assert (found["scope"], found["expires_in"], found["issued_at"]) == (
        "repository:acme/web:pull,push",
        3600,
        "2026-03-14T12:00:00Z",
    )


async def test_a_form_that_is_not_good_is_refused(hub: Hub) -> None:
    expected = {
        b"grant_type=refresh_token&refresh_token=x": (400, "UNSUPPORTED"),
        b"grant_type=password&username=writer&password=wrong": (401, "UNAUTHORIZED"),
        b"\xff\xfe": (400, "INVALID_REQUEST"),
        b"x" * 20_000: (413, "SIZE_INVALID"),
    }

    answers = [await hub.anonymous.post("/v2/auth", body=form) for form in expected]

    assert [(answer.status, errors_of(answer)[0][0]) for answer in answers] == list(
        expected.values()
    )


async def test_too_many_wrong_passwords_make_one_wait(hub: Hub) -> None:
    async def sign_in(password: str) -> tuple[int, str | None]:
        answer = await hub.anonymous.get("/v2/auth", headers=basic("writer", password))
        return answer.status, answer.headers.get("retry-after")

    refused = [await sign_in("wrong") for _ in range(5)]
    right_too_soon = await sign_in(PASSWORD)

    assert refused == [(401, None)] * 5
    assert right_too_soon == (429, "1")


async def test_the_base_answers_true_to_a_token_to_basic_and_to_an_anonymous_token(
    hub: Hub,
) -> None:
    robot = await (await hub.client()).get("/v2/")
    direct = await hub.anonymous.get("/v2/", headers=basic(ROBOT, ROBOT_TOKEN))
    nobody = await (await hub.client(None, "boss/open", "pull")).get("/v2/")

    assert [(answer.status, answer.body) for answer in (robot, direct, nobody)] == [
        (200, b"true")
    ] * 3
    assert robot.headers["docker-distribution-api-version"] == "registry/2.0"


async def test_a_token_that_is_not_ours_gets_the_challenge(hub: Hub) -> None:
    head, claims, _ = (await hub.ask_token(ROBOT, "repository:acme/web:pull")).split(".")
    tokens = ["", "x", "\xe9.\xe9.\xe9", f"{head}.{claims}.AAAA"]

    base = [await Client(hub.registry, token).get("/v2/") for token in tokens]
    tags = [await Client(hub.registry, token).get("/v2/acme/web/tags/list") for token in tokens]

    assert [(answer.status, answer.body) for answer in base] == [(401, b"true")] * 4
    assert {answer.headers["www-authenticate"] for answer in base} == {
        f'{CHALLENGE},error="invalid_token"'
    }
    assert [(answer.status, errors_of(answer)[0][0]) for answer in tags] == [
        (401, "UNAUTHORIZED")
    ] * 4
    assert {answer.headers["www-authenticate"] for answer in tags} == {
        f'{CHALLENGE},scope="repository:acme/web:pull",error="invalid_token"'
    }


async def test_a_token_ends_after_an_hour(hub: Hub, clock: SetClock) -> None:
    client = await hub.client()
    statuses = []

    for seconds in (0, 3599, 1):
        clock.move(seconds=seconds)
        statuses.append((await client.get("/v2/")).status)

    assert statuses == [200, 200, 401]


async def test_the_first_start_makes_the_key_and_the_next_finds_it(
    store: Store, clock: SetClock
) -> None:
    async with store.begin() as tx:
        first = await registry_tokens.open_tokens(tx, audience=HOST)
    async with store.begin() as tx:
        again = await registry_tokens.open_tokens(tx, audience=HOST)

    grant = again.verify(first.issue(ANONYMOUS, (), clock()), clock(), "192.0.2.7")
    assert (grant.actor.name, grant.actor.ip, grant.access) == ("(anonymous)", "192.0.2.7", ())
    assert await rows_of(store, tables.keys, "id", "purpose") == [
        ("key_registry_token_1", "registry_token")
    ]
    (private,) = (await rows_of(store, tables.keys, "private_sealed"))[0]
    assert b"PRIVATE" not in private


async def test_a_right_that_is_taken_away_ends_at_once_though_the_token_lasts(
    hub: Hub, store: Store
) -> None:
    client = await hub.client()
    before = await client.get("/v2/acme/web/tags/list")

    async with store.begin() as tx:
        await tx.run(tables.permissions.delete())
    after = await client.get("/v2/acme/web/tags/list")

    assert (before.status, after.status, errors_of(after)) == (
        200,
        403,
        [("DENIED", "Unauthorized")],
    )


async def add_oauth_token(store: Store, username: str) -> str:
    token = "T" * 40
    async with store.begin() as tx:
        await tx.run(
            insert(tables.tokens).values(
                id="tok_1",
                uuid="uuid_1",
                user_id=f"ns_{username}",
                lookup=lookup_of(token),
                token_hash=hash_of(token),
                scope="repo:write",
                created_at=tx.now,
            )
        )
    return token


async def add_app_token(store: Store, username: str) -> str:
    token = "A" * 64
    async with store.begin() as tx:
        await tx.run(
            insert(tables.app_tokens).values(
                id="apt_1",
                uuid="uuid_1",
                user_id=f"ns_{username}",
                title="laptop",
                lookup=lookup_of(token),
                token_hash=hash_of(token),
                created_at=tx.now,
            )
        )
    return token


async def test_a_token_of_one_program_may_what_its_user_may(hub: Hub, store: Store) -> None:
    secret = await add_app_token(store, "writer")
    scopes = "scope=repository:acme/web:pull,push&scope=repository:boss/open:pull,push"

    answer = await hub.anonymous.get(
        f"/v2/auth?service={HOST}&{scopes}", headers=basic("$app", secret)
    )
    wrong = [
        await hub.anonymous.get(f"/v2/auth?service={HOST}", headers=basic(*pair))
        for pair in (
            ("$app", "A" * 63 + "B"),
            ("$app", "A" * 40),
            ("$app", ""),
            ("$oauthtoken", secret),
            ("writer", secret),
        )
    ]

    claims = claims_of(answer.json()["token"])
    assert claims["sub"] == "writer"
    assert [entry["actions"] for entry in claims["access"]] == [["pull", "push"], ["pull"]]
    assert await rows_of(store, tables.app_tokens, "last_used_at") == [(NOON,)]
    assert [(one.status, errors_of(one)[0][1]) for one in wrong] == [
        (401, "Invalid or expired app-specific token."),
        (401, "Invalid or expired app-specific token."),
        (401, "Invalid or expired app-specific token."),
        (401, "Invalid or expired OAuth access token."),
        (401, "Invalid Username or Password"),
    ]


async def disable_writer(tx: Tx) -> None:
    await users.set_enabled(tx, "ns_writer", is_enabled=False)


async def change_password(tx: Tx) -> None:
    await users.set_password(tx, "ns_writer", await passwords.hash_of("another horse"))


async def remove_writer(tx: Tx) -> None:
    await tx.run(delete(tables.namespaces).where(tables.namespaces.c.name == "writer"))


async def regenerate_robot(tx: Tx) -> None:
    await robots.set_token(tx, "rob_ci", "N" * 64, hash_of("N" * 64))


async def remove_robot(tx: Tx) -> None:
    await robots.remove(tx, "rob_ci")


async def disable_owner(tx: Tx) -> None:
    await tx.run(update(tables.robots).values(namespace_id="ns_boss"))
    await users.set_enabled(tx, "ns_boss", is_enabled=False)


async def revoke_token(tx: Tx) -> None:
    await tx.run(delete(tables.tokens))


async def revoke_app_token(tx: Tx) -> None:
    await tx.run(delete(tables.app_tokens))


async def expire_app_token(tx: Tx) -> None:
    await tx.run(update(tables.app_tokens).values(expires_at=tx.now))


async def expire_token(tx: Tx) -> None:
    await tx.run(update(tables.tokens).values(expires_at=tx.now))


@pytest.mark.parametrize(
    ("username", "end"),
    [
        ("writer", disable_writer),
        ("writer", change_password),
        ("writer", remove_writer),
        (ROBOT, regenerate_robot),
        (ROBOT, remove_robot),
        (ROBOT, disable_owner),
        ("$oauthtoken", revoke_token),
        ("$oauthtoken", expire_token),
        ("$oauthtoken", disable_writer),
        ("$app", revoke_app_token),
        ("$app", expire_app_token),
        ("$app", disable_writer),
    ],
)
async def test_a_token_ends_with_the_credential_it_was_got_with(
    hub: Hub, store: Store, username: str, end: Callable[[Tx], Awaitable[None]]
) -> None:
    make = {"$oauthtoken": add_oauth_token, "$app": add_app_token}.get(username)
    secret = "" if make is None else await make(store, "writer")
    scopes = ("repository:acme/web:pull,push,delete", "registry:catalog:*")
    client = Client(hub.registry, await hub.ask_token(username, *scopes, password=secret))
    digest = digest_of(b"{}")
    upload = (await client.post("/v2/acme/web/blobs/uploads/")).headers["location"]
    asked = [
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/acme/web/tags/list", "repository:acme/web:pull"),
        ("GET", "/v2/acme/web/manifests/v1", "repository:acme/web:pull"),
        ("GET", f"/v2/acme/web/blobs/{digest}", "repository:acme/web:pull"),
        ("GET", f"/v2/acme/web/referrers/{digest}", "repository:acme/web:pull"),
        ("GET", upload, "repository:acme/web:pull,push"),
        ("PATCH", upload, "repository:acme/web:pull,push"),
        ("PUT", f"{upload}?digest={digest}", "repository:acme/web:pull,push"),
        ("DELETE", upload, "repository:acme/web:pull,push"),
        ("POST", "/v2/acme/web/blobs/uploads/", "repository:acme/web:pull,push"),
        ("PUT", "/v2/acme/web/manifests/v1", "repository:acme/web:pull,push"),
        ("DELETE", "/v2/acme/web/manifests/v1", "repository:acme/web:pull,push"),
        ("DELETE", f"/v2/acme/web/blobs/{digest}", "repository:acme/web:pull,push"),
    ]
    before = [(await client.get(path)).status for path in ("/v2/", "/v2/acme/web/tags/list")]

    async with store.begin() as tx:
        await end(tx)
    base = await client.get("/v2/")
    answers = [await client.send(verb, path) for verb, path, _ in asked]

    assert before == [200, 200]
    assert (base.status, base.body) == (401, b"true")
    assert base.headers["www-authenticate"] == f'{CHALLENGE},error="invalid_token"'
    assert [(answer.status, errors_of(answer)) for answer in answers] == [
        (401, [("UNAUTHORIZED", "What you signed in with is no longer good. Sign in again.")])
    ] * len(asked)
    assert [answer.headers["www-authenticate"] for answer in answers] == [
        f'{CHALLENGE},scope="{scope}",error="invalid_token"' for _, _, scope in asked
    ]


async def test_a_superuser_who_is_none_any_more_sees_no_more_than_others(
    hub: Hub, store: Store
) -> None:
    async with store.begin() as tx:
        await tx.run(update(tables.users).values(is_superuser=True))
    token = await hub.ask_token("fresh", "registry:catalog:*")

    async with store.begin() as tx:
        await tx.run(update(tables.users).values(is_superuser=False))
    async with store.read() as tx:
        grant = await registry_tokens.honour(tx, hub.tokens.verify(token, tx.now, "192.0.2.7"))

    assert (grant.actor.name, grant.actor.ip) == ("fresh", "192.0.2.7")
    assert grant.actor.is_superuser is False


async def test_a_password_that_changes_during_an_upload_stops_its_end(
    hub: Hub, store: Store
) -> None:
    client = await hub.client("writer")
    location = (await client.post("/v2/acme/web/blobs/uploads/")).headers["location"]
    await client.send("PATCH", location, body=b"layer")

    async with store.begin() as tx:
        await change_password(tx)
    answer = await client.put(f"{location}?digest={digest_of(b'layer')}")

    assert (answer.status, errors_of(answer)[0][0]) == (401, "UNAUTHORIZED")
    assert await rows_of(store, tables.blobs, "digest") == []


async def test_the_catalog_lists_what_the_caller_may_see(hub: Hub) -> None:
    async def repositories(username: str | None) -> list[str]:
        client = Client(hub.registry, await hub.ask_token(username, "registry:catalog:*"))
        listed: list[str] = (await client.get("/v2/_catalog")).json()["repositories"]
        return sorted(listed)

    found = [await repositories(name) for name in ("boss", "reader", None)]

    assert found == [
        ["acme/api", "acme/web", "boss/open"],
        ["acme/web", "boss/open"],
        ["boss/open"],
    ]


async def test_the_catalog_comes_in_pages(hub: Hub) -> None:
    client = Client(hub.registry, await hub.ask_token("boss", "registry:catalog:*"))

    pages, address = [], "/v2/_catalog?n=1"
    while address:
        answer = await client.get(address)
        pages.append(answer.json()["repositories"])
        link = answer.headers.get("link", "")
        address = link.removeprefix("<").partition(">")[0]

    assert pages == [["acme/web"], ["acme/api"], ["boss/open"]]
    nothing = [
        await client.get("/v2/_catalog?last=acme/none"),
        await client.get("/v2/_catalog?n=0"),
    ]
    assert [answer.json() for answer in nothing] == [{"repositories": []}] * 2


async def test_the_catalog_needs_its_own_scope(hub: Hub) -> None:
    answer = await (await hub.client()).get("/v2/_catalog")

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == (
        f'{CHALLENGE},scope="registry:catalog:*",error="insufficient_scope"'
    )
