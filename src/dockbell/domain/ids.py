"""Ids: text with a type prefix, in order of time."""

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

Clock = Callable[[], datetime]
NewId = Callable[[str], str]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Two letters at a time: every event and every delivery needs an id.
_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 80
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def compose(prefix: str, now: datetime, chance: int) -> str:
    """An id like `evt_01jd…`: 48 bits of milliseconds, then 80 bits of chance.

    Later ids sort after earlier ones (to the millisecond), so an index stays compact.
    """
    milliseconds = int((now - _EPOCH).total_seconds() * 1000)
    number = (milliseconds << _RANDOM_BITS) | chance
    letters = "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
    return f"{prefix}_{letters}"


def uuid_of(text: str) -> str:
    """The UUID (version 4, lower case) that API v1 shows for this id: as random as the id, always the same one."""
    return str(UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as API v1 shows it. Anything else is nobody's and need not reach the database."""
    return _UUID.fullmatch(text) is not None
