"""A sealed known value: it tells at start whether the secret key is the one the data was written with."""

from datetime import datetime

from sqlalchemy import insert, select, update

from dockbell.store.seals import WrongKeyError
from dockbell.store.tables import keys
from dockbell.store.transactions import DuplicateError, Tx

_ID = "key_canary"
_SONG = b"dockbell"


async def is_there(tx: Tx) -> bool:
    """Whether a key was ever used with this database."""
    return await tx.first(select(keys.c.id).where(keys.c.id == _ID)) is not None


async def check(tx: Tx) -> None:
    """Leave the canary on the first start; later raise WrongKeyError if the key does not open it."""
    statement = select(keys.c.private_sealed).where(keys.c.id == _ID)
    row = await tx.first(statement)
    if row is None:
        try:
            async with tx.nested():
                await tx.run(
                    insert(keys).values(
                        id=_ID,
                        purpose="canary",
                        public=b"",
                        private_sealed=tx.seal.close(_SONG),
                        created_at=tx.now,
                    )
                )
        except DuplicateError:  # another process was first
            row = await tx.first(statement)
    if row is not None and tx.seal.open(row.private_sealed) != _SONG:
        raise WrongKeyError


async def look(tx: Tx) -> None:
    """Raise WrongKeyError if the key no longer opens the canary. A seal whose key was changed learns of it here."""
    row = await tx.first(select(keys.c.private_sealed).where(keys.c.id == _ID))
    if row is not None and tx.seal.open(row.private_sealed) != _SONG:
        raise WrongKeyError


async def seal_anew(tx: Tx) -> datetime:
    """Seal the canary with the newest key, unless it is; return since when it is.

    From then on a server that knows only older keys does not start.
    """
    row = await tx.first(select(keys).where(keys.c.id == _ID))
    if row is not None and row.private_sealed.startswith(tx.seal.head):
        since: datetime = row.created_at
        return since
    await tx.run(
        update(keys)
        .where(keys.c.id == _ID)
        .values(private_sealed=tx.seal.close(_SONG), created_at=tx.now)
    )
    return tx.now
