"""A sealed known value: it tells at start whether the secret key is the one the data was written with."""

from sqlalchemy import insert, select

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
