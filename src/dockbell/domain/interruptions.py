"""Interruptions: tries cut off by the end of their process, and when they speak against their delivery. Pure.

Most processes end for reasons of their own. A delivery that ends them shows by three things together: it was cut off
many times in a row, the process had run well until it took the delivery, and no other delivery is as suspect.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from dockbell.domain.late_dataclasses import dataclass

LIMIT = 5  # in a row, before a delivery can be set aside
# A process that ends sooner may be in a crash loop that has another cause.
STEADY_AFTER = timedelta(minutes=2)
# How long a delivery waits after its first, second … interruption in a row; longer by chance, up to twice as long.
# From the fourth on, a process that it ends has had the time to become steady again.
WAITS = (
    timedelta(0),
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=3),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
)
_YOUNG = "~young"


@dataclass(frozen=True, slots=True)
class Interruption:
    """A try of which nothing was heard again, and how many in a row it makes for its delivery."""

    delivery_id: str
    times: int
    leased_by: str  # a name of `name_of`


def name_of(worker: str, uptime: timedelta) -> str:
    """The name under which a process leases: it tells whether its end would say anything."""
    return worker if uptime >= STEADY_AFTER else f"{worker}{_YOUNG}"


def worker_of(name: str) -> str:
    """The process that leased under this name."""
    return name.removesuffix(_YOUNG)


def names_of(worker: str) -> tuple[str, str]:
    """All names under which this process leases."""
    return worker, f"{worker}{_YOUNG}"


def wait_of(times: int, chance: float) -> timedelta:
    """How long to wait after so many interruptions in a row.

    The first time not at all: the process was probably restarted. Later it is left to chance, so that a delivery
    that ends processes is soon alone among those that it took with it.
    """
    return WAITS[min(times, len(WAITS)) - 1] * (1 + chance)


def suspects(interruptions: Sequence[Interruption]) -> Sequence[Interruption]:
    """Those that speak against their delivery, as far as these interruptions tell.

    A delivery that was interrupted before is company: either could be the one, so neither is suspected.
    """
    company = Counter(worker_of(one.leased_by) for one in interruptions if one.times > 1)
    return [
        one
        for one in interruptions
        if one.times >= LIMIT
        and one.leased_by == worker_of(one.leased_by)
        and company[one.leased_by] == 1
    ]
