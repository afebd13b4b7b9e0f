"""Rows of codes that an application changes for a token, once."""

from datetime import datetime

from sqlalchemy import delete, insert

from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import authorization_codes
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class Code:
    application_id: str
    user_id: str
    redirect_uri: str
    scope: str
    expires_at: datetime


async def add(tx: Tx, code: Code, *, code_hash: str) -> None:
    await tx.run(
        insert(authorization_codes).values(
            id=tx.new_id("aco"),
            application_id=code.application_id,
            user_id=code.user_id,
            code_hash=code_hash,
            redirect_uri=code.redirect_uri,
            scope=code.scope,
            created_at=tx.now,
            expires_at=code.expires_at,
        )
    )


async def take(tx: Tx, code_hash: str) -> Code | None:
    """The code, which is gone from then on: of two who come with it, one gets it."""
    rows = await tx.rows(
        delete(authorization_codes)
        .where(authorization_codes.c.code_hash == code_hash)
        .returning(
            authorization_codes.c.application_id,
            authorization_codes.c.user_id,
            authorization_codes.c.redirect_uri,
            authorization_codes.c.scope,
            authorization_codes.c.expires_at,
        )
    )
    return Code(**rows[0]._mapping) if rows else None  # noqa: SLF001 -- the documented way to a row as a mapping
