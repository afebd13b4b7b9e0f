"""Making the first user (quay-compat 6.1), and what dockbell adds: the set-up token."""

import asyncio
import json
from collections.abc import Sequence

from structlog.testing import capture_logs

from dockbell.services import first_users
from dockbell.store.transactions import Store
from tests.accounts import PASSWORD, UNAUTHENTICATED, open_empty, said
from tests.conftest import SetClock

PATH = "/api/v1/user/initialize"
FIRST = {"username": "quayadmin", "password": PASSWORD, "email": "q@example.com"}


async def test_initialize_answers_with_user_and_token(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)

    answer = await client.post(PATH, {**FIRST, "access_token": True})

    body = answer.json()
    assert answer.status == 200
    assert list(body) == ["access_token", "email", "encrypted_password", "username"]
    assert (body["email"], body["username"]) == ("q@example.com", "quayadmin")
    assert (len(body["access_token"]), body["access_token"].isalnum()) == (40, True)


async def test_initialize_without_a_wish_for_a_token_gives_none(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)

    answer = await client.post(PATH, {"username": "quayadmin", "password": PASSWORD})

    body = answer.json()
    assert answer.status == 200
    assert {key: body[key] for key in body if key != "encrypted_password"} == {
        "email": None,
        "username": "quayadmin",
    }


async def test_the_first_token_may_do_everything_and_ends_after_two_and_a_half_hours(
    store: Store, clock: SetClock
) -> None:
    client = open_empty(store, is_initialize_open=True)
    made = (await client.post(PATH, {**FIRST, "access_token": True})).json()
    first = client.with_token(made["access_token"])

    organization = await first.post("/api/v1/organization/", {"name": "acme"})
    clock.move(seconds=8999)
    shortly_before = await first.get("/api/v1/user/")
    clock.move(seconds=1)
    after = await first.get("/api/v1/user/")

    assert said(organization) == (201, "Created")
    assert shortly_before.json()["super_user"] is True
    assert said(after) == (401, {"session_required": False, **UNAUTHENTICATED})


async def test_a_second_initialize_is_refused(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)
    await client.post(PATH, FIRST)

    answer = await client.post(PATH, {**FIRST, "username": "second"})

    assert said(answer) == (
        400,
        {"message": "Cannot initialize user in a non-empty database"},
    )


_BAD_BODIES: Sequence[tuple[object, str]] = [
    (
        {**FIRST, "username": "Bad Name"},
        (
            "Failed to initialize user: Invalid namespace Bad Name: "
            "Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"
        ),
    ),
    (
        {**FIRST, "username": "a"},
        (
            "Failed to initialize user: Invalid namespace a: "
            "Namespace must be between 2 and 255 characters in length"
        ),
    ),
    (
        {**FIRST, "password": "short"},
        (
            "Failed to initialize user: Invalid password, "
            "password must be at least 8 characters and contain no whitespace."
        ),
    ),
    (
        {**FIRST, "email": "nobody"},
        "Failed to initialize user: Invalid email address: nobody",
    ),
    ({"password": PASSWORD}, "'username' is a required property"),
    ({**FIRST, "password": 12345678}, "12345678 is not of type 'string'"),
    ([], "[] is not of type 'object'"),
]


async def test_initialize_refuses_bad_bodies_with_a_message(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)

    answers = [said(await client.post(PATH, body)) for body, _ in _BAD_BODIES]

    assert answers == [(400, {"message": message}) for _, message in _BAD_BODIES]


async def test_initialize_refuses_what_is_no_json(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)

    answer = await client.send(
        "POST", PATH, body=b"{", headers={"content-type": "application/json"}
    )

    assert said(answer) == (
        400,
        {
            "message": "The browser (or proxy) sent a request that this server could not understand."
        },
    )


async def test_initialize_is_not_there_when_it_is_switched_off(store: Store) -> None:
    client = open_empty(store)

    answer = await client.post(PATH, FIRST)

    assert said(answer) == (404, {"error": "Not Found"})


async def test_the_set_up_token_opens_initialize_as_header_and_in_the_body(
    store: Store,
) -> None:
    client = open_empty(store)
    async with store.begin() as tx:
        token = await first_users.set_up_token(tx)
    assert token is not None

    wrong = await client.post(PATH, {**FIRST, "setup_token": token[::-1]})
    by_header = await client.post(
        PATH, {"username": "x"}, headers={"dockbell-setup-token": token}
    )
    by_body = await client.post(PATH, {**FIRST, "setup_token": token})
    again = await client.post(PATH, {**FIRST, "username": "again", "setup_token": token})

    assert said(wrong) == (404, {"error": "Not Found"})
    assert said(by_header) == (400, {"message": "'password' is a required property"})
    assert (by_body.status, by_body.json()["username"]) == (200, "quayadmin")
    assert said(again) == (
        400,
        {"message": "Cannot initialize user in a non-empty database"},
    )


async def test_why_nobody_was_made_is_in_the_log_without_the_token(store: Store) -> None:
    client = open_empty(store)
    async with store.begin() as tx:
        token = str(await first_users.set_up_token(tx))
    bodies = [
        json.dumps({**FIRST, "setup_token": token[::-1]}),
        json.dumps(FIRST),
        f'{{"setup_token": "{token}", }}',
        "",
    ]

    with capture_logs() as lines:
        answers = [
            await client.send(
                "POST", PATH, body=body.encode(), headers={"content-type": "application/json"}
            )
            for body in bodies
        ]

    assert [said(one) for one in answers] == [(404, {"error": "Not Found"})] * 4
    warnings = [one for one in lines if one["log_level"] == "warning"]
    assert [(one["event"], one["reason"]) for one in warnings] == [
        ("first user not made", "what was sent is not the set-up token"),
        ("first user not made", "no set-up token was sent"),
        ("first user not made", "the body is not JSON, so no set-up token can be read from it"),
        ("first user not made", "no set-up token was sent"),
    ]
    assert token not in str(lines)
    assert token[::-1] not in str(lines)


async def test_the_set_up_token_is_the_same_until_there_is_a_user(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)
    async with store.begin() as tx:
        first = await first_users.set_up_token(tx)
    async with store.begin() as tx:
        second = await first_users.set_up_token(tx)
    await client.post(PATH, FIRST)
    async with store.begin() as tx:
        third = await first_users.set_up_token(tx)

    assert (len(first or ""), second, third) == (40, first, None)


async def test_no_token_is_right_before_one_was_made(store: Store) -> None:
    client = open_empty(store)

    answer = await client.post(PATH, {**FIRST, "setup_token": ""})
    other = await client.post(PATH, {**FIRST, "setup_token": "A" * 40})

    assert said(answer) == (404, {"error": "Not Found"})
    assert said(other) == (404, {"error": "Not Found"})


async def test_of_several_first_users_at_once_one_is_made(store: Store) -> None:
    client = open_empty(store, is_initialize_open=True)

    answers = await asyncio.gather(
        *(client.post(PATH, {**FIRST, "username": f"user{n}", "email": None}) for n in range(4))
    )

    refused = (400, {"message": "Cannot initialize user in a non-empty database"})
    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400]
    assert [said(one) for one in answers if one.status == 400] == [refused] * 3
