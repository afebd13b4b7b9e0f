"""What the dialects' own functions take and give, and how they execute their statements."""

import math
from collections.abc import Collection, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

from dockbell.domain.late_dataclasses import dataclass

# The text with its parameters, as the driver takes them.
Statement = tuple[str, tuple[Any, ...]]
_T = TypeVar("_T")
# Several steps: each gives statements and is given the rows of each of them. On SQLite all run in the database's thread,
# since to hand over between threads costs more than most statements do (`Tx.hot_run`).
Plan = Generator[Sequence[Statement], Sequence[Sequence[Any]], _T]
# A lane's id, the room in it, and whether no producer is adding to it just now.
ReadyLane = tuple[str, int, bool]


@dataclass(frozen=True, slots=True)
class Terms:
    """How much may be leased, by whom and until when. Times are microseconds, as the tables hold them."""

    now: int
    limit: int  # of all lanes together
    worker: str
    token: str
    until: int

    def share(self, ready: Sequence[ReadyLane]) -> int:
        """So much of each of these lanes at most."""
        return math.ceil(self.limit / len(ready))


class Move(NamedTuple):
    """What a try means for its delivery, and the attempt's row without delivery, number and worker."""

    delivery_id: str
    lease: str
    state: str
    due_at: int | None
    charge: int  # 1 if the try counts against the waits, else 0
    code: str
    lane_id: str
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
