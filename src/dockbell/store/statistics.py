"""Counts and durations over the deliveries of a place or a notification."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, and_, case, func, literal, select, type_coerce

from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.records import Bucket, DeliveryFilter, Statistics
from dockbell.store.delivery_lists import matching
from dockbell.store.tables import attempts, deliveries, notifications, to_micros
from dockbell.store.transactions import Tx

_MICROSECOND = timedelta(microseconds=1)
_FAILED = ("rejected", "failed")


async def load(
    tx: Tx, place_id: str, wanted: DeliveryFilter, since: datetime, width: timedelta
) -> Statistics:
    """What `wanted` finds, counted; its tries in spans of `width` from `since` on. Two queries.

    `wanted` must not ask for a kind of event, whose table is not read here.
    """
    fits = matching(place_id, wanted)
    is_parked = and_(
        deliveries.c.state == State.WAITING.value,
        deliveries.c.trigger != Trigger.TEST.value,
        notifications.c.paused_at.is_not(None),
    )
    counted = await tx.rows(
        select(
            deliveries.c.state,
            func.count().label("number"),
            func.sum(case((is_parked, 1), else_=0)).label("parked"),
        )
        .select_from(
            deliveries.outerjoin(
                notifications, notifications.c.id == deliveries.c.notification_id
            )
        )
        .where(fits)
        .group_by(deliveries.c.state)
    )
    started = type_coerce(attempts.c.started_at, BigInteger)
    bucket = ((started - literal(to_micros(since))) // literal(width // _MICROSECOND)).label(
        "bucket"
    )
    tried = (
        select(
            bucket,
            attempts.c.duration_micros.label("duration"),
            case((attempts.c.outcome.in_(_FAILED), 1), else_=0).label("failed"),
            func.row_number()
            .over(partition_by=bucket, order_by=attempts.c.duration_micros)
            .label("place"),
            func.count().over(partition_by=bucket).label("total"),
        )
        .select_from(attempts.join(deliveries, deliveries.c.id == attempts.c.delivery_id))
        .where(fits, attempts.c.started_at >= since)
        .subquery()
    )
    spans = await tx.rows(
        select(
            tried.c.bucket,
            func.count().label("number"),
            func.sum(tried.c.failed).label("failed"),
            func.min(case((tried.c.place * 2 >= tried.c.total, tried.c.duration))).label("p50"),
            func.min(case((tried.c.place * 20 >= tried.c.total * 19, tried.c.duration))).label(
                "p95"
            ),
        )
        .group_by(tried.c.bucket)
        .order_by(tried.c.bucket)
    )
    return Statistics(
        by_state={State(row.state): int(row.number) for row in counted},
        parked=sum(int(row.parked) for row in counted),
        buckets=[
            Bucket(
                number=int(row.bucket),
                attempts=int(row.number),
                failed=int(row.failed),
                median=int(row.p50) * _MICROSECOND,
                slow=int(row.p95) * _MICROSECOND,
            )
            for row in spans
        ],
    )
