"""Mail from end to end: a real store, a real mail server on loopback, the engine between them."""

import asyncio
import copy
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from dockbell.domain.mailboxes import Sender
from dockbell.engine.retry import Policy
from dockbell.net.mail import Mailer, Relay, Security
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import authorized_emails, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.asgi import Client
from tests.conftest import SetClock
from tests.engines import record, running, until, until_states
from tests.mail_server import MailServer
from tests.world import Guard, world_on

EMAIL = "ops@example.com"
CODE = "AAAAAAAAAAAAAAAA"


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as listening:
        yield listening


def mailer_of(server: MailServer) -> Mailer:
    relay = Relay(
        server.host, server.port, Sender("bell@dockbell.test"), security=Security.NONE
    )
    return Mailer(relay, EgressPolicy.of(server.host), Resolver(), timeout=5.0)


async def prepare(store: Store, *, is_confirmed: bool = True) -> str:
    """A notification by mail for pushes to `acme/web`; return its id."""
    async with store.begin() as tx:
        await queues.add_place(tx)
        made = await notifications.insert(
            tx,
            namespace_id="nsp_acme",
            repository_id="rep_web",
            kind="repo_push",
            method="email",
            title=None,
            config={"email": EMAIL},
            event_config={},
        )
        await authorized_emails.ask(
            tx,
            "rep_web",
            EMAIL,
            code_hash="hash",
            expires_at=tx.now + timedelta(days=3),
            unsubscribe_code=CODE,
        )
        found = await authorized_emails.find(tx, "rep_web", EMAIL)
        assert found is not None
        if is_confirmed:
            await authorized_emails.confirm(tx, found.id)
    return made.id


async def tries(store: Store) -> list[tuple[str, str, int | None, str | None]]:
    async with store.read() as tx:
        rows = await tx.rows(
            select(t.attempts).order_by(t.attempts.c.delivery_id, t.attempts.c.number)
        )
    return [(row.outcome, row.code, row.status, row.fault) for row in rows]


async def test_a_push_is_mailed(store: Store, clock: SetClock, server: MailServer) -> None:
    await prepare(store)

    async with running(store, clock, mailer=mailer_of(server)):
        await record(store, clock, "v1")
        [mail] = await server.until(1)
        await until_states(store, "delivered")

    assert (mail.sender, mail.recipients) == ("bell@dockbell.test", (EMAIL,))
    assert mail.message["Subject"] == "Repository acme/web updated"
    assert mail.part("plain").startswith(
        "Push of v1 (https://dockbell.test/repository/acme/web"
    )
    assert await tries(store) == [("delivered", "ok", 250, None)]


@pytest.mark.parametrize(
    ("answers", "states", "expected"),
    [
        (
            {"rcpt": ["450 4.2.0 Greylisted"]},
            ["delivered"],
            [
                ("failed", "mail_deferred", 450, "target"),
                ("delivered", "ok", 250, None),
            ],
        ),
        (
            {"rcpt": "550 5.1.1 Unknown"},
            ["dead"],
            [("rejected", "mail_recipient_refused", 550, "target")],
        ),
        (
            {"body": "554 5.7.1 Spam"},
            ["dead"],
            [("rejected", "mail_refused", 554, "target")],
        ),
        (
            {"greeting": ["421 4.3.2 Later"]},
            ["delivered"],
            [
                ("failed", "mail_unavailable", 421, "ours"),
                ("delivered", "ok", 250, None),
            ],
        ),
    ],
    ids=["greylisted", "unknown", "refused", "away"],
)
async def test_what_the_mail_server_says_decides_about_the_delivery(
    store: Store,
    clock: SetClock,
    server: MailServer,
    answers: dict[str, str | list[str]],
    states: list[str],
    expected: list[tuple[str, str, int | None, str | None]],
) -> None:
    await prepare(store)
    server.answers = copy.deepcopy(answers)  # lists are used up
    at_once = Policy(waits=(timedelta(),) * 3, jitter=0.0)

    async with running(store, clock, mailer=mailer_of(server), policy=at_once):
        await record(store, clock)
        await until_states(store, *states)

    assert await tries(store) == expected


async def test_without_a_mail_server_the_mail_waits_and_no_try_counts(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    await prepare(store)
    async with running(store, clock):
        await record(store, clock)

        async def was_tried() -> bool:
            return len(await tries(store)) == 1

        await until(was_tried)
    before = await tries(store)
    clock.move(minutes=31)

    async with running(store, clock, mailer=mailer_of(server)):
        await until_states(store, "delivered")

    assert before == [("failed", "mail_not_set", None, "ours")]
    async with store.read() as tx:
        row = await tx.first(select(t.deliveries.c.tries, t.deliveries.c.attempts))
    assert row is not None
    assert (row.tries, row.attempts) == (1, 2)


async def test_an_address_that_never_agreed_gets_nothing(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    await prepare(store, is_confirmed=False)

    async with running(store, clock, mailer=mailer_of(server)):
        await record(store, clock)
        await until_states(store, "dead")

    assert await tries(store) == [("rejected", "mail_unconfirmed", None, "config")]
    assert server.connections == 0


def _path_of(mail_header: str) -> str:
    return mail_header.strip("<>").removeprefix("https://dockbell.test")


async def test_one_click_ends_the_mails_of_one_address_and_no_other(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    await prepare(store)
    async with store.begin() as tx:
        await authorized_emails.ask(
            tx,
            "rep_web",
            "other@example.com",
            code_hash="other",
            expires_at=tx.now,
            unsubscribe_code="other",
        )
        other = await authorized_emails.find(tx, "rep_web", "other@example.com")
        assert other is not None
        await authorized_emails.confirm(tx, other.id)
    client = world_on(store, Guard()).anonymous
    async with running(store, clock, mailer=mailer_of(server)):
        await record(store, clock)
        [mail] = await server.until(1)
        await until_states(store, "delivered")
        link = _path_of(mail.message["List-Unsubscribe"])

        looked = await client.get(link)
        is_still_confirmed = await _is_confirmed(store, EMAIL)
        clicked = [await _click(client, link) for _ in range(2)]
        await record(store, clock)
        await until_states(store, "delivered", "dead")

    assert (looked.status, is_still_confirmed) == (200, True)
    assert b"<form" in looked.body
    assert clicked == [200, 200]
    assert (
        await _is_confirmed(store, EMAIL),
        await _is_confirmed(store, "other@example.com"),
    ) == (
        False,
        True,
    )
    assert len(server.mails) == 1


async def test_a_link_that_is_not_ours_ends_nothing(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    await prepare(store)
    client = world_on(store, Guard()).anonymous
    async with store.read() as tx:
        found = await authorized_emails.find(tx, "rep_web", EMAIL)
    assert found is not None
    wrong = [
        f"/unsubscribe?id={found.id}&code=B",
        f"/unsubscribe?id={found.id}",
        f"/unsubscribe?id={found.id}&code=%C3%A9",
        f"/unsubscribe?id=aem_x&code={CODE}",
        "/unsubscribe",
    ]

    statuses = [(await client.get(path)).status for path in wrong]
    statuses += [await _click(client, path) for path in wrong]

    assert statuses == [404] * 10
    assert await _is_confirmed(store, EMAIL)


async def test_a_link_that_was_used_cannot_be_undone_by_an_old_confirmation(
    store: Store, clock: SetClock
) -> None:
    guard = Guard()
    world = world_on(store, guard)
    await prepare(store, is_confirmed=False)
    async with store.read() as tx:
        found = await authorized_emails.find(tx, "rep_web", EMAIL)
    assert found is not None

    ended = await _click(world.anonymous, f"/unsubscribe?id={found.id}&code={CODE}")

    async with store.read() as tx:
        by_code = await authorized_emails.find_by_code(tx, "hash")
    assert (ended, by_code) == (200, None)


async def _click(client: Client, path: str) -> int:
    """As a mail program does it (RFC 8058)."""
    answer = await client.post(
        path,
        body=b"List-Unsubscribe=One-Click",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    return answer.status


async def _is_confirmed(store: Store, email: str) -> bool:
    async with store.read() as tx:
        found = await authorized_emails.find(tx, "rep_web", email)
    return found is not None and found.is_confirmed


async def test_a_rate_limit_caps_the_mails_of_a_flood_and_loses_none(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    one = await prepare(store)
    async with store.begin() as tx:
        await tx.run(update(t.notifications).values(rate_limit=0.2))  # one in five seconds
        for _ in range(12):
            await queues.record(tx, [one])

    sent = []
    async with running(store, clock, mailer=mailer_of(server)) as engine:
        for count in range(1, 13):
            await server.until(count)
            await until(lambda: is_resting(store))
            clock.move(seconds=4)
            engine.ring()
            await asyncio.sleep(0.02)  # nothing may happen, so there is nothing to wait for
            sent.append(len(server.mails))
            clock.move(seconds=1)
            engine.ring()
        await until_states(store, *["delivered"] * 12)

    assert sent == list(range(1, 13))
    assert set(await tries(store)) == {("delivered", "ok", 250, None)}


async def is_resting(store: Store) -> bool:
    """Whether nothing is being sent, and what there was is written down."""
    return not await queues.rows(store, select(t.lanes.c.id).where(t.lanes.c.inflight > 0))
