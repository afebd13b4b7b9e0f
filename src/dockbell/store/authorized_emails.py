"""Rows of e-mail addresses that may get a repository's mail, and of the mails that asked for it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, or_, select, update

from dockbell.domain.authorized_emails import DAY, AuthorizedEmail, Consent
from dockbell.store.tables import (
    authorized_emails,
    confirmation_mails,
    namespaces,
    notifications,
    repositories,
)
from dockbell.store.transactions import Tx

_SHOWN = (
    select(
        authorized_emails.c.id,
        namespaces.c.name.label("namespace"),
        repositories.c.name.label("repository"),
        authorized_emails.c.email,
        authorized_emails.c.confirmed_at,
        authorized_emails.c.code_expires_at,
    )
    .join(repositories, repositories.c.id == authorized_emails.c.repository_id)
    .join(namespaces, namespaces.c.id == repositories.c.namespace_id)
)


async def _one(tx: Tx, statement: Select[Any]) -> AuthorizedEmail | None:
    row = await tx.first(statement)
    return None if row is None else AuthorizedEmail(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


async def find(tx: Tx, repository_id: str, email: str) -> AuthorizedEmail | None:
    # Quay: addresses are compared as they are written. Pinned by compat/test_authorized_emails.py.
    return await _one(
        tx,
        _SHOWN.where(
            authorized_emails.c.repository_id == repository_id,
            authorized_emails.c.email == email,
        ),
    )


async def find_by_code(tx: Tx, code_hash: str) -> AuthorizedEmail | None:
    """The address that this code was sent to, whether or not the code is still good."""
    return await _one(tx, _SHOWN.where(authorized_emails.c.code_hash == code_hash))


async def find_with_consent(tx: Tx, row_id: str) -> tuple[AuthorizedEmail, Consent] | None:
    """The address of this row, and the code that ends its mails."""
    found = await _one(tx, _SHOWN.where(authorized_emails.c.id == row_id))
    if found is None:
        return None
    row = await tx.first(
        select(authorized_emails.c.unsubscribe_sealed).where(authorized_emails.c.id == row_id)
    )
    code = b"" if row is None else tx.seal.open(row.unsubscribe_sealed)
    return found, Consent(row_id, code.decode())


async def find_consent(tx: Tx, notification_id: str, email: str) -> Consent | None:
    """Whether this address may get the notification's mail, and what ends that."""
    row = await tx.first(
        select(authorized_emails.c.id, authorized_emails.c.unsubscribe_sealed)
        .join(
            notifications,
            notifications.c.repository_id == authorized_emails.c.repository_id,
        )
        .where(
            notifications.c.id == notification_id,
            authorized_emails.c.email == email,
            authorized_emails.c.confirmed_at.is_not(None),
        )
    )
    if row is None:
        return None
    return Consent(row.id, tx.seal.open(row.unsubscribe_sealed).decode())


async def ask(  # noqa: PLR0913 -- one argument for each column a caller fills
    tx: Tx,
    repository_id: str,
    email: str,
    *,
    code_hash: str,
    expires_at: datetime,
    unsubscribe_code: str,
) -> None:
    """Note that the address was sent this code; one that was sent earlier is void."""
    changed = await tx.run(
        update(authorized_emails)
        .where(
            authorized_emails.c.repository_id == repository_id,
            authorized_emails.c.email == email,
        )
        .values(code_hash=code_hash, code_expires_at=expires_at)
    )
    if changed:
        return
    await tx.run(
        insert(authorized_emails).values(
            id=tx.new_id("aem"),
            repository_id=repository_id,
            email=email,
            code_hash=code_hash,
            code_expires_at=expires_at,
            unsubscribe_sealed=tx.seal.close(unsubscribe_code.encode()),
            created_at=tx.now,
        )
    )


async def list_confirmed(tx: Tx, repository_id: str) -> Sequence[str]:
    """The addresses that may get the repository's mail."""
    rows = await tx.rows(
        select(authorized_emails.c.email)
        .where(
            authorized_emails.c.repository_id == repository_id,
            authorized_emails.c.confirmed_at.is_not(None),
        )
        .order_by(authorized_emails.c.email)
    )
    return [row.email for row in rows]


async def carry_over(tx: Tx, repository_id: str, email: str, *, unsubscribe_code: str) -> None:
    """Note an address that has agreed elsewhere. One that was asked here already keeps what it said here."""
    if await find(tx, repository_id, email) is None:
        await tx.run(
            insert(authorized_emails).values(
                id=tx.new_id("aem"),
                repository_id=repository_id,
                email=email,
                unsubscribe_sealed=tx.seal.close(unsubscribe_code.encode()),
                confirmed_at=tx.now,
                created_at=tx.now,
            )
        )


async def confirm(tx: Tx, row_id: str) -> None:
    """From now on the address gets mail. The code stays until it expires, so that a second click says the same."""
    await tx.run(
        update(authorized_emails)
        .where(authorized_emails.c.id == row_id, authorized_emails.c.confirmed_at.is_(None))
        .values(confirmed_at=tx.now)
    )


async def withdraw(tx: Tx, row_id: str) -> None:
    """From now on the address gets no mail, and no code that was sent before can change that."""
    await tx.run(
        update(authorized_emails)
        .where(authorized_emails.c.id == row_id)
        .values(confirmed_at=None, code_hash=None, code_expires_at=None)
    )


async def note_mail(tx: Tx, email: str, *, namespace_id: str, asker: str) -> None:
    """Note that a mail asks this address; what is older than a day is forgotten."""
    await tx.run(delete(confirmation_mails).where(confirmation_mails.c.sent_at < tx.now - DAY))
    await tx.run(
        insert(confirmation_mails).values(
            id=tx.new_id("cfm"),
            email=email.lower(),
            namespace_id=namespace_id,
            asker=asker,
            sent_at=tx.now,
        )
    )


async def count_to(tx: Tx, email: str, since: datetime) -> tuple[int, datetime | None]:
    """How many mails have asked this address since then, whoever sent them, and when the last one did."""
    row = await tx.first(
        select(
            func.count().label("mails"), func.max(confirmation_mails.c.sent_at).label("last")
        ).where(
            confirmation_mails.c.email == email.lower(), confirmation_mails.c.sent_at > since
        )
    )
    return (0, None) if row is None else (row.mails, row.last)


async def count_by(tx: Tx, *, namespace_id: str, asker: str, since: datetime) -> int:
    """How many mails this account, or anybody for this namespace, has sent since then."""
    row = await tx.first(
        select(func.count().label("mails")).where(
            or_(
                confirmation_mails.c.namespace_id == namespace_id,
                confirmation_mails.c.asker == asker,
            ),
            confirmation_mails.c.sent_at > since,
        )
    )
    return 0 if row is None else row.mails
