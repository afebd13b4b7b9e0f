"""Live streams: one look at the database serves all who watch the same, and nobody looks while nobody listens."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import field, replace

import structlog

from dockbell.domain.errors import DockbellError, UnavailableError
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.live import Position
from dockbell.domain.permissions import ViewerOf, ViewerOfAll
from dockbell.domain.records import DeliveryRecord, EventRecord
from dockbell.services import live
from dockbell.services.live import Found, Watch
from dockbell.store.transactions import Store

_log = structlog.get_logger("dockbell.live")

LOOK_SECONDS = 0.5
BEAT_SECONDS = 15.0  # a stream says so often that it lives, and asks whether it still may
_REST = 5  # a look that took long is followed by a rest of so many times that
_LONGEST_REST = 2.0
_AWAY_SECONDS = 2.0  # before the next look, when the database did not answer
MOST_STREAMS = 100
MOST_OF_ONE = 8  # streams of one user
_MOST_WAITING = 2_000  # messages that a client has not taken yet
_AT_ONCE = 200  # things read in full in one transaction

Render = Callable[[EventRecord | DeliveryRecord], bytes]
Right = ViewerOf | ViewerOfAll


class TooManyStreamsError(DockbellError):
    """There are too many live streams already. End one, or try again later."""

    kind = "too_many_streams"


@dataclass(frozen=True, slots=True)
class Message:
    """One thing to tell, and where the stream stands once it is told."""

    kind: str
    data: bytes  # JSON in one line
    position: str


@dataclass(frozen=True, slots=True)
class End:
    """Why a stream was ended by us."""

    code: str
    detail: str


_SLOW = End("too_slow", "You took too long to read. Go on from the last id.")
_STOPPING = End("stopping", "The server stops. Go on from the last id.")
_RESET = b'{"code":"too_much","detail":"Too much happened since that id. Read the lists; from here on all is told."}'


class Stream:
    """What one listener is still to be told. Its queue is bounded: who does not read is let go."""

    def __init__(self, position: Position) -> None:
        self.position = str(position)
        self.end: End | None = None
        self._waiting: deque[Message] = deque()
        self._bell = asyncio.Event()

    def push(self, messages: Sequence[Message], position: str) -> None:
        """Add messages, or only the news that nothing happened up to there."""
        if len(self._waiting) + len(messages) > _MOST_WAITING:
            self.finish(_SLOW)
            return
        self._waiting.extend(messages)
        if messages:
            self._bell.set()
        elif not self._waiting:
            self.position = position

    def finish(self, end: End) -> None:
        """End it, once; what waits is dropped, since a listener goes on from the last id it saw."""
        if self.end is None:
            self.end = end
            self._waiting.clear()
            self._bell.set()

    async def take(self, seconds: float) -> Message | None:
        """The next message; None after so many seconds without one, or when the stream was ended."""
        if not self._waiting and self.end is None:
            self._bell.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._bell.wait()
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self.position = message.position
        return message


@dataclass(slots=True)
class _Watched:
    watch: Watch
    render: Render
    position: Position
    streams: list[Stream] = field(default_factory=list)
    is_lost: bool = False  # a look broke off: the next one has to start from the position


class Hub:
    """All live streams of this process."""

    def __init__(
        self,
        store: Store,
        *,
        look_seconds: float = LOOK_SECONDS,
        beat_seconds: float = BEAT_SECONDS,
        most: int = MOST_STREAMS,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._store = store
        self.beat_seconds = beat_seconds
        self._look_seconds = look_seconds
        self._most = most
        self._most_of_one = most_of_one
        self._holders: Counter[str] = Counter()
        self._watched: dict[str, _Watched] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self, right: Right, render: Render) -> Stream:
        """A stream of what happens from now on. Give it back with `close`.

        Raise TooManyStreamsError beyond the limits, of the process and of one user.
        """
        holder = right.actor.name
        self._must_run()
        if self._holders.total() >= self._most or self._holders[holder] >= self._most_of_one:
            raise TooManyStreamsError
        self._holders[holder] += 1
        try:
            watched = await self._watched_by(right, render)
            self._must_run()
        except BaseException:
            self._holders[holder] -= 1
            raise
        stream = Stream(watched.position)
        watched.streams.append(stream)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_on(), name="live streams")
        return stream

    def _must_run(self) -> None:
        if self._is_closed:
            raise UnavailableError(_STOPPING.detail)

    def close(self, right: Right, stream: Stream) -> None:
        """The stream is listened to no more."""
        self._holders[right.actor.name] -= 1
        self._holders += Counter()  # drops those at zero
        watched = self._watched[live.key_of(right)]
        watched.streams.remove(stream)
        if not watched.streams:
            del self._watched[live.key_of(right)]

    async def drain(self) -> None:
        """End all streams, and open no new one."""
        self._is_closed = True
        for watched in self._watched.values():
            for stream in watched.streams:
                stream.finish(_STOPPING)
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def catch_up(
        self, right: Right, render: Render, position: Position, now: str
    ) -> AsyncIterator[Message]:
        """What happened since that position; if it is too much to tell, one message that says so and leads to `now`."""
        watch = Watch(right)
        async with self._store.read() as tx:
            found = await watch.catch_up(tx, position)
        if found is None:
            yield _reset(now)
            return
        async for messages in self._told(right, render, found, position):
            for message in messages:
                yield message

    async def _watched_by(self, right: Right, render: Render) -> _Watched:
        key = live.key_of(right)
        if key not in self._watched:
            watch = Watch(right)
            async with self._store.read() as tx:
                position = await watch.begin(tx)
            # Another stream may have been quicker.
            self._watched.setdefault(key, _Watched(watch, render, position))
        return self._watched[key]

    async def _look_on(self) -> None:
        """Look for all that are watched, until none is."""
        loop = asyncio.get_running_loop()
        while self._watched:
            started = loop.time()
            is_away = False
            for watched in list(self._watched.values()):
                try:
                    await self._look(watched)
                except UnavailableError as error:
                    watched.is_lost = is_away = True
                    _log.warning("live streams wait", reason=error.detail)
                except Exception:  # noqa: BLE001 -- one bad row must not silence all streams
                    watched.is_lost = is_away = True
                    _log.exception("live streams wait")
            rest = min(_REST * (loop.time() - started), _LONGEST_REST)
            await asyncio.sleep(max(rest, _AWAY_SECONDS if is_away else self._look_seconds))
        self._looking = None

    async def _look(self, watched: _Watched) -> None:
        if watched.is_lost:
            watched.watch = Watch(watched.watch.right)
        async with self._store.read() as tx:
            found = (
                await watched.watch.catch_up(tx, watched.position)
                if watched.is_lost
                else await watched.watch.look(tx)
            )
        if found is None:
            async with self._store.read() as tx:
                watched.position = await watched.watch.begin(tx)
            _push(watched, [_reset(str(watched.position))])
        else:
            right, before = watched.watch.right, watched.position
            async for messages in self._told(right, watched.render, found, before):
                _push(watched, messages)
            watched.position = found.position
            _push(watched, [])
        watched.is_lost = False

    async def _told(
        self, right: Right, render: Render, found: Found, before: Position
    ) -> AsyncIterator[Sequence[Message]]:
        """What was found, as messages. Only the last one moves the position."""
        last: Message | None = None
        for event_ids, delivery_ids in _parts(found):
            async with self._store.read() as tx:
                events, deliveries = await live.load(tx, right, event_ids, delivery_ids)
            messages = [Message("event", render(one), str(before)) for one in events]
            messages += [Message("delivery", render(one), str(before)) for one in deliveries]
            if last is not None:
                messages.insert(0, last)
            if messages:
                last = messages.pop()
            yield messages
        if last is not None:
            yield [replace(last, position=str(found.position))]


def _parts(found: Found) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    for first in range(0, len(found.event_ids), _AT_ONCE):
        yield found.event_ids[first : first + _AT_ONCE], ()
    for first in range(0, len(found.delivery_ids), _AT_ONCE):
        yield (), found.delivery_ids[first : first + _AT_ONCE]


def _push(watched: _Watched, messages: Sequence[Message]) -> None:
    for stream in watched.streams:
        stream.push(messages, str(watched.position))


def _reset(position: str) -> Message:
    return Message("reset", _RESET, position)
