"""Mail about a namespace goes to its own address or to its administrators (quay-compat 4.3, 9.3 D11)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import insert, update

from dockbell.domain.events import Subject
from dockbell.store import authorized_emails, mail_addresses, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store, Tx
from tests import queues
from tests.conftest import SetClock
from tests.engines import INTAKE, running, until_states
from tests.integration.test_mail import mailer_of, tries
from tests.mail_server import MailServer
from tests.world import add_namespace, add_team

SUBJECT = Subject("acme", None)


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as listening:
        yield listening


async def _add_person(tx: Tx, name: str, email: str | None, **columns: Any) -> None:
    await add_namespace(tx, name)
    row = t.namespaces.c.name == name
    await tx.run(update(t.namespaces).where(row).values(email=email))
    if columns:
        of_user = t.users.c.namespace_id == f"ns_{name}"
        await tx.run(update(t.users).where(of_user).values(**columns))


async def prepare(tx: Tx, *, namespace_id: str = "nsp_acme") -> str:
    """`acme` with two admins who have an address, and others who get no mail; return a notification's id."""
    await queues.add_place(tx)
    await _add_person(tx, "ann", "ann@example.com")
    await _add_person(tx, "bob", "bob@example.com")
    await _add_person(tx, "odd", "no address")
    await _add_person(tx, "none", None)
    await _add_person(tx, "gone", "gone@example.com", is_enabled=False)
    await _add_person(tx, "mia", "mia@example.com")
    await _add_person(tx, "asked", "asked@example.com")
    owners = await add_team(tx, "nsp_acme", "owners", "admin", "bob", "odd", "none", "gone")
    await add_team(tx, "nsp_acme", "more", "admin", "ann", "bob")
    await add_team(tx, "nsp_acme", "devs", "member", "mia")
    invited = {"user_id": "ns_asked", "member_id": "ns_asked", "is_invited": True}
    await tx.run(insert(t.team_members).values(team_id=owners, created_at=tx.now, **invited))
    made = await notifications.insert(
        tx,
        namespace_id=namespace_id,
        repository_id=None,
        kind="quota_warning",
        method="email",
        title=None,
        config={},
        event_config={},
    )
    return made.id


async def _set_email(tx: Tx, namespace_id: str, email: str | None) -> None:
    row = t.namespaces.c.id == namespace_id
    await tx.run(update(t.namespaces).where(row).values(email=email))


async def _ask(tx: Tx, email: str, *, confirms: bool) -> None:
    """Ask the owner of the address about mail of `acme/web`, and let them agree."""
    await authorized_emails.ask(
        tx,
        "rep_web",
        email,
        code_hash=f"hash of {email}",
        expires_at=tx.now,
        unsubscribe_code="",
    )
    asked = await authorized_emails.find(tx, "rep_web", email)
    assert asked is not None
    if confirms:
        await authorized_emails.confirm(tx, asked.id)


async def test_an_organization_gets_mail_at_its_address_or_else_its_admins_do(
    store: Store,
) -> None:
    """Its address is anybody's, so whoever reads it has agreed to mail of one of its repositories before."""
    async with store.begin() as tx:
        notification_id = await prepare(tx)
        found = [await mail_addresses.find_of_owner(tx, notification_id)]
        await _ask(tx, "ops@example.com", confirms=True)
        await _ask(tx, "asked@example.com", confirms=False)
        for email in ("ops@example.com", "asked@example.com", "victim@example.com", "a@b"):
            await _set_email(tx, "nsp_acme", email)
            found.append(await mail_addresses.find_of_owner(tx, notification_id))

    admins = ["ann@example.com", "bob@example.com"]
    assert found == [admins, ["ops@example.com"], admins, admins, admins]


async def test_a_user_gets_mail_at_their_own_address(store: Store) -> None:
    async with store.begin() as tx:
        await add_namespace(tx, "eve")
        notification_id = await prepare(tx, namespace_id="ns_eve")
        found = [await mail_addresses.find_of_owner(tx, notification_id)]
        await _set_email(tx, "ns_eve", "eve@example.com")
        found.append(await mail_addresses.find_of_owner(tx, notification_id))

    assert found == [[], ["eve@example.com"]]


async def test_what_is_of_a_repository_or_gone_has_no_owners_mail(store: Store) -> None:
    async with store.begin() as tx:
        await queues.add_place(tx)
        await _set_email(tx, "nsp_acme", "ops@example.com")
        of_repository = await queues.add_notification(tx, method="email")
        found = [
            await mail_addresses.find_of_owner(tx, one) for one in (of_repository.id, "ntf_no")
        ]

    assert found == [None, None]


async def test_each_admin_gets_a_mail_that_says_why(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    async with store.begin() as tx:
        notification = await notifications.load(tx, await prepare(tx))

    async with running(store, clock, mailer=mailer_of(server)):
        async with store.begin() as tx:
            await INTAKE.test(tx, notification, SUBJECT, None, kind="quota_warning")
        mails = await server.until(2)
        await until_states(store, "delivered")

    assert [mail.recipients for mail in mails] == [("ann@example.com",), ("bob@example.com",)]
    assert mails[0].message["Subject"] == (
        "Namespace acme storage usage has reached 80% of its quota limit"
    )
    assert mails[0].message["List-Unsubscribe"] is None
    assert "ann@example.com is the address of acme, or of one of its administrators" in mails[
        0
    ].part("plain").replace("\n", " ")
    assert [one[:2] for one in await tries(store)] == [("delivered", "ok")]


async def test_nobody_to_write_to_is_a_success_that_says_so(
    store: Store, clock: SetClock, server: MailServer
) -> None:
    async with store.begin() as tx:
        await add_namespace(tx, "eve")
        notification = await notifications.load(tx, await prepare(tx, namespace_id="ns_eve"))

    async with running(store, clock, mailer=mailer_of(server)):
        async with store.begin() as tx:
            await INTAKE.test(tx, notification, SUBJECT, None, kind="quota_warning")
        await until_states(store, "delivered")

    assert (server.mails, [one[:2] for one in await tries(store)]) == (
        [],
        [("delivered", "no_recipient")],
    )
