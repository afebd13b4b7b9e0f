"""E-mail addresses are confirmed as in Quay, but by a button, with codes that end (quay-compat 2.4, Q26)."""

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.methods import MailPhase, UnreachableError
from dockbell.domain.outcomes import Code, Fault
from dockbell.store.tables import audit_entries, authorized_emails
from dockbell.store.transactions import Store
from tests.accounts import (
    FORBIDDEN,
    NOT_FOUND,
    UNAUTHENTICATED,
    invalid,
    open_empty,
    problem,
    said,
)
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.fakes import mail_reply_of
from tests.world import World, open_world

ONE = "/api/v1/repository/acme/web/authorizedemail/ops@example.com"
NEW = {
    "event": "repo_push",
    "method": "email",
    "config": {"email": "ops@example.com"},
    "eventConfig": {},
}
NOBODY = {
    "message": "The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
}
NOT_SENT = {
    "message": "Could not send email. Please contact an administrator and report this problem."
}
NOT_AUTHORIZED = invalid(
    "The specified e-mail address is not authorized to receive notifications for this repository"
)


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


def shown(*, confirmed: bool, email: str = "ops@example.com") -> dict[str, Any]:
    return {"email": email, "repository": "web", "namespace": "acme", "confirmed": confirmed}


def mailed_link(world: World) -> str:
    """The path and query of the link in the last mail."""
    links = re.findall(r"https://dockbell\.test(/\S+)", world.guard.letters[-1].text)
    (link,) = links
    assert isinstance(link, str)
    return link


async def confirm(world: World, admin: Client, path: str = ONE) -> None:
    assert (await admin.post(path)).status == 200
    assert (await world.anonymous.post(mailed_link(world))).status == 200


def title(answer: Answer) -> tuple[int, str]:
    return answer.status, re.findall(r"<h1>(.*)</h1>", answer.body.decode())[0]


async def test_an_address_that_was_never_asked_is_unknown(admin: Client) -> None:
    assert said(await admin.get(ONE)) == (404, NOBODY)


async def test_asking_sends_one_mail_with_one_link(world: World, admin: Client) -> None:
    asked = await admin.post(ONE, body=b"{nonsense")
    pending = await admin.get(ONE)

    assert (said(asked), said(pending)) == (
        (200, shown(confirmed=False)),
        (200, shown(confirmed=False)),
    )
    [letter] = world.guard.letters
    assert letter.to == "ops@example.com"
    assert letter.subject == (
        "[dockbell] Please verify your e-mail address for repository acme/web"
    )
    assert re.fullmatch(r"/authrepoemail\?code=[A-Z0-9]{16}", mailed_link(world))
    assert f"https://dockbell.test{mailed_link(world)}" in letter.html
    assert "admin wants to send notifications about the repository acme/web" in letter.text


@pytest.mark.quirk("Q26")
async def test_the_page_changes_nothing_and_its_button_confirms(
    world: World, admin: Client
) -> None:
    await admin.post(ONE)
    link = mailed_link(world)

    page = await world.anonymous.get(link)
    before = await admin.get(ONE)
    pressed = await world.anonymous.post(link)
    again = await world.anonymous.post(link)
    later = await world.anonymous.get(link)
    after = await admin.get(ONE)

    assert title(page) == (200, "Confirm your e-mail address")
    assert page.body.count(b"<form") == 1
    assert said(before) == (200, shown(confirmed=False))
    assert [title(one) for one in (pressed, again, later)] == [
        (200, "E-mail address authorized")
    ] * 3
    assert (
        "ops@example.com has been authorized to receive notifications for the repository "
        '<a href="/repository/acme/web">acme/web</a>.'
    ) in pressed.body.decode()
    assert said(after) == (200, shown(confirmed=True))


async def test_pages_keep_their_secrets(world: World, admin: Client) -> None:
    await admin.post(ONE)

    page = await world.anonymous.get(mailed_link(world))

    assert {
        name: page.headers[name]
        for name in (
            "content-type",
            "cache-control",
            "referrer-policy",
            "x-content-type-options",
        )
    } == {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    assert page.headers["content-security-policy"].startswith("default-src 'none';")


async def test_a_wrong_code_and_none_are_told_apart(world: World) -> None:
    client = world.anonymous

    wrong = [
        await client.get("/authrepoemail?code=X"),
        await client.post("/authrepoemail?code=X"),
    ]
    none = [await client.get("/authrepoemail"), await client.post("/authrepoemail?code=")]

    assert [title(one) for one in wrong] == [(200, "E-mail address not confirmed")] * 2
    assert ["Invalid confirmation code." in one.body.decode() for one in wrong] == [True] * 2
    assert [title(one) for one in none] == [(400, "Incomplete link")] * 2


@pytest.mark.quirk("Q26")
async def test_a_code_ends_after_three_days(
    world: World, admin: Client, clock: SetClock
) -> None:
    await admin.post(ONE)
    clock.move(days=3)

    late = await world.anonymous.post(mailed_link(world))

    assert title(late) == (200, "E-mail address not confirmed")
    assert said(await admin.get(ONE)) == (200, shown(confirmed=False))


async def test_a_newer_mail_makes_the_older_link_void(
    world: World, admin: Client, clock: SetClock
) -> None:
    await admin.post(ONE)
    older = mailed_link(world)
    clock.move(minutes=1)
    await admin.post(ONE)

    with_older = await world.anonymous.post(older)
    with_newer = await world.anonymous.post(mailed_link(world))

    assert (title(with_older)[1], title(with_newer)[1]) == (
        "E-mail address not confirmed",
        "E-mail address authorized",
    )


async def test_a_confirmed_address_is_not_asked_again(world: World, admin: Client) -> None:
    await confirm(world, admin)

    again = await admin.post(ONE)

    assert (said(again), len(world.guard.letters)) == ((200, shown(confirmed=True)), 1)


async def test_the_code_is_stored_as_a_hash_only(
    world: World, admin: Client, store: Store
) -> None:
    await admin.post(ONE)
    code = mailed_link(world).partition("=")[2]

    async with store.read() as tx:
        row = await tx.first(select(authorized_emails))

    assert row is not None
    assert [name for name, value in row._mapping.items() if code in str(value)] == []


@pytest.mark.parametrize(
    "email", ["nonsense", "a@b", "a%20b@example.com", "%22a%22@example.com", "é@example.com"]
)
async def test_what_is_no_address_is_refused(world: World, admin: Client, email: str) -> None:
    path = f"/api/v1/repository/acme/web/authorizedemail/{email}".replace("é", "%C3%A9")

    refused = await admin.post(path)

    assert (refused.status, refused.json()["error_type"]) == (400, "invalid_request")
    assert refused.json()["detail"].startswith("The e-mail address ")
    assert world.guard.letters == []


@pytest.mark.parametrize(
    "answer",
    [
        mail_reply_of(550, MailPhase.RECIPIENT),
        mail_reply_of(451, MailPhase.BODY),
        mail_reply_of(535, MailPhase.LOGIN),
        UnreachableError(Code.CONNECT_REFUSED, "Nobody there.", fault=Fault.OURS),
    ],
    ids=["refused", "deferred", "login", "silence"],
)
async def test_a_mail_that_does_not_leave_is_told_in_quays_words(
    world: World, admin: Client, answer: Any
) -> None:
    world.guard.mail_answer = answer

    failed = await admin.post(ONE)

    assert said(failed) == (400, NOT_SENT)


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_only_an_admin_may_ask(world: World, verb: str) -> None:
    writer = await world.client("writer")
    narrow = await world.client("admin", "repo:write")

    answers = [
        said(await client.send(verb, ONE)) for client in (world.anonymous, writer, narrow)
    ]

    assert answers == [(401, UNAUTHENTICATED), (403, FORBIDDEN), (403, FORBIDDEN)]
    assert world.guard.letters == []


async def test_a_repository_that_is_not_there_is_told_in_quays_words(world: World) -> None:
    boss = await world.client("boss")
    path = "/api/v1/repository/acme/nope/authorizedemail/ops@example.com"

    asked = await boss.post(path)
    read = await boss.get(path)

    assert said(asked) == (400, {"message": "Invalid repository acme/nope"})
    assert read.status == 404


async def test_without_a_mail_server_there_are_no_such_addresses(store: Store) -> None:
    client = open_empty(store)

    answers = [said(await client.send(verb, ONE)) for verb in ("GET", "POST")]

    assert answers == [(404, NOT_FOUND)] * 2


async def test_asking_is_on_record(world: World, admin: Client, store: Store) -> None:
    await admin.post(ONE)

    async with store.read() as tx:
        row = await tx.first(select(audit_entries))

    assert row is not None
    assert (row.kind, row.actor_name, row.metadata["email"]) == (
        "authorize_repo_email",
        "admin",
        "ops@example.com",
    )


# How many mails


async def test_one_address_gets_one_mail_a_minute_and_five_a_day(
    world: World, admin: Client, clock: SetClock
) -> None:
    statuses = []
    for _ in range(6):
        statuses.append((await admin.post(ONE)).status)
        statuses.append((await admin.post(ONE)).status)
        clock.move(minutes=1)
    clock.move(days=1)
    next_day = await admin.post(ONE)

    assert statuses == [200, 429] * 5 + [429, 429]
    assert (next_day.status, len(world.guard.letters)) == (200, 6)


async def test_an_address_is_spared_whoever_asks_and_however_it_is_written(
    world: World, admin: Client
) -> None:
    await admin.post("/api/v1/repository/admin/open/authorizedemail/Ops@Example.com")

    refused = await admin.post(ONE)

    assert said(refused) == (
        429,
        problem(
            429,
            "too_many_requests",
            "A mail went to this address a moment ago. Wait a minute.",
        ),
    )


async def test_one_account_asks_thirty_addresses_an_hour(
    world: World, admin: Client, clock: SetClock
) -> None:
    paths = [
        f"/api/v1/repository/acme/web/authorizedemail/user{number}@example.com"
        for number in range(31)
    ]

    statuses = [(await admin.post(path)).status for path in paths]
    elsewhere = await admin.post(ONE.replace("acme/web", "admin/open"))
    clock.move(hours=1)
    later = await admin.post(paths[-1])

    assert statuses == [200] * 30 + [429]
    assert (elsewhere.status, later.status) == (429, 200)


# What it is for


async def test_a_notification_needs_a_confirmed_address(world: World, admin: Client) -> None:
    path = "/api/v1/repository/acme/web/notification/"
    refused = [await admin.post(path, NEW)]
    await admin.post(ONE)
    refused.append(await admin.post(path, NEW))
    await world.anonymous.post(mailed_link(world))

    made = await admin.post(path, NEW)
    missing = await admin.post(path, {**NEW, "config": {}})

    assert [said(one) for one in refused] == [(400, NOT_AUTHORIZED)] * 2
    assert (made.status, made.json()["config"]) == (201, {"email": "ops@example.com"})
    assert said(missing) == (400, invalid("Missing e-mail address"))


async def test_an_address_is_confirmed_for_one_repository_and_as_it_is_written(
    world: World, admin: Client
) -> None:
    await confirm(world, admin)

    other = await admin.post("/api/v1/repository/acme/api/notification/", NEW)
    written = await admin.post(
        "/api/v1/repository/acme/web/notification/",
        {**NEW, "config": {"email": "OPS@example.com"}},
    )

    assert [said(one) for one in (other, written)] == [(400, NOT_AUTHORIZED)] * 2


async def test_a_nested_repository_has_addresses_of_its_own(
    world: World, admin: Client
) -> None:
    path = "/api/v1/repository/acme/team/app/authorizedemail/ops@example.com"

    asked = await admin.post(path)

    assert said(asked) == (
        200,
        {
            "email": "ops@example.com",
            "repository": "team/app",
            "namespace": "acme",
            "confirmed": False,
        },
    )


async def test_a_deleted_repository_takes_its_addresses_along(
    world: World, admin: Client, store: Store
) -> None:
    await confirm(world, admin)

    gone = await admin.delete("/api/v1/repository/acme/web")

    async with store.read() as tx:
        left = await tx.rows(select(authorized_emails))
    assert (gone.status, len(left)) == (204, 0)
    assert title(await world.anonymous.get(mailed_link(world))) == (
        200,
        "E-mail address not confirmed",
    )


async def test_two_who_ask_at_once_send_one_mail(world: World, admin: Client) -> None:
    statuses = await asyncio.gather(*(_status(admin) for _ in range(5)))

    assert sorted(statuses) == [200, 429, 429, 429, 429]
    assert len(world.guard.letters) == 1


async def _status(admin: Client) -> int:
    return (await admin.post(ONE)).status


@pytest.mark.parametrize(
    "odd", ["%FF", "%ED%A0%80", "%0D%0A", "x" * 8000, "%F0%9F%94%94", "';--"]
)
async def test_odd_codes_and_addresses_are_refused_like_any_other(
    world: World, admin: Client, odd: str
) -> None:
    client = world.anonymous

    pages = [
        await client.get(f"/authrepoemail?code={odd}"),
        await client.post(f"/authrepoemail?code={odd}"),
        await client.get(f"/unsubscribe?id={odd}&code={odd}"),
        await client.post(f"/unsubscribe?id={odd}&code={odd}"),
    ]
    calls = [
        await admin.send(verb, f"/api/v1/repository/acme/web/authorizedemail/{odd}@example.com")
        for verb in ("GET", "POST")
    ]

    assert [page.status for page in pages] == [200, 200, 404, 404]
    assert [call.status for call in calls] == [404, 400]


async def test_names_of_people_cannot_break_out_of_a_page(world: World, admin: Client) -> None:
    path = "/api/v1/repository/acme/web/authorizedemail/a'&b@example.com".replace("&", "%26")
    await admin.post(path)

    page = await world.anonymous.get(mailed_link(world))

    assert b"a&#x27;&amp;b@example.com" in page.body
    assert b"a'&b" not in page.body
