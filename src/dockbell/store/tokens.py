"""Rows of OAuth tokens."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from dockbell.domain.accounts import Authorization, Token
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import applications, namespaces, of_micros, tokens, users
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token found by its first half, with whose it is. Compare the hash before you believe it."""

    token_id: str
    token_hash: str
    scope: str
    expires_at: datetime | None
    user_id: str
    user_name: str
    is_superuser: bool
    is_enabled: bool
    client_id: str | None
    application_name: str | None
    last_used_at: datetime | None


_BEARER = select(
    tokens.c.id.label("token_id"),
    tokens.c.token_hash,
    tokens.c.scope,
    tokens.c.expires_at,
    tokens.c.user_id,
    namespaces.c.name.label("user_name"),
    users.c.is_superuser,
    users.c.is_enabled,
    applications.c.client_id,
    applications.c.name.label("application_name"),
    tokens.c.last_used_at,
).select_from(
    tokens.join(namespaces, namespaces.c.id == tokens.c.user_id)
    .join(users, users.c.namespace_id == tokens.c.user_id)
    .outerjoin(applications, applications.c.id == tokens.c.application_id)
)
_BY_ID = _BEARER.where(tokens.c.id == bindparam("token_id"))


async def find_bearer(tx: Tx, lookup: str) -> Bearer | None:
    return (await find_bearers(tx, (lookup,))).get(lookup)


async def find_bearers(tx: Tx, lookups: Collection[str]) -> Mapping[str, Bearer]:
    """Those of the tokens that there are, by their first half. One query, by hand: every call of the API asks it."""
    rows = await tx.hot(tx.dialect.FIND_BEARERS, tx.dialect.packed([(one,) for one in lookups]))
    return {
        lookup: Bearer(
            token_id=token_id,
            token_hash=token_hash,
            scope=scope,
            expires_at=None if expires_at is None else of_micros(expires_at),
            user_id=user_id,
            user_name=user_name,
            is_superuser=bool(is_superuser),
            is_enabled=bool(is_enabled),
            client_id=client_id,
            application_name=application_name,
            last_used_at=None if last_used_at is None else of_micros(last_used_at),
        )
        for (
            lookup, token_id, token_hash, scope, expires_at, user_id, user_name, is_superuser, is_enabled,
            client_id, application_name, last_used_at,
        ) in rows
    }  # fmt: skip


async def find_bearer_of(tx: Tx, token_id: str) -> Bearer | None:
    """The same, for a token that is known already."""
    return _bearer_of_row(await tx.first(_BY_ID, {"token_id": token_id}))


def _bearer_of_row(row: Any) -> Bearer | None:
    return None if row is None else Bearer(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


def _of_row(row: Any) -> Token:
    return Token(
        id=row.id,
        uuid=row.uuid,
        name=row.name,
        scope=row.scope,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )


async def list_for(tx: Tx, application_id: str, *, after: str, limit: int) -> Sequence[Token]:
    """The application's tokens in the order they were made, from the one after that id."""
    rows = await tx.rows(
        select(tokens)
        .where(tokens.c.application_id == application_id, tokens.c.id > after)
        .order_by(tokens.c.id)
        .limit(limit)
    )
    return [_of_row(row) for row in rows]


async def add(  # noqa: PLR0913 -- one argument for each thing a row holds beyond what may be shown
    tx: Tx,
    token: Token,
    *,
    user_id: str,
    application_id: str | None,
    lookup: str,
    token_hash: str,
) -> None:
    await tx.run(
        insert(tokens).values(
            id=token.id,
            uuid=token.uuid,
            application_id=application_id,
            user_id=user_id,
            name=token.name,
            lookup=lookup,
            token_hash=token_hash,
            scope=token.scope,
            created_by=token.created_by,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )
    )


async def remove(tx: Tx, application_id: str, uuid: str) -> bool:
    """Delete one token of the application; return whether there was one."""
    count = await tx.run(
        delete(tokens).where(tokens.c.application_id == application_id, tokens.c.uuid == uuid)
    )
    return count > 0


_TOUCH = (
    update(tokens)
    .where(
        tokens.c.id == bindparam("token"),
        or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < bindparam("before")),
    )
    .values(last_used_at=bindparam("now"))
)


async def touch(tx: Tx, token_id: str, before: datetime) -> None:
    """Note that the token is in use, unless that was noted since `before`."""
    await tx.run(_TOUCH, {"token": token_id, "before": before, "now": tx.now})


def _authorizations_of(user_id: str) -> Any:
    return (
        select(
            tokens,
            applications.c.client_id,
            applications.c.name.label("application_name"),
            applications.c.application_uri,
            applications.c.description.label("application_description"),
            applications.c.avatar_email,
            namespaces.c.name.label("organization"),
            namespaces.c.email.label("organization_email"),
        )
        .join(applications, applications.c.id == tokens.c.application_id)
        .join(namespaces, namespaces.c.id == applications.c.namespace_id)
        .where(tokens.c.user_id == user_id)
    )


def _authorization_of_row(row: Any) -> Authorization:
    return Authorization(
        token=_of_row(row),
        client_id=row.client_id,
        application_name=row.application_name,
        application_uri=row.application_uri,
        application_description=row.application_description,
        avatar_email=row.avatar_email,
        organization=row.organization,
        organization_email=row.organization_email,
    )


async def list_authorizations(tx: Tx, user_id: str) -> Sequence[Authorization]:
    """Those that have not ended, the newest first."""
    is_live = or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now)
    statement = _authorizations_of(user_id).where(is_live).order_by(tokens.c.id.desc())
    return [_authorization_of_row(row) for row in await tx.rows(statement)]


async def find_authorization(tx: Tx, user_id: str, uuid: str) -> Authorization | None:
    row = await tx.first(_authorizations_of(user_id).where(tokens.c.uuid == uuid))
    return None if row is None else _authorization_of_row(row)


async def live_scopes(tx: Tx, application_id: str, user_id: str) -> Sequence[str]:
    """The scopes of each live token of the application that speaks for the user."""
    rows = await tx.rows(
        select(tokens.c.scope).where(
            tokens.c.application_id == application_id,
            tokens.c.user_id == user_id,
            or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > tx.now),
        )
    )
    return [row.scope for row in rows]


async def remove_by_id(tx: Tx, token_id: str) -> None:
    await tx.run(delete(tokens).where(tokens.c.id == token_id))
