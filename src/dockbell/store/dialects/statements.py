"""What the dialects' own functions take and give, and how they execute their statements."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

# The text with its parameters, as the driver takes them.
Statement = tuple[str, tuple[Any, ...]]
# `Tx.hot_each`: executes them one after another and returns the rows of each.
HotEach = Callable[[Sequence[Statement]], Awaitable[Sequence[Sequence[Any]]]]
# A lane's id, the room in it, and whether no producer is adding to it just now.
ReadyLane = tuple[str, int, bool]


@dataclass(frozen=True, slots=True)
class Terms:
    """How much may be leased, by whom and until when. Times are microseconds, as the tables hold them."""

    now: int
    share: int  # of each lane at most
    limit: int  # of all lanes together
    worker: str
    token: str
    until: int


class Move(NamedTuple):
    """What a try means for its delivery, and the attempt's row without delivery, number and worker."""

    delivery_id: str
    lease: str
    state: str
    due_at: int | None
    charge: int  # 1 if the try counts against the waits, else 0
    code: str
    attempt: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tries that are over, each of another delivery."""

    moves: Sequence[Move]
    worker: str
    now: int
    well: Collection[str]  # notifications for which a success may be news
    settles_lanes: bool  # nothing has to be locked between the deliveries and their lanes


@dataclass(frozen=True, slots=True)
class Moved:
    """What settling a batch came to."""

    late: Sequence[int]  # places in the batch: their lease had ended
    failing: set[str]  # those of the notifications for which it is news
    has_settled_lanes: bool
