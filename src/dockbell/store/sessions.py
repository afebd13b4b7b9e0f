"""Rows of sessions: browsers that are signed in."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select

from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import namespaces, sessions, users
from dockbell.store.transactions import Tx

_MOST_FOR_USER = 50  # the oldest end when there are more: nobody uses so many browsers


@dataclass(frozen=True, slots=True)
class SessionCredential:
    """A session found by the hash of its secret, with whose it is and what their password is now."""

    session_id: str
    created_at: datetime
    expires_at: datetime
    credential: str
    user_id: str
    user_name: str
    password_hash: str | None
    is_superuser: bool
    is_enabled: bool


def _found_by(condition: Any) -> Select[Any]:
    return (
        select(
            sessions.c.id.label("session_id"),
            sessions.c.created_at,
            sessions.c.expires_at,
            sessions.c.credential,
            sessions.c.user_id,
            namespaces.c.name.label("user_name"),
            users.c.password_hash,
            users.c.is_superuser,
            users.c.is_enabled,
        )
        .join(namespaces, namespaces.c.id == sessions.c.user_id)
        .join(users, users.c.namespace_id == sessions.c.user_id)
        .where(condition)
    )


_BY_HASH = _found_by(sessions.c.secret_hash == bindparam("secret_hash"))
_BY_ID = _found_by(sessions.c.id == bindparam("session_id"))


async def find(tx: Tx, secret_hash: str) -> SessionCredential | None:
    return _of_row(await tx.first(_BY_HASH, {"secret_hash": secret_hash}))


async def find_by_id(tx: Tx, session_id: str) -> SessionCredential | None:
    return _of_row(await tx.first(_BY_ID, {"session_id": session_id}))


def _of_row(row: Any) -> SessionCredential | None:
    return None if row is None else SessionCredential(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


async def add(
    tx: Tx, user_id: str, *, secret_hash: str, credential: str, expires_at: datetime
) -> None:
    """Insert one; the user's oldest ones go if they have too many."""
    await tx.run(
        insert(sessions).values(
            id=tx.new_id("ses"),
            user_id=user_id,
            secret_hash=secret_hash,
            credential=credential,
            created_at=tx.now,
            expires_at=expires_at,
        )
    )
    newest = (
        select(sessions.c.id)
        .where(sessions.c.user_id == user_id)
        .order_by(sessions.c.id.desc())
        .limit(_MOST_FOR_USER)
    )
    await tx.run(
        delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id.not_in(newest))
    )


async def remove(tx: Tx, secret_hash: str) -> None:
    await tx.run(delete(sessions).where(sessions.c.secret_hash == secret_hash))


async def remove_all(tx: Tx, user_id: str) -> None:
    """End every session of the user."""
    await tx.run(delete(sessions).where(sessions.c.user_id == user_id))
