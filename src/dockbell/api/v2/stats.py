"""Figures: deliveries by state, and how long tries took."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from dockbell.api.v2.areas import IsInstance, NamespaceName, NotificationId, RepositoryPath
from dockbell.api.v2.deliveries import moment
from dockbell.domain.deliveries import State
from dockbell.domain.errors import ConfigError
from dockbell.services import areas, statistics
from dockbell.web.calls import Call

_USUAL = timedelta(days=1)
_LONGEST = timedelta(days=31)
_MOST_BUCKETS = 200


class Span(msgspec.Struct, frozen=True):
    """The tries that began in one span of time, tests among them. Durations are null where there were none."""

    since: datetime
    attempts: int
    failed: int
    p50_seconds: float | None
    p95_seconds: float | None


class Stats(msgspec.Struct, frozen=True):
    """Deliveries made in the time asked for, by where they stand now.

    `emitted` is the sum of the six states; `parked` are among those that wait. An event that a filter kept
    away from a notification made no delivery; the event's own page says so.
    """

    since: datetime
    until: datetime
    emitted: int
    delivered: int
    waiting: int
    sending: int
    dead: int
    expired: int
    cancelled: int
    parked: int
    success_rate: float | None
    spans: Sequence[Span]


@get("/stats")
async def get_stats(  # noqa: PLR0913, PLR0917 -- one argument for each of the query's
    call: Call,
    repository: RepositoryPath = None,
    namespace: NamespaceName = None,
    instance: IsInstance = False,  # noqa: FBT002 -- a query's parameter has a name
    notification: NotificationId = None,
    since: Annotated[
        datetime | None,
        QueryParameter(description="From then on; a day before `until` if left out."),
    ] = None,
    until: Annotated[
        datetime | None, QueryParameter(description="Before then; now if left out.")
    ] = None,
    spans: Annotated[int, QueryParameter(ge=1, le=_MOST_BUCKETS)] = 24,
) -> Stats:
    """Deliveries of a place or notification by state, with median and 95 % durations of tries by time."""
    since, until = moment(since, "since"), moment(until, "until")
    async with call.read() as tx:
        actor = await call.actor(tx)
        viewer = await areas.viewer_of(
            tx,
            actor,
            repository=repository,
            namespace=namespace,
            is_instance=instance,
            notification_id=notification,
        )
        end = tx.now if until is None else until
        start = _day_before(end) if since is None else since
        if not timedelta() < end - start <= _LONGEST:
            raise ConfigError("The time must be above zero and at most 31 days", field="since")
        width = (end - start) / spans
        if not width:
            raise ConfigError("A span must be a microsecond or longer", field="spans")
        found = await statistics.load(
            tx, viewer, notification_id=notification, since=start, until=end, width=width
        )
    counts = {state: found.by_state.get(state, 0) for state in State}
    over = counts[State.DELIVERED] + counts[State.DEAD] + counts[State.EXPIRED]
    filled = {bucket.number: bucket for bucket in found.buckets}
    shown = []
    for number in range(spans):
        bucket = filled.get(number)
        shown.append(
            Span(
                since=start + number * width,
                attempts=0 if bucket is None else bucket.attempts,
                failed=0 if bucket is None else bucket.failed,
                p50_seconds=None if bucket is None else bucket.median.total_seconds(),
                p95_seconds=None if bucket is None else bucket.slow.total_seconds(),
            )
        )
    return Stats(
        since=start,
        until=end,
        emitted=sum(counts.values()),
        delivered=counts[State.DELIVERED],
        waiting=counts[State.WAITING],
        sending=counts[State.SENDING],
        dead=counts[State.DEAD],
        expired=counts[State.EXPIRED],
        cancelled=counts[State.CANCELLED],
        parked=found.parked,
        success_rate=counts[State.DELIVERED] / over if over else None,
        spans=shown,
    )


def _day_before(end: datetime) -> datetime:
    try:
        return end - _USUAL
    except OverflowError:
        raise ConfigError("A day before it is no time", field="until") from None


HANDLERS = [get_stats]
