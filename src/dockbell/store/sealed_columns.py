"""Every column that holds sealed values, and sealing them anew with the newest key, some at a time."""

from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Table,
    and_,
    bindparam,
    func,
    select,
    update,
)

from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.seals import HEAD_BYTES, WrongKeyError
from dockbell.store.tables import metadata
from dockbell.store.transactions import Tx

_SUFFIX = "_sealed"


@dataclass(frozen=True, slots=True)
class Place:
    """A column of sealed values."""

    table: Table
    column: Column[bytes]

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    @property
    def key(self) -> Column[str]:
        (key,) = self.table.primary_key
        return key


# Found by their names, so that a new table cannot be forgotten.
PLACES = tuple(
    Place(table, column)
    for table in metadata.sorted_tables
    for column in table.columns
    if column.name.endswith(_SUFFIX)
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one step did. `last` is where the next one goes on, None at the end."""

    moved: int
    broken: Sequence[str]  # rows that no key opens; they stay as they are
    last: str | None


async def count_older(tx: Tx, place: Place) -> int:
    """How many values are sealed with an older key that we have."""
    row = await tx.first(
        select(func.count()).select_from(place.table).where(_is_older(tx, place))
    )
    return 0 if row is None else int(row[0])


async def reseal(tx: Tx, place: Place, *, after: str, limit: int) -> Chunk:
    """Seal up to `limit` values behind that row anew, if an older key of ours closed them.

    A value that somebody else changes meanwhile is left as they wrote it.
    """
    rows = await tx.rows(
        select(place.key.label("of_key"), place.column.label("of_old"))
        .where(and_(place.key > after, _is_older(tx, place)))
        .order_by(place.key)
        .limit(limit)
    )
    changes, broken = [], []
    for row in rows:
        try:
            value = tx.seal.open(row.of_old)
        except WrongKeyError:
            broken.append(row.of_key)
            continue
        changes.append(
            {"of_key": row.of_key, "of_old": row.of_old, "of_new": tx.seal.close(value)}
        )
    if changes:
        await tx.run(
            update(place.table)
            .where(place.key == bindparam("of_key"), place.column == bindparam("of_old"))
            .values({place.column.name: bindparam("of_new")}),
            changes,
        )
    return Chunk(len(changes), broken, rows[-1].of_key if len(rows) == limit else None)


def _is_older(tx: Tx, place: Place) -> ColumnElement[bool]:
    head = func.substr(place.column, 1, HEAD_BYTES, type_=LargeBinary)
    return head.in_(tx.seal.older_heads)
