"""Owners of a notification that pauses are mailed: those whose address is confirmed, once, and not too often."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from dockbell.domain.links import Links
from dockbell.domain.mailboxes import Sender
from dockbell.domain.owner_mails import Tidings
from dockbell.domain.standings import Change
from dockbell.engine.messenger import Messenger
from dockbell.net.mail import Mailer, Relay, Security
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import history, owner_mails
from dockbell.store import tables as t
from dockbell.store.mail_addresses import list_of_owners
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, record, running, until
from tests.mail_server import MailServer
from tests.receiver import Receiver


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as listening:
        yield listening


def mailer_of(server: MailServer) -> Mailer:
    relay = Relay(
        server.host, server.port, Sender("bell@dockbell.test"), security=Security.NONE
    )
    return Mailer(relay, EgressPolicy.of(server.host), Resolver(), timeout=5.0)


@pytest.fixture
def messenger(store: Store, server: MailServer) -> Messenger:
    return Messenger(store, mailer_of(server), Links("https://bell.test"))


async def add_owners(store: Store) -> None:
    """Of `acme` the owner `ann`, and of `acme/web` the administrators `bob`, `eve`, who is not verified, and `off`."""
    async with store.begin() as tx:
        for name, verified, enabled in (
            ("ann", True, True),
            ("bob", True, True),
            ("eve", False, True),
            ("off", True, False),
        ):
            await tx.run(
                insert(t.namespaces).values(
                    id=f"nsp_{name}",
                    name=name,
                    kind="user",
                    email=f"{name}@example.com",
                    created_at=tx.now,
                )
            )
            await tx.run(
                insert(t.users).values(
                    namespace_id=f"nsp_{name}", email_verified=verified, is_enabled=enabled
                )
            )
        for name in ("bob", "eve", "off"):
            who = f"nsp_{name}"
            await tx.run(
                insert(t.permissions).values(
                    repository_id="rep_web", holder_id=who, user_id=who, role="admin"
                )
            )
        await tx.run(
            insert(t.teams).values(
                id="t", namespace_id="nsp_acme", name="owners", role="admin", created_at=tx.now
            )
        )
        await tx.run(
            insert(t.team_members).values(
                team_id="t", user_id="nsp_ann", member_id="nsp_ann", created_at=tx.now
            )
        )


async def tell(store: Store, address: str, *titles: str) -> None:
    async with store.begin() as tx:
        for title in titles:
            one = Tidings(
                Change.PAUSED, title, "webhook", "repo_push", "acme/web", "So it is.", tx.now
            )
            await owner_mails.add(tx, [address], one)


async def test_a_pause_is_mailed_once_to_each_owner_whose_address_is_confirmed(
    store: Store, clock: SetClock, server: MailServer, messenger: Messenger
) -> None:
    async with Receiver() as gone:
        gone.answer(status=410)
        await add(store, gone.url())
        await add_owners(store)
        await record(store, clock)
        async with running(store, clock, mailer=mailer_of(server)):
            await until(lambda: is_paused(store))
    too_early = await messenger.tell()
    clock.now += owner_mails.GATHER

    counts = (await messenger.tell(), await messenger.tell())

    assert (too_early, counts) == (0, (2, 0))
    assert [mail.recipients for mail in server.mails] == [
        ("ann@example.com",),
        ("bob@example.com",),
    ]
    assert server.mails[0].message["Subject"] == (
        "[dockbell] Paused: webhook (repo_push of acme/web)"
    )
    assert "The target says that it is gone for good (410)." in server.mails[0].part("plain")


async def is_paused(store: Store) -> bool:
    found = select(t.notifications.c.id).where(t.notifications.c.paused_at.is_not(None))
    return bool(await queues.rows(store, found))


async def test_an_organizations_own_address_counts_only_with_its_owners_consent(
    store: Store,
) -> None:
    async with store.begin() as tx:
        await queues.add_place(tx)
        await tx.run(update(t.namespaces).values(email="org@example.com"))
    await add_owners(store)
    async with store.begin() as tx:
        before = await list_of_owners(tx, "nsp_acme", None)
        await tx.run(
            insert(t.authorized_emails).values(
                id="aem_1",
                repository_id="rep_web",
                email="org@example.com",
                unsubscribe_sealed=b"",
                confirmed_at=tx.now,
                created_at=tx.now,
            )
        )
        after = await list_of_owners(tx, "nsp_acme", None)
        await tx.run(
            update(t.users).where(t.users.c.namespace_id == "nsp_bob").values(is_superuser=True)
        )
        of_the_server = await list_of_owners(tx, None, None)

    assert (before, after) == (["ann@example.com"], ["org@example.com"])
    assert of_the_server == ["bob@example.com"]


async def test_a_flood_is_one_mail_and_the_next_comes_later(
    store: Store, clock: SetClock, server: MailServer, messenger: Messenger
) -> None:
    await tell(store, "ann@example.com", *(f"n{number}" for number in range(60)))
    clock.now += owner_mails.GATHER
    await messenger.tell()
    await tell(store, "ann@example.com", "late")
    clock.now += owner_mails.GATHER
    soon = await messenger.tell()
    clock.now += owner_mails.GAP

    later = await messenger.tell()

    assert (soon, later) == (0, 1)
    assert [mail.message["Subject"] for mail in server.mails] == [
        "[dockbell] News of 60 notifications on bell.test",
        "[dockbell] Paused: late (repo_push of acme/web)",
    ]


async def test_a_server_that_is_away_is_tried_again_and_a_refusal_is_the_end(
    store: Store, clock: SetClock, server: MailServer, messenger: Messenger
) -> None:
    server.answers["greeting"] = ["close"]
    server.answers["rcpt"] = ["550 5.1.1 Unknown"]
    await tell(store, "ann@example.com", "a")
    await tell(store, "bob@example.com", "b")
    clock.now += owner_mails.GATHER
    away = await messenger.tell()
    refused = await messenger.tell()  # the other one's
    clock.now += owner_mails.WAITS[0]

    taken = (await messenger.tell(), await messenger.tell())

    assert (away, refused, taken) == (0, 0, (1, 0))
    assert [mail.recipients for mail in server.mails] == [("ann@example.com",)]


async def test_what_was_sent_before_a_crash_comes_again_as_the_same_mail(
    store: Store, clock: SetClock, server: MailServer, messenger: Messenger
) -> None:
    await tell(store, "ann@example.com", "a")
    clock.now += owner_mails.GATHER
    await messenger.tell()
    async with store.begin() as tx:  # as if its end had not been written down
        await tx.run(update(t.owner_mails).values(sent_at=None))
    clock.now += owner_mails.WAITS[0]

    await messenger.tell()

    first, second = (mail.message["Message-ID"] for mail in server.mails)
    assert first == second


async def test_two_processes_share_the_mails(
    store: Store, clock: SetClock, server: MailServer, messenger: Messenger
) -> None:
    for name in ("a", "b", "c"):
        await tell(store, f"{name}@example.com", "x", "y")
    clock.now += owner_mails.GATHER

    taken = await asyncio.gather(messenger.tell(), messenger.tell())

    assert sum(taken) == len(server.mails) == 3


async def test_old_news_is_not_mailed(store: Store, clock: SetClock) -> None:
    await tell(store, "ann@example.com", "a")
    clock.move(days=2)

    async with store.begin() as tx:
        step = await history.prune_owner_mails(tx, clock() + timedelta(hours=1), "", 10)

    assert step.deleted == 1
