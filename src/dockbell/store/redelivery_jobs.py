"""Jobs that send many deliveries again. What a job has done is kept with what it did, in one transaction."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.records import DeliveryFilter, JobState, RedeliveryJob
from dockbell.store import lanes, locks, sequences
from dockbell.store.delivery_lists import matching
from dockbell.store.events import HAS_BODY
from dockbell.store.tables import Moment, deliveries, events, notifications
from dockbell.store.tables import redelivery_jobs as table
from dockbell.store.transactions import Tx

BATCH = 200  # deliveries in one transaction: others wait for it on SQLite


def _fits(place_id: str, wanted: DeliveryFilter) -> ColumnElement[bool]:
    # A test is made anew by whoever wants one.
    return and_(matching(place_id, wanted), deliveries.c.trigger != Trigger.TEST.value)


async def count(tx: Tx, place_id: str, wanted: DeliveryFilter) -> int:
    """How many deliveries a job with this filter would take up. One query."""
    row = await tx.first(
        select(func.count().label("number"))
        .select_from(deliveries.outerjoin(events, events.c.id == deliveries.c.event_id))
        .where(_fits(place_id, wanted))
    )
    return 0 if row is None else int(row.number)


async def add(tx: Tx, place_id: str, wanted: DeliveryFilter, made_by: str) -> RedeliveryJob:
    """A job that takes up what fits now; deliveries that are made later are left out of it."""
    job = RedeliveryJob(
        id=tx.new_id("rdj"),
        place_id=place_id,
        wanted=wanted,
        state=JobState.RUNNING,
        total=await count(tx, place_id, wanted),
        sent=0,
        skipped=0,
        before=tx.new_id("dlv"),
        made_by=made_by,
        created_at=tx.now,
        finished_at=None,
    )
    await tx.run(
        insert(table).values(
            id=job.id,
            place_id=place_id,
            filter=_to_document(wanted),
            state=job.state.value,
            total=job.total,
            sent=0,
            skipped=0,
            before=job.before,
            made_by=made_by,
            created_at=tx.now,
            updated_at=tx.now,
        )
    )
    return job


async def find(tx: Tx, job_id: str) -> RedeliveryJob | None:
    row = await tx.first(select(table).where(table.c.id == job_id))
    return None if row is None else _of_row(row)


async def list_page(
    tx: Tx, place_id: str, *, before: str, limit: int
) -> Sequence[RedeliveryJob]:
    """Up to `limit` of the place's jobs, the newest first. One query."""
    statement = select(table).where(table.c.place_id == place_id)
    if before:
        statement = statement.where(table.c.id < before)
    rows = await tx.rows(statement.order_by(table.c.id.desc()).limit(limit))
    return [_of_row(row) for row in rows]


async def move(tx: Tx, job_id: str, sources: Sequence[JobState], to: JobState) -> bool:
    """Bring the job into this state; return False, with nothing changed, if it is in none of `sources`."""
    is_over = to in {JobState.DONE, JobState.CANCELLED}
    changed = await tx.run(
        update(table)
        .where(table.c.id == job_id, table.c.state.in_([state.value for state in sources]))
        .values(state=to.value, updated_at=tx.now, finished_at=tx.now if is_over else None)
    )
    return changed == 1


async def has_running(tx: Tx) -> bool:
    """Whether some job has work to do. Reads only."""
    row = await tx.first(
        select(table.c.id).where(table.c.state == JobState.RUNNING.value).limit(1)
    )
    return row is not None


async def step(tx: Tx) -> bool:
    """Do the next part of the job that has waited longest; return False if there was none to do.

    Two processes never work on one job at once. A part is done whole or not at all, so that a job goes on
    after a crash where it was, and sends nothing twice.
    """
    row = await tx.first(
        select(table)
        .where(table.c.state == JobState.RUNNING.value)
        .order_by(table.c.updated_at, table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if row is None:
        return False
    job = _of_row(row)
    part = await tx.rows(
        select(
            deliveries.c.id,
            deliveries.c.notification_id,
            HAS_BODY.label("is_kept"),
        )
        .select_from(deliveries.outerjoin(events, events.c.id == deliveries.c.event_id))
        .where(_fits(job.place_id, job.wanted), deliveries.c.id < job.before)
        .order_by(deliveries.c.id.desc())
        .limit(BATCH)
    )
    if not part:
        await move(tx, job.id, [JobState.RUNNING], JobState.DONE)
        return True
    sent = await _redeliver(
        tx,
        job.wanted,
        [(one.id, one.notification_id) for one in part if one.is_kept],
    )
    await tx.run(
        update(table)
        .where(table.c.id == job.id)
        .values(
            before=part[-1].id,
            sent=table.c.sent + sent,
            skipped=table.c.skipped + (len(part) - sent),
            updated_at=tx.now,
        )
    )
    return True


async def _redeliver(tx: Tx, wanted: DeliveryFilter, pairs: Sequence[tuple[str, str]]) -> int:
    """Make these deliveries (id, notification id) due now, as `store.redeliveries` does with one."""
    # Notifications, lanes, deliveries: the order in which everybody takes them.
    held = await tx.rows(
        select(notifications.c.id, notifications.c.paused_at)
        .where(notifications.c.id.in_({notification_id for _, notification_id in pairs}))
        .order_by(notifications.c.id)
        .with_for_update(key_share=True)
    )
    open_ones = {row.id for row in held if row.paused_at is None}
    ids = [
        delivery_id for delivery_id, notification_id in pairs if notification_id in open_ones
    ]
    if not ids:
        return 0
    reached = sorted({notification_id for _, notification_id in pairs} & open_ones)
    ordered = await sequences.find(tx, reached)
    if ordered:
        await locks.take_lanes(tx, [*ordered, *map(lanes.lane_of_redeliveries, reached)])
    if beside := [one for one in reached if one not in ordered]:
        await lanes.touch(
            tx,
            [(lanes.lane_of_redeliveries(one), one, False) for one in beside],
            tx.now,
            width=lanes.REDELIVERY_WIDTH,
        )
    is_ordered = deliveries.c.notification_id.in_(ordered)
    is_free = deliveries.c.state != State.SENDING.value
    if wanted.states:  # it may have moved on since it was looked for
        is_free &= deliveries.c.state.in_([state.value for state in wanted.states])
    sent = await tx.run(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), is_free)
        .values(
            state=State.WAITING.value,
            trigger=Trigger.REDELIVER.value,
            lane_id=case(
                (is_ordered, deliveries.c.notification_id),
                else_=deliveries.c.notification_id + lanes.REDELIVERIES,
            ),
            tries=0,
            attempts_before=deliveries.c.attempts,
            interruptions=0,
            due_at=case((is_ordered, sequences.place(tx)), else_=literal(tx.now, Moment)),
            finished_at=None,
            request_key=None,
        )
    )
    if ordered:
        await sequences.serve(tx, ordered)
    tx.ring()
    return sent


def _to_document(wanted: DeliveryFilter) -> dict[str, object]:
    return {
        "states": [state.value for state in wanted.states],
        "kind": wanted.kind,
        "event_id": wanted.event_id,
        "notification_id": wanted.notification_id,
        "codes": list(wanted.codes),
        "trigger": None if wanted.trigger is None else wanted.trigger.value,
        "since": None if wanted.since is None else wanted.since.isoformat(),
        "until": None if wanted.until is None else wanted.until.isoformat(),
    }


def _of_document(document: Mapping[str, Any]) -> DeliveryFilter:
    since, until, trigger = document["since"], document["until"], document["trigger"]
    return DeliveryFilter(
        states=[State(state) for state in document["states"]],
        kind=document["kind"],
        event_id=document["event_id"],
        notification_id=document["notification_id"],
        codes=document["codes"],
        trigger=None if trigger is None else Trigger(trigger),
        since=None if since is None else datetime.fromisoformat(since),
        until=None if until is None else datetime.fromisoformat(until),
    )


def _of_row(row: Row[Any]) -> RedeliveryJob:
    return RedeliveryJob(
        id=row.id,
        place_id=row.place_id,
        wanted=_of_document(row.filter),
        state=JobState(row.state),
        total=row.total,
        sent=row.sent,
        skipped=row.skipped,
        before=row.before,
        made_by=row.made_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
