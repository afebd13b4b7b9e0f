"""Rows of tokens that stand for their user's password at the registry."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, or_, select, update

from dockbell.domain.accounts import AppToken
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import app_tokens, namespaces, users
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class AppTokenCredential:
    """A token found by its first half, with whose it is. Compare the hash before you believe it."""

    app_token_id: str
    token_hash: str
    expires_at: datetime | None
    user_id: str
    user_name: str
    is_enabled: bool


def _found_by(condition: Any) -> Select[Any]:
    return (
        select(
            app_tokens.c.id.label("app_token_id"),
            app_tokens.c.token_hash,
            app_tokens.c.expires_at,
            app_tokens.c.user_id,
            namespaces.c.name.label("user_name"),
            users.c.is_enabled,
        )
        .join(namespaces, namespaces.c.id == app_tokens.c.user_id)
        .join(users, users.c.namespace_id == app_tokens.c.user_id)
        .where(condition)
    )


_BY_LOOKUP = _found_by(app_tokens.c.lookup == bindparam("given"))
_BY_ID = _found_by(app_tokens.c.id == bindparam("app_token_id"))


async def find_credential(tx: Tx, lookup: str) -> AppTokenCredential | None:
    return _credential_of_row(await tx.first(_BY_LOOKUP, {"given": lookup}))


async def find_credential_of(tx: Tx, app_token_id: str) -> AppTokenCredential | None:
    """The same, for a token that is known already."""
    return _credential_of_row(await tx.first(_BY_ID, {"app_token_id": app_token_id}))


def _credential_of_row(row: Any) -> AppTokenCredential | None:
    return None if row is None else AppTokenCredential(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


def _of_row(row: Any) -> AppToken:
    return AppToken(
        id=row.id,
        uuid=row.uuid,
        title=row.title,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


async def list_for(tx: Tx, user_id: str, limit: int) -> Sequence[AppToken]:
    """The newest first."""
    rows = await tx.rows(
        select(app_tokens)
        .where(app_tokens.c.user_id == user_id)
        .order_by(app_tokens.c.id.desc())
        .limit(limit)
    )
    return [_of_row(row) for row in rows]


async def list_all(tx: Tx) -> Sequence[tuple[AppToken, str]]:
    """Those of everybody, each with its user's name, the newest first."""
    rows = await tx.rows(
        select(app_tokens, namespaces.c.name.label("user_name"))
        .join(namespaces, namespaces.c.id == app_tokens.c.user_id)
        .order_by(app_tokens.c.id.desc())
    )
    return [(_of_row(row), str(row.user_name)) for row in rows]


async def find(tx: Tx, user_id: str, uuid: str) -> AppToken | None:
    row = await tx.first(
        select(app_tokens).where(app_tokens.c.user_id == user_id, app_tokens.c.uuid == uuid)
    )
    return None if row is None else _of_row(row)


async def add(tx: Tx, token: AppToken, *, user_id: str, lookup: str, token_hash: str) -> None:
    await tx.run(
        insert(app_tokens).values(
            id=token.id,
            uuid=token.uuid,
            user_id=user_id,
            title=token.title,
            lookup=lookup,
            token_hash=token_hash,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )
    )


async def remove(tx: Tx, token_id: str) -> None:
    await tx.run(delete(app_tokens).where(app_tokens.c.id == token_id))


async def touch(tx: Tx, token_id: str, before: datetime) -> None:
    """Note that the token is in use, unless that was noted since `before`."""
    await tx.run(
        update(app_tokens)
        .where(
            app_tokens.c.id == token_id,
            or_(app_tokens.c.last_used_at.is_(None), app_tokens.c.last_used_at < before),
        )
        .values(last_used_at=tx.now)
    )
