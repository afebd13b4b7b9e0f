"""Where deliveries wait that are leased beyond the places of their lane, until a try of the lane ends.

A lane that is full would else stand still from the end of a try until a turn at the database has brought the next. Only
for where no other process leases: others count on it that what is leased has a place.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

from dockbell.domain.deliveries import Result
from dockbell.domain.outcomes import Delivered
from dockbell.engine.attempt import Job
from dockbell.store.lanes import WIDTH

# So many for each that ended since the last turn: a lane that is slow has none.
_FOR_EACH = 4
_MOST = 2 * WIDTH

Waiting = tuple[Job, float]  # with when it was leased, by the loop's clock


class Parking:
    """The deliveries by lane. A lane is here only while it has some."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Waiting]] = {}

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def __iter__(self) -> Iterator[Job]:
        return (job for waiting in self._lanes.values() for job, _ in waiting)

    def clear(self) -> None:
        self._lanes.clear()

    def take(self, jobs: Sequence[Job], ahead: Mapping[str, int], now: float) -> list[Waiting]:
        """Keep those whose lane is among `ahead` or here already; return the others."""
        others: list[Waiting] = []
        for job in jobs:
            lane_id = job.order.lane_id
            if lane_id in ahead or lane_id in self._lanes:
                self._lanes.setdefault(lane_id, deque()).append((job, now))
            else:
                others.append((job, now))
        return others

    def next_of(self, lane_id: str) -> Waiting | None:
        """The one that has waited longest of this lane, which has a place for it now."""
        waiting = self._lanes.get(lane_id)
        if waiting is None:
            return None
        first = waiting.popleft()
        if not waiting:
            del self._lanes[lane_id]
        return first

    def fill(self, busy: Mapping[str, int]) -> list[Waiting]:
        """All that there are places for, given how many of each lane are under way."""
        found: list[Waiting] = []
        for lane_id in list(self._lanes):
            places = range(WIDTH - busy.get(lane_id, 0))
            ready = [self.next_of(lane_id) for _ in places]
            found.extend(one for one in ready if one is not None)
        return found

    def leave(self, lane_id: str) -> list[Job]:
        """All of this lane, which keep no place any more."""
        return [job for job, _ in self._lanes.pop(lane_id, ())]

    def give_up(self, before: float) -> list[Job]:
        """Those that were leased before then: they have waited too long."""
        found: list[Job] = []
        for lane_id, waiting in list(self._lanes.items()):
            while waiting and waiting[0][1] < before:
                found.append(waiting.popleft()[0])
            if not waiting:
                del self._lanes[lane_id]
        return found


def ahead_of(settled: Sequence[Result]) -> Mapping[str, int]:
    """Of which lanes how many more may be leased, after these results.

    Only of news that arrive: what is tried again, or asked for, has lanes of its own.
    """
    ended = Counter(
        [
            one.order.lane_id
            for one in settled
            if one.order.lane_id == one.order.notification_id
            and isinstance(one.outcome, Delivered)
        ]
    )
    return {lane_id: min(_FOR_EACH * count, _MOST) for lane_id, count in ended.items()}
