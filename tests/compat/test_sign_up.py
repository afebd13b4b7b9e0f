"""People make accounts for themselves, while that is open (quay-compat 6.6, clients.md 1.3)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from dockbell.store import namespaces, users
from dockbell.store.transactions import Store
from tests.accounts import UNAUTHENTICATED, invalid, problem, said
from tests.apps import app_of
from tests.asgi import Answer, Client
from tests.browsers import csrf_token, sign_in
from tests.conftest import SetClock
from tests.fakes import mail_reply_of
from tests.world import World, open_world

PATH = "/api/v1/user/"
NEW = {"username": "newbie", "password": "correct-horse", "email": "new@example.com"}
NO_CSRF = {"error": "CSRF token was invalid or missing."}


@pytest.fixture
async def world(store: Store) -> World:
    """Nobody may sign up, and mail is sent."""
    return await open_world(store)


@pytest.fixture
def opened(world: World) -> Callable[..., World]:
    """The same world, open, with or without mail."""

    def with_mail(*, has_mail: bool) -> World:
        emails = world.faces.emails if has_mail else replace(world.faces.emails, mail=None)
        faces = replace(world.faces, allows_sign_up=True, emails=emails)
        return replace(world, faces=faces, anonymous=Client(app_of(world.store, faces)))

    return with_mail


async def ask(world: World, body: Any = NEW) -> tuple[Client, Answer]:
    browser = world.anonymous.as_browser()
    token = await csrf_token(browser)
    return browser, await browser.post(PATH, body, headers={"x-csrf-token": token})


def link_of(world: World) -> str:
    (letter,) = world.guard.letters
    found = re.search(r"https://dockbell\.test(/confirm\?code=\S+)", letter.text)
    assert found is not None
    return found[1]


async def is_there(world: World, name: str) -> bool:
    async with world.store.read() as tx:
        return await users.find(tx, name) is not None


async def test_while_it_is_closed_there_is_no_such_thing(world: World) -> None:
    _, answer = await ask(world)

    assert said(answer) == (404, {"error": "Not Found"})
    assert not await is_there(world, "newbie")


async def test_without_mail_the_account_is_signed_in_at_once(
    opened: Callable[..., World],
) -> None:
    browser, answer = await ask(opened(has_mail=False))

    myself = await browser.get(PATH)

    body = answer.json()
    assert (answer.status, body["username"], body["email"], body["verified"]) == (
        200,
        "newbie",
        "new@example.com",
        True,
    )
    assert answer.headers["x-next-csrf-token"]
    assert said(myself) == (200, body)
    assert "super_user" not in body


async def test_with_mail_the_address_is_verified_first(opened: Callable[..., World]) -> None:
    world = opened(has_mail=True)

    browser, answer = await ask(world)
    early = await sign_in(browser, "newbie", NEW["password"])
    page = await world.anonymous.get(link_of(world))
    still = await sign_in(browser, "newbie", NEW["password"])
    pressed = await world.anonymous.post(link_of(world))
    again = await world.anonymous.get(link_of(world))
    late = await sign_in(browser, "newbie", NEW["password"])

    (letter,) = world.guard.letters
    assert said(answer) == (200, {"awaiting_verification": True})
    assert "set-cookie" not in answer.headers
    assert (letter.to, letter.subject) == (
        "new@example.com",
        "[dockbell] Please verify your e-mail address for dockbell.test",
    )
    assert [one.json()["needsEmailVerification"] for one in (early, still)] == [True, True]
    assert b"Did you make the account" in page.body
    assert [b"is ready" in one.body for one in (pressed, again)] == [True, True]
    assert [page.status, pressed.status, late.status] == [200, 200, 200]
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_a_link_that_is_not_good_verifies_nothing(
    opened: Callable[..., World], clock: SetClock
) -> None:
    world = opened(has_mail=True)
    browser, _ = await ask(world)
    good = link_of(world)
    async with world.store.read() as tx:
        other = tx.seal.close(b"something else")

    bad = [
        "/confirm",
        "/confirm?code=",
        "/confirm?code=x",
        f"/confirm?code={quote('ä')}",
        good[:-4],
        f"{good}AAAA",
        f"/confirm?code={other.hex()}",
        f"/confirm?code={'A' * 5000}",
    ]
    statuses = {
        (await world.anonymous.send(verb, path)).status
        for verb in ("GET", "POST")
        for path in bad
    }
    clock.move(days=3)
    late = await world.anonymous.post(good)

    assert (statuses, late.status) == ({400}, 400)
    assert (await sign_in(browser, "newbie", NEW["password"])).json()["needsEmailVerification"]


async def test_a_link_is_for_the_address_it_went_to(opened: Callable[..., World]) -> None:
    world = opened(has_mail=True)
    await ask(world)
    async with world.store.begin() as tx:
        found = await users.find(tx, "newbie")
        assert found is not None
        await namespaces.set_email(tx, found.namespace.id, "other@example.com")

    assert (await world.anonymous.post(link_of(world))).status == 400


async def test_what_is_refused_is_named(opened: Callable[..., World]) -> None:
    world = opened(has_mail=True)

    answers = [
        said((await ask(world, {**NEW, **changes}))[1])
        for changes in (
            {"username": "boss"},
            {"username": "acme"},
            {"username": "No"},
            {"password": "short"},
            {"email": None},
            {"email": "nonsense"},
            {"password": 5},
        )
    ]
    missing = said((await ask(world, {"username": "newbie"}))[1])

    expression = "Namespace must match expression ^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"
    assert answers == [
        (400, invalid("The username already exists")),
        (400, invalid("The username already exists")),
        (400, invalid(f"Invalid namespace No: {expression}")),
        (
            400,
            invalid(
                "Invalid password, password must be at least 8 characters and contain no whitespace."
            ),
        ),
        (400, invalid("The e-mail address must be a string")),
        (400, invalid("The e-mail address must look like name@example.com")),
        (400, invalid("5 is not of type 'string'")),
    ]
    assert missing == (400, invalid("'password' is a required property"))
    assert world.guard.letters == []


async def test_it_takes_a_csrf_token_and_no_bad_bearer_token(
    opened: Callable[..., World],
) -> None:
    world = opened(has_mail=False)

    without = await world.anonymous.post(PATH, NEW)
    bearer = await world.anonymous.with_token("x" * 40).post(PATH, NEW)

    assert said(without) == (403, NO_CSRF)
    assert said(bearer) == (401, UNAUTHENTICATED)
    assert not await is_there(world, "newbie")


async def test_an_address_is_not_flooded(opened: Callable[..., World]) -> None:
    world = opened(has_mail=True)
    answers = [
        (
            await ask(
                world, {**NEW, "username": f"new{number}", "email": f"n{number}@example.com"}
            )
        )[1]
        for number in range(31)
    ]

    assert [answer.status for answer in answers] == [200] * 30 + [429]
    assert said(answers[-1])[1] == problem(
        429, "too_many_requests", "Too many mails were asked for. Try again tomorrow."
    )
    assert not await is_there(world, "new30")


async def test_a_mail_that_does_not_leave_is_told(opened: Callable[..., World]) -> None:
    world = opened(has_mail=True)
    world.guard.mail_answer = mail_reply_of(550)

    _, answer = await ask(world)

    assert said(answer) == (
        400,
        {
            "message": "Could not send email. Please contact an administrator and report this problem."
        },
    )


@pytest.mark.parametrize("changes", [{"username": "another"}, {"email": "other@example.com"}])
async def test_an_account_that_nobody_verified_makes_room_after_three_days(
    opened: Callable[..., World], clock: SetClock, changes: dict[str, str]
) -> None:
    world = opened(has_mail=True)
    await ask(world)

    early = said((await ask(world, {**NEW, **changes}))[1])[0]
    clock.move(days=3, seconds=1)
    late = said((await ask(world, {**NEW, **changes}))[1])[0]

    assert (early, late) == (400, 200)
    assert await is_there(world, changes.get("username", "newbie"))
    assert await is_there(world, "newbie") is ("username" not in changes)


async def test_a_verified_account_stays_for_good(
    opened: Callable[..., World], clock: SetClock
) -> None:
    world = opened(has_mail=True)
    await ask(world)
    await world.anonymous.post(link_of(world))
    clock.move(days=30)

    _, answer = await ask(world)

    assert said(answer) == (400, invalid("E-mail address already used"))
