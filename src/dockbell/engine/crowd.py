"""The crowd: whose turn it is next, while more lanes are ready than one lease can serve."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from dockbell.engine.attempt import Job
from dockbell.store import lanes
from dockbell.store.transactions import Tx

# The least that turns are apart; they pass at least as fast as time does.
_APART = timedelta(milliseconds=1)
_FASTER = 2
_FAR_LESS = 4
_LONGEST = timedelta(seconds=1)
# A crowd that is away for so long is another one; a namespace that is, is none of it.
_FORGOTTEN = timedelta(seconds=10)


class Crowd:
    """Gives namespaces equal parts of what is served, however many lanes each has.

    Lanes are served in the order of their turns. By itself a lane that was served goes behind all others, so that who
    has ten thousand lanes is served ten thousand times as often as who has one. In a crowd, what a namespace has
    served goes behind what it was served before, lane behind lane, so that one with few lanes is soon there again. Who
    had far less than its part even stays in front. At least half of each lease goes in order, so that nobody waits for
    ever (docs/decisions/0012-lanes.md). While there is only one namespace, nothing is written for it.
    """

    def __init__(self) -> None:
        self._round = datetime.min.replace(tzinfo=UTC)  # that is being served
        self._last: dict[str, datetime] = {}  # turn that was given to a lane of the namespace
        self._seen: dict[str, datetime] = {}  # when something of the namespace was last leased
        self._crowded_at: datetime | None = None

    async def take_turns(self, tx: Tx, jobs: Sequence[Job], front: datetime | None) -> None:
        """Say when the lanes of these jobs are next. `front` is the first turn of them, None if that was all there is."""
        one_of = {job.order.lane_id: job for job in jobs}
        pairs = {lane_id: _namespace_of(job) for lane_id, job in one_of.items()}
        counts = Counter(pairs.values())
        self._note(counts, tx.now)
        if front is None or len(self._seen) < 2:  # noqa: PLR2004 -- one is no crowd
            return
        apart = await self._begin_round(tx, front, len(pairs))
        modest = self._modest(counts, len(pairs))
        turns: dict[str, datetime] = {}
        for lane_id, namespace in pairs.items():
            if namespace in modest:
                turns[lane_id] = front
                continue
            turns[lane_id] = max(self._last.get(namespace, self._round), self._round) + apart
            self._last[namespace] = turns[lane_id]
        await lanes.set_turns(tx, turns)

    async def _begin_round(self, tx: Tx, front: datetime, count: int) -> timedelta:
        """Go on to the round that is being served; return how far its turns are apart."""
        before, self._crowded_at = self._crowded_at, tx.now
        if before is None or tx.now - before > _FORGOTTEN:
            # Behind every lane there is, whoever gave it its turn.
            self._round = max(tx.now, await lanes.latest_turn(tx) or tx.now)
            self._last.clear()
            return _APART
        self._round = max(self._round, front, tx.now)
        # Each namespace goes on by its part of the lease, and even so faster than the time.
        pace = _FASTER * len(self._seen) * min(tx.now - before, _LONGEST)
        return max(_APART, pace / max(count, 1))

    def _modest(self, counts: Mapping[str, int], total: int) -> set[str]:
        """The namespaces that had far less than their part, and half of all at most: so the others always go on."""
        part, room = max(1, total // len(self._seen) // _FAR_LESS), total // 2
        modest: set[str] = set()
        for namespace, count in sorted(counts.items(), key=itemgetter(1)):
            if count > min(part, room):
                break
            room -= count
            modest.add(namespace)
        return modest

    def _note(self, namespaces: Iterable[str], now: datetime) -> None:
        for one in namespaces:
            self._seen[one] = now
        gone = [one for one, at in self._seen.items() if now - at > _FORGOTTEN]
        for one in gone:
            del self._seen[one]
            self._last.pop(one, None)


def _namespace_of(job: Job) -> str:
    """Its notification's namespace; those of the server, and those that cannot be read, are for themselves."""
    found = None if job.notification is None else job.notification.namespace_id
    return job.order.notification_id if found is None else found
