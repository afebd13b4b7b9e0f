"""Fan-out of many events at once: the deliveries that `store.deliveries.record` makes for one."""

from collections.abc import Sequence

from dockbell.domain.deliveries import Trigger
from dockbell.store import lanes
from dockbell.store.tables import to_micros
from dockbell.store.transactions import Tx

# The ids of the event, of the notification's place and of the notification, and whether that is paused.
Wanted = tuple[str, str, str, bool]

_ROWS_AT_ONCE = 10_000  # so that the documents they travel in stay small


async def record(tx: Tx, wanted: Sequence[Wanted]) -> None:
    """Add a delivery, due now, for each, in this order.

    Those of a paused notification are parked: they wait in a lane that is not served.
    """
    if not wanted:
        return
    paused = {notification_id: is_paused for _, _, notification_id, is_paused in wanted}
    lanes_first = lanes.touching(
        tx, [(one, one, is_paused) for one, is_paused in paused.items()], tx.now
    )
    now = to_micros(tx.now)
    for first in range(0, len(wanted), _ROWS_AT_ONCE):
        rows = [
            (tx.new_id("dlv"), notification_id, notification_id, event_id, place_id)
            for event_id, place_id, notification_id, _ in wanted[first : first + _ROWS_AT_ONCE]
        ]
        adding = (tx.dialect.FAN_OUT, (*tx.dialect.packed(rows), Trigger.EVENT.value, now))
        await tx.hot_each([*lanes_first, adding])
        lanes_first = ()
