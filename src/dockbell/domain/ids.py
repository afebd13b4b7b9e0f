"""Ids: text with a type prefix, in order of time."""

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

Clock = Callable[[], datetime]
NewId = Callable[[str], str]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two letters at a time: every event and every delivery needs an id.
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_TIME_SHIFTS = range(40, -1, -10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 80
_CHANCE_LETTERS = _RANDOM_BITS // 5
_LETTER_OF_BYTE = (_ALPHABET * 8).encode()
_DRAWN_AT_ONCE = 256
_MOST_AHEAD = 1000  # milliseconds by which an id may be ahead of the clock
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def compose(prefix: str, now: datetime, chance: int) -> str:
    """An id like `evt_01jd…`: 48 bits of milliseconds, then 80 bits of chance.

    Later ids sort after earlier ones (to the millisecond), so an index stays compact.
    """
    number = (_milliseconds_of(now) << _RANDOM_BITS) | chance
    return f"{prefix}_{_letters_of(number, _SHIFTS)}"


def _letters_of(number: int, shifts: Iterable[int]) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])


class IdMaker:
    """Makes ids like `compose` does, many of them cheaply: every event and every delivery needs one.

    Each sorts after the one before, unless the clock goes back: what is recorded at one moment keeps its order.
    Chance is drawn for many at once, so a process must not be copied (forked) while it makes ids. One thread only.
    """

    def __init__(self, clock: Clock, chance: Callable[[int], bytes]) -> None:
        """`chance` gives that many unpredictable bytes."""
        self._clock = clock
        self._chance = chance
        self._milliseconds = -1  # of the clock, when it was read last
        self._stamp = -1  # those in the id: ahead of the clock when many are made in one
        self._time_letters = ""
        self._drawn: list[
            str
        ] = []  # letters of chance that are not used yet, the greatest first

    def __call__(self, prefix: str) -> str:
        self._look()
        return f"{prefix}_{self._time_letters}{self._drawn.pop()}"

    def many(self, prefix: str, count: int) -> list[str]:
        """So many at once, in order, with one look at the clock."""
        made: list[str] = []
        while len(made) < count:
            self._look()
            start = f"{prefix}_{self._time_letters}"
            first = max(0, len(self._drawn) - count + len(made))
            made += [start + letters for letters in reversed(self._drawn[first:])]
            del self._drawn[first:]
        return made

    def _look(self) -> None:
        """Have letters for the time and for at least one more id."""
        milliseconds = _milliseconds_of(self._clock())
        if milliseconds != self._milliseconds:
            self._milliseconds = milliseconds
            if not 0 <= self._stamp - milliseconds < _MOST_AHEAD:
                self._set_stamp(milliseconds)
                if not self._drawn:
                    self._draw()
        if not self._drawn:  # the first of the next can be less than the last of these
            self._set_stamp(self._stamp + 1)
            self._draw()

    def _set_stamp(self, milliseconds: int) -> None:
        self._stamp = milliseconds
        self._time_letters = _letters_of(milliseconds, _TIME_SHIFTS)

    def _draw(self) -> None:
        # Five of the bits of each byte, because a letter stands for five.
        drawn = self._chance(_CHANCE_LETTERS * _DRAWN_AT_ONCE)
        letters = drawn.translate(_LETTER_OF_BYTE).decode("ascii")
        self._drawn = [
            letters[first : first + _CHANCE_LETTERS]
            for first in range(0, len(letters), _CHANCE_LETTERS)
        ]
        self._drawn.sort(reverse=True)


def _milliseconds_of(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds() * 1000)


def new_ids(new_id: NewId, prefix: str, count: int) -> list[str]:
    """So many new ids, in order."""
    if isinstance(new_id, IdMaker):
        return new_id.many(prefix, count)
    return [new_id(prefix) for _ in range(count)]


def uuid_of(text: str) -> str:
    """The UUID (version 4, lower case) that API v1 shows for this id: as random as the id, always the same one."""
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as API v1 shows it. Anything else is nobody's and need not reach the database."""
    return _UUID.fullmatch(text) is not None
