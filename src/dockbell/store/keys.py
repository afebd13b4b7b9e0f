"""Rows of keys: key pairs of our own, the private half sealed."""

from collections.abc import Sequence

from sqlalchemy import insert, select

from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import keys
from dockbell.store.transactions import DuplicateError, Tx


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    public: bytes
    private: bytes


async def find_all(tx: Tx, purpose: str) -> Sequence[Key]:
    """The keys of a purpose, newest first."""
    rows = await tx.rows(
        select(keys)
        .where(keys.c.purpose == purpose)
        .order_by(keys.c.created_at.desc(), keys.c.id.desc())
    )
    return [Key(row.id, row.public, tx.seal.open(row.private_sealed)) for row in rows]


async def add_first(tx: Tx, purpose: str, *, public: bytes, private: bytes) -> None:
    """Insert the first key of a purpose; of several processes that try at once, one succeeds."""
    try:
        async with tx.nested():
            await tx.run(
                insert(keys).values(
                    id=f"key_{purpose}_1",  # a fixed id, so that the second is refused
                    purpose=purpose,
                    public=public,
                    private_sealed=tx.seal.close(private),
                    created_at=tx.now,
                )
            )
    except DuplicateError:
        pass
