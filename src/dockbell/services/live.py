"""Watching repositories: what happened there since somebody last looked, with nothing left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from itertools import islice

from dockbell.domain import ids
from dockbell.domain.accounts import Actor
from dockbell.domain.errors import ConfigError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.live import Position
from dockbell.domain.permissions import ViewerOf, ViewerOfAll
from dockbell.domain.records import DeliveryRecord, EventRecord
from dockbell.services import repositories
from dockbell.store import changes, delivery_lists, event_lists
from dockbell.store.changes import Mark
from dockbell.store.transactions import Tx

MOST_REPOSITORIES = 200  # that one stream is about
MOST_BACK = 10_000  # things that a stream catches up with
_MOST_OPEN = 10_000  # deliveries that are kept in mind because they can change
_MOST_LOOKED_UP = 2_000  # of them in one look


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found, and where the watch stands after it. Events first, each kind in order of time."""

    event_ids: Sequence[str]
    delivery_ids: Sequence[str]
    position: Position


async def right_of(
    tx: Tx, actor: Actor, *, repository: str | None, namespace: str | None
) -> ViewerOf | ViewerOfAll:
    """The right to watch a repository, or all of a namespace's. ConfigError if neither is named, or both."""
    if (repository is None) is (namespace is None):
        repositories.check_may_view(actor)
        raise ConfigError("Name a repository or a namespace", field="repository")
    if namespace is None:
        return await repositories.viewer_of(tx, actor, str(repository))
    return await repositories.viewer_of_all(tx, actor, namespace)


async def check_size(tx: Tx, right: ViewerOf | ViewerOfAll) -> None:
    """Raise ConfigError for a namespace with more repositories than one stream can be about."""
    if isinstance(right, ViewerOfAll):
        every = await changes.repositories_of(tx, right.namespace.id, MOST_REPOSITORIES + 1)
        if len(every) > MOST_REPOSITORIES:
            raise ConfigError(
                f"The namespace has more than {MOST_REPOSITORIES} repositories. Name one of them",
                field="namespace",
            )


def key_of(right: ViewerOf | ViewerOfAll) -> str:
    """The same text for all who watch the same."""
    return right.namespace.id if isinstance(right, ViewerOfAll) else right.repository.id


@dataclass(slots=True)
class _Told:
    mark: Mark
    at: datetime


@dataclass(slots=True)
class Watch:
    """What was told of some repositories, in order to find what changed.

    Every change that is committed is found by the look that follows; several changes of one delivery between
    two looks are found as one, the last. What is found again a second time is not told again.
    """

    right: ViewerOf | ViewerOfAll
    _since: datetime | None = None
    _events: set[str] = field(default_factory=set)
    _told: dict[str, _Told] = field(default_factory=dict)
    _jobs: dict[str, str] = field(default_factory=dict)
    _is_partial: bool = False  # more are open than are kept in mind

    async def begin(self, tx: Tx) -> Position:
        """Take all that is there now as told; return where that is."""
        floor = await changes.floor(tx)
        places = await self._places(tx)
        self._events.update(await changes.events_made(tx, places, floor))
        self._note(tx, await changes.made(tx, places, floor))
        self._note(tx, await changes.find_open(tx, places, _MOST_OPEN))
        by_hand = await changes.touched_by_hand(tx, places, floor)
        self._note(tx, await changes.look_up(tx, by_hand))
        self._jobs = {
            job.id: job.before for job in await changes.jobs_at_work(tx, places, floor)
        }
        self._is_partial = len(self._told) >= _MOST_OPEN
        self._since = floor
        return self._position(floor)

    async def look(self, tx: Tx) -> Found:
        """What happened since the look before."""
        since = self._since
        floor = await changes.floor(tx)
        if since is None:
            since = floor
        places = await self._places(tx)
        event_ids = [
            one
            for one in await changes.events_made(tx, places, since)
            if one not in self._events
        ]
        self._events.update(event_ids)
        found = {mark.id: mark for mark in await changes.made(tx, places, since)}
        found |= await self._of_others(tx, places, since, known=found)
        if self._is_partial:
            more = await changes.find_open(tx, places, _MOST_OPEN)
            self._note(tx, [mark for mark in more if mark.id not in self._told])
        known = self._told
        moved = [
            mark
            for mark in found.values()
            if mark.id not in known or known[mark.id].mark != mark
        ]
        self._note(tx, moved)
        self._since = floor
        self._forget(floor)
        return Found(event_ids, sorted(mark.id for mark in moved), self._position(floor))

    async def _of_others(
        self, tx: Tx, places: Sequence[str], since: datetime, *, known: Mapping[str, Mark]
    ) -> Mapping[str, Mark]:
        """Deliveries made earlier: those that were open, and those that somebody sent again since."""
        opened = (one.mark.id for one in self._told.values() if one.mark.is_open)
        turn = list(islice((one for one in opened if one not in known), _MOST_LOOKED_UP))
        for one in turn:  # to the end, so that each comes to its turn
            self._told[one] = self._told.pop(one)
        by_hand = await changes.touched_by_hand(tx, places, since)
        found = list(await changes.look_up(tx, dict.fromkeys([*turn, *by_hand])))
        gone = set(turn) - {mark.id for mark in found}
        for one in gone:
            del self._told[one]
        for job in await changes.jobs_at_work(tx, places, since):
            found += await changes.sent_by_job(tx, job, self._jobs.get(job.id), since)
            self._jobs[job.id] = job.before
        return {mark.id: mark for mark in found}

    async def catch_up(self, tx: Tx, position: Position) -> Found | None:
        """What happened since that position, for a watch that has not begun; None if it is too much.

        What happened in the last seconds before it is found too.
        """
        floor = await changes.floor(tx)
        since = min(position.at, floor)
        places = await self._places(tx)
        event_ids = await changes.events_made(tx, places, since, MOST_BACK + 1)
        moved = list(await changes.moved(tx, places, position.oldest, since, MOST_BACK + 1))
        by_hand = await changes.touched_by_hand(tx, places, since, MOST_BACK + 1)
        moved += await changes.look_up(tx, by_hand)
        for job in await changes.jobs_at_work(tx, places, since):
            moved += await changes.sent_by_job(tx, job, None, since, MOST_BACK + 1)
            self._jobs[job.id] = job.before
        self._note(tx, await changes.find_open(tx, places, _MOST_OPEN))
        self._note(tx, moved)
        self._events.update(event_ids)
        self._since = floor
        self._forget(floor)
        delivery_ids = sorted({mark.id for mark in moved})
        if len(event_ids) + len(delivery_ids) > MOST_BACK:
            return None
        return Found(event_ids, delivery_ids, self._position(floor))

    def _position(self, floor: datetime) -> Position:
        at_rest = Position.without_open(floor)
        opened = (one.mark.id for one in self._told.values() if one.mark.is_open)
        return Position(floor, min([at_rest.oldest, *opened]))

    def _note(self, tx: Tx, marks: Iterable[Mark]) -> None:
        for mark in marks:
            self._told[mark.id] = _Told(mark, tx.now)

    def _forget(self, floor: datetime) -> None:
        """Forget what cannot be found a second time."""
        first_event, first_delivery = ids.compose("evt", floor, 0), ids.compose("dlv", floor, 0)
        self._events = {one for one in self._events if one >= first_event}
        over = [
            one
            for one, told in self._told.items()
            if not told.mark.is_open and one < first_delivery and told.at < floor
        ]
        for one in over:
            del self._told[one]
        opened = [told.mark for told in self._told.values() if told.mark.is_open]
        self._is_partial = len(opened) >= _MOST_OPEN
        if len(opened) > 2 * _MOST_OPEN:
            opened.sort(key=lambda mark: mark.due_at)
            for mark in opened[_MOST_OPEN:]:
                if mark.id < first_delivery:  # the others would be found as new
                    del self._told[mark.id]

    async def _places(self, tx: Tx) -> Sequence[str]:
        """What may stand in the column of the repository: a namespace's own things are filed under its id."""
        if isinstance(self.right, ViewerOf):
            return [self.right.repository.id]
        namespace_id = self.right.namespace.id
        inside = await changes.repositories_of(tx, namespace_id, MOST_REPOSITORIES)
        return [namespace_id, *inside]


async def load(
    tx: Tx,
    right: ViewerOf | ViewerOfAll,
    event_ids: Sequence[str],
    delivery_ids: Sequence[str],
) -> tuple[Sequence[EventRecord], Sequence[DeliveryRecord]]:
    """What was found, in full. Take some hundreds at a time."""
    del right  # what they may see was decided when it was found
    events = await event_lists.list_of_ids(tx, event_ids) if event_ids else ()
    deliveries = await delivery_lists.list_of_ids(tx, delivery_ids) if delivery_ids else ()
    return events, deliveries
