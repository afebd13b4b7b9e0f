"""Mails to owners that are still to be sent: made with the notice, in one transaction, and kept for a while after."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, insert, or_, select, update

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.owner_mails import Tidings
from dockbell.domain.standings import Change
from dockbell.store import locks
from dockbell.store.tables import owner_mails as table
from dockbell.store.transactions import Tx

# What comes within this time is told in the same mail.
GATHER = timedelta(minutes=1)
# An address gets no two mails within this time.
GAP = timedelta(minutes=15)
# How long a mail is left alone once somebody has begun to send it; the last for every further try.
WAITS = (*(timedelta(minutes=minutes) for minutes in (2, 5, 15)), timedelta(hours=1))
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one address is told in one mail."""

    address: str
    ids: Sequence[str]
    tidings: Sequence[Tidings]


async def add(tx: Tx, addresses: Collection[str], tidings: Tidings) -> None:
    """Have each address told of it."""
    rows = [
        {
            "id": tx.new_id("oml"),
            "email": address,
            "kind": tidings.change.value,
            "about": {
                "title": tidings.title,
                "method": tidings.method,
                "event": tidings.kind,
                "place": tidings.place,
                "message": tidings.sentence,
            },
            "tries": 0,
            "due_at": tx.now + GATHER,
            "created_at": tx.now,
        }
        for address in addresses
    ]
    if rows:
        await tx.run(insert(table), rows)


def _can_be_sent(now: datetime) -> ColumnElement[bool]:
    other = table.alias("other")
    is_being_told = and_(other.c.sent_at.is_(None), other.c.tries > 0, other.c.due_at > now)
    was_told = other.c.sent_at > now - GAP
    is_left_alone = exists().where(other.c.email == table.c.email, or_(is_being_told, was_told))
    return and_(table.c.sent_at.is_(None), table.c.due_at <= now, ~is_left_alone)


async def has_due(tx: Tx) -> bool:
    """Whether some mail can be sent now. Reads only."""
    return await tx.first(select(table.c.id).where(_can_be_sent(tx.now)).limit(1)) is not None


async def take(tx: Tx) -> Parcel | None:
    """What the address that has waited longest is to be told; nobody else takes it for a while. None if there is nothing."""
    first = await tx.first(
        select(table.c.email)
        .where(_can_be_sent(tx.now))
        .order_by(table.c.due_at, table.c.id)
        .limit(1)
    )
    if first is None:
        return None
    await locks.hold_word(tx, f"owner mail {first.email}")
    rows = await tx.rows(
        select(table)
        .where(table.c.email == first.email, _can_be_sent(tx.now))
        .order_by(table.c.id)
        .limit(_AT_ONCE)
    )
    if not rows:
        return None  # another process was faster
    tries = max(row.tries for row in rows)
    wait = WAITS[min(tries, len(WAITS) - 1)]
    ids = [row.id for row in rows]
    await tx.run(
        update(table).where(table.c.id.in_(ids)).values(tries=tries + 1, due_at=tx.now + wait)
    )
    tidings = [
        Tidings(
            Change(row.kind),
            row.about["title"],
            row.about["method"],
            row.about["event"],
            row.about["place"],
            row.about["message"],
            row.created_at,
        )
        for row in rows
    ]
    return Parcel(first.email, ids, tidings)


async def close(tx: Tx, parcel: Parcel) -> None:
    """Send it no more: it was taken, or never will be."""
    await tx.run(update(table).where(table.c.id.in_(parcel.ids)).values(sent_at=tx.now))
