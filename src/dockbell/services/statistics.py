"""Figures on the deliveries of a place or of one notification."""

from dataclasses import replace
from datetime import datetime, timedelta

from dockbell.domain.deliveries import State
from dockbell.domain.permissions import ViewerOfPlace
from dockbell.domain.records import DeliveryFilter, Statistics
from dockbell.store import fan_out, statistics
from dockbell.store.transactions import Tx


async def load(  # noqa: PLR0913 -- the span of time is three of them
    tx: Tx,
    viewer: ViewerOfPlace,
    *,
    notification_id: str | None,
    since: datetime,
    until: datetime,
    width: timedelta,
) -> Statistics:
    """The place's deliveries that were made in that time, and how long their tries took.

    Each of them is counted once, under where it stands now, so that nothing can be missing from the sum.
    """
    wanted = DeliveryFilter(notification_id=notification_id, since=since, until=until)
    put_off = await fan_out.count_put_off(tx, viewer.place_id, notification_id, since, until)
    found = await statistics.load(tx, viewer.place_id, wanted, since, width)
    if put_off == 0:
        return found
    waiting = found.by_state.get(State.WAITING, 0) + put_off
    return replace(found, by_state={**found.by_state, State.WAITING: waiting})
