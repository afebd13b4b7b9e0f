"""How many tries a delivery has behind it that were not charged."""

from dockbell.domain.deliveries import Decision, Order, State, Trigger

_MOST_REMEMBERED = 10_000


class Postponements:
    """Counts them. Without a redelivery the row tells: all attempts but those that count.

    A redelivery begins a new series, and the row counts attempts of all series. Those of the new one are
    remembered by the process that makes them: after a restart the count begins anew, which only means more tries.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, order: Order) -> int:
        """So many uncharged tries were made before this one."""
        if order.trigger is Trigger.REDELIVER:
            return self._counts.get(order.delivery_id, 0)
        return order.attempts - order.tries

    def note(self, order: Order, decision: Decision) -> None:
        """Call it with what follows from each try."""
        if order.trigger is not Trigger.REDELIVER:
            return
        if decision.is_charged or decision.state is not State.WAITING:
            self._counts.pop(order.delivery_id, None)
            return
        if len(self._counts) >= _MOST_REMEMBERED:
            self._counts.clear()
        self._counts[order.delivery_id] = self._counts.get(order.delivery_id, 0) + 1
