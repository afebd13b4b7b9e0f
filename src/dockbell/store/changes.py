"""What changed lately, found in the tables themselves: nothing is written for those who watch.

Ids begin with the time they were made at, and other rows with a lower one may still be committed: whoever looks
again asks from `floor` on, and passes over what they know.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, literal_column, or_, select, text

from dockbell.domain import ids
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import (
    audit_entries,
    deliveries,
    events,
    lanes,
    notifications,
    of_micros,
    redelivery_jobs,
    repositories,
)
from dockbell.store.transactions import Tx

# A row appears this long after its id was made, at most: the transaction's time, and how far clocks differ.
LAG = timedelta(seconds=10)
# A variable for each id: SQLite takes some thousands.
_BATCH = 500
# Written out and not bound, so that both databases see that their partial indexes serve.
_WAITING = deliveries.c.state == literal_column(f"'{State.WAITING.value}'")
_SENDING = deliveries.c.state == literal_column(f"'{State.SENDING.value}'")
_OPEN = frozenset({State.WAITING.value, State.SENDING.value})
_BY_HAND = ("redeliver_delivery", "cancel_delivery")
# On PostgreSQL a transaction may take longer, and says so. Times are its own, and so are ours.
_OLDEST_WRITER = text(
    "SELECT CAST(extract(epoch FROM min(xact_start)) * 1000000 AS bigint) FROM pg_stat_activity"
    " WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one moment of a delivery from another."""

    id: str
    state: str
    attempts: int
    due_at: datetime

    @property
    def is_open(self) -> bool:
        """It can change without anybody's doing."""
        return self.state in _OPEN


_MARK = select(
    deliveries.c.id, deliveries.c.state, deliveries.c.attempts, deliveries.c.due_at
).select_from(deliveries)


def _of_row(row: Row[Any]) -> Mark:
    return Mark(row.id, row.state, row.attempts, row.due_at)


async def floor(tx: Tx) -> datetime:
    """Rows that cannot be seen yet have ids made after then. Ask before you read, for your next reading."""
    least = tx.now
    if tx.dialect.NAME != "sqlite":
        row = await tx.first(_OLDEST_WRITER)
        if row is not None and row[0] is not None:
            least = min(least, of_micros(row[0]))
    return least - LAG


async def repositories_of(tx: Tx, namespace_id: str, limit: int) -> Sequence[str]:
    """The ids of up to so many repositories of the namespace."""
    rows = await tx.rows(
        select(repositories.c.id)
        .where(repositories.c.namespace_id == namespace_id)
        .order_by(repositories.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def events_made(
    tx: Tx, place_ids: Sequence[str], since: datetime, limit: int | None = None
) -> Sequence[str]:
    """The ids of the places' events made since then, the oldest first."""
    rows = await tx.rows(
        select(events.c.id)
        .where(
            or_(
                events.c.repository_id.in_(place_ids),
                and_(events.c.repository_id.is_(None), events.c.namespace_id.in_(place_ids)),
            ),
            events.c.id >= ids.compose("evt", since, 0),
        )
        .order_by(events.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def made(tx: Tx, place_ids: Sequence[str], since: datetime) -> Sequence[Mark]:
    """The places' deliveries made since then."""
    return await _marks(tx, _since(place_ids, ids.compose("dlv", since, 0)))


async def moved(
    tx: Tx, place_ids: Sequence[str], oldest: str, since: datetime, limit: int
) -> Sequence[Mark]:
    """The places' deliveries from that id on that were made or moved since then, and maybe some that were not."""
    statement = _since(place_ids, oldest).where(_has_moved(since))
    return await _marks(tx, statement.limit(limit))


def _has_moved(since: datetime) -> ColumnElement[bool]:
    table = deliveries.c
    # One that waits moved for the last time when it was told when it is due, and that was before it is due.
    return or_(
        table.id >= ids.compose("dlv", since, 0),
        table.finished_at >= since,
        _SENDING,
        and_(_WAITING, table.due_at >= since),
    )


def _since(place_ids: Sequence[str], first: str) -> Select[Any]:
    return _MARK.where(deliveries.c.place_id.in_(place_ids), deliveries.c.id >= first).order_by(
        deliveries.c.id
    )


async def find_open(tx: Tx, place_ids: Sequence[str], limit: int) -> Sequence[Mark]:
    """Up to so many of the places' deliveries that are sent or wait; those that are served next come first."""
    sending = await _marks(
        tx,
        _MARK.where(_SENDING, deliveries.c.place_id.in_(place_ids)).limit(limit),
    )
    notification = notifications.c
    is_of_places = or_(
        notification.repository_id.in_(place_ids),
        and_(
            notification.repository_id.is_(None),
            notification.namespace_id.in_(place_ids),
        ),
    )
    waiting = await _marks(
        tx,
        _MARK.join(lanes, lanes.c.id == deliveries.c.lane_id)
        .join(notifications, notification.id == lanes.c.notification_id)
        .where(_WAITING, is_of_places)
        .order_by(lanes.c.is_paused, deliveries.c.due_at)
        .limit(limit - len(sending)),
    )
    return [*sending, *waiting]


async def look_up(tx: Tx, delivery_ids: Collection[str]) -> Sequence[Mark]:
    """These deliveries as they are now; those that are gone are left out."""
    found: list[Mark] = []
    for batch in _batches(delivery_ids):
        found += await _marks(tx, _MARK.where(deliveries.c.id.in_(batch)))
    return found


async def touched_by_hand(
    tx: Tx, place_ids: Sequence[str], since: datetime, limit: int | None = None
) -> Sequence[str]:
    """The ids of deliveries that somebody sent again or called off since then."""
    rows = await tx.rows(
        select(audit_entries.c.metadata)
        .where(
            # An expression, so that no database reads all entries of a repository for it.
            func.coalesce(audit_entries.c.repository_id, audit_entries.c.namespace_id, "").in_(
                place_ids
            ),
            audit_entries.c.id >= ids.compose("aud", since, 0),
            audit_entries.c.kind.in_(_BY_HAND),
        )
        .order_by(audit_entries.c.id)
        .limit(limit)
    )
    return [row.metadata["delivery_id"] for row in rows]


@dataclass(frozen=True, slots=True)
class JobMark:
    """How far a job has come that sends many deliveries again: from the newest down to `before`."""

    id: str
    place_id: str
    before: str


async def jobs_at_work(tx: Tx, place_ids: Sequence[str], since: datetime) -> Sequence[JobMark]:
    """The places' jobs that did something since then."""
    table = redelivery_jobs.c
    rows = await tx.rows(
        select(table.id, table.place_id, table.before).where(
            table.place_id.in_(place_ids), table.updated_at >= since
        )
    )
    return [JobMark(row.id, row.place_id, row.before) for row in rows]


async def sent_by_job(
    tx: Tx, job: JobMark, below: str | None, since: datetime, limit: int | None = None
) -> Sequence[Mark]:
    """What the job has sent again since then, of the deliveries below that id. They may have moved on."""
    statement = _since([job.place_id], job.before).where(
        deliveries.c.trigger == Trigger.REDELIVER.value, _has_moved(since)
    )
    if below is not None:
        statement = statement.where(deliveries.c.id < below)
    return await _marks(tx, statement.limit(limit))


async def _marks(tx: Tx, statement: Select[Any]) -> Sequence[Mark]:
    return [_of_row(row) for row in await tx.rows(statement)]


def _batches(delivery_ids: Collection[str]) -> Iterator[Sequence[str]]:
    every = list(delivery_ids)
    for first in range(0, len(every), _BATCH):
        yield every[first : first + _BATCH]
