"""Ids: text with a type prefix, in order of time."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
NewId = Callable[[str], str]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 80


def compose(prefix: str, now: datetime, chance: int) -> str:
    """An id like `evt_01jd…`: 48 bits of milliseconds, then 80 bits of chance.

    Later ids sort after earlier ones (to the millisecond), so an index stays compact.
    """
    milliseconds = int((now - _EPOCH).total_seconds() * 1000)
    number = (milliseconds << _RANDOM_BITS) | chance
    letters = []
    for _ in range(26):
        letters.append(_ALPHABET[number & 31])
        number >>= 5
    return f"{prefix}_{''.join(reversed(letters))}"
