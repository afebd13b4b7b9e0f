"""Lists in pages: `?limit=&cursor=` in, items and the next cursor out."""

import base64
import binascii
import contextlib
from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter

from dockbell.domain.errors import ConfigError

MOST = 200
USUAL = 50
_LONGEST = 128
_LAST = (1 << 31) - 1  # the largest number of the columns that lists are in order of

T = TypeVar("T")

Limit = Annotated[
    int, QueryParameter(ge=1, le=MOST, description="How many items a page holds at most.")
]
Cursor = Annotated[
    str,
    QueryParameter(description="The `next_cursor` of the page before; empty for the first."),
]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. `next_cursor` is null on the last one."""

    items: Sequence[T]
    next_cursor: str | None


def to_cursor(last: str | int | None) -> str | None:
    """An opaque text for the place where a page ended, or None for the end of the list."""
    if last is None:
        return None
    return base64.urlsafe_b64encode(str(last).encode()).decode().rstrip("=")


def of_cursor(cursor: str) -> str:
    """The place, or empty for the beginning. ConfigError for a text that we never gave out."""
    if not cursor:
        return ""
    place = ""
    with contextlib.suppress(binascii.Error, ValueError):
        place = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    if len(cursor) > _LONGEST or not place.replace("_", "").isalnum():
        raise ConfigError("This is not a cursor of ours", field="cursor")
    return place


def number_of_cursor(cursor: str) -> int | None:
    """The same for lists that are in order of a number."""
    place = of_cursor(cursor)
    if not place:
        return None
    if not place.isdecimal() or len(place) > len(str(_LAST)) or int(place) > _LAST:
        raise ConfigError("This is not a cursor of ours", field="cursor")
    return int(place)
