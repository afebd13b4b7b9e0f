"""Who is set aside when processes end: what ends them, and nothing else, however long it goes on."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import repeat

from hypothesis import given, settings
from hypothesis import strategies as st

from dockbell.domain.interruptions import LIMIT, Interruption, name_of, suspects, wait_of

SPANS = (0.05, 2.0, 10.0)  # of a try, in seconds
START = 1.0
NEVER = float("inf")


@dataclass(slots=True)
class World:
    """A process and its deliveries. Each is tried when it is due, and when it is delivered the next like it follows."""

    chance: random.Random
    spans: dict[str, float]
    poison: frozenset[str] = frozenset()
    now: float = 0.0
    began: float = 0.0
    crashes: int = 0
    due: dict[str, float] = field(default_factory=dict)
    sending: dict[str, tuple[float, str]] = field(default_factory=dict)  # end, leased by
    times: dict[str, int] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)

    def run(self, kills: Iterator[float], until: float) -> None:
        """Let time pass, with somebody who kills the process after each of these spans, until all poison is dead."""
        self.due = dict.fromkeys(self.spans, 0.0)
        kill_at = next(kills)
        while self.now < until and not (self.poison and self.poison <= set(self.dead)):
            ends = (end for end, _ in self.sending.values())
            self.now = max(self.now, min([kill_at, *ends, *self.due.values()], default=until))
            if self.now >= kill_at:
                self._crash()
                kill_at = self.now + next(kills)
                continue
            for one in [one for one, (end, _) in self.sending.items() if end <= self.now]:
                del self.sending[one]
                self.times.pop(one, None)
                self.due[one] = self.now + self.chance.uniform(0.5, 5)
            for one in [one for one, due in self.due.items() if due <= self.now]:
                del self.due[one]
                name = name_of("w", timedelta(seconds=self.now - self.began))
                self.sending[one] = self.now + self.spans[one], name
            if self.poison & self.sending.keys():
                self._crash()

    def _crash(self) -> None:
        self.crashes += 1
        lost = [
            Interruption(one, self.times.get(one, 0) + 1, name)
            for one, (_, name) in self.sending.items()
        ]
        self.sending.clear()
        guilty = {one.delivery_id for one in suspects(lost)}
        self.now += START
        self.began = self.now
        for one in lost:
            self.times[one.delivery_id] = one.times
            if one.delivery_id in guilty:
                self.dead.append(one.delivery_id)
            else:
                wait = wait_of(one.times, self.chance.random())
                self.due[one.delivery_id] = self.now + wait.total_seconds()


def spans_of(count: int) -> dict[str, float]:
    return {f"d{number}": SPANS[number % len(SPANS)] for number in range(count)}


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    gap=st.sampled_from([0.5, 1.0, 3.0, 10.0]),
    count=st.integers(1, 12),
)
def test_kills_at_random_set_nothing_aside(seed: int, gap: float, count: int) -> None:
    chance = random.Random(seed)
    world = World(chance, dict(list(spans_of(12).items())[-count:]))

    world.run((chance.expovariate(1 / gap) for _ in repeat(None)), until=7200.0)

    assert world.crashes > 50
    assert world.dead == []


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 3))
def test_what_ends_its_process_is_set_aside_and_takes_nothing_with_it(
    seed: int, count: int
) -> None:
    poison = {f"p{number}": 1.0 for number in range(count)}
    world = World(random.Random(seed), {**poison, **spans_of(9)}, frozenset(poison))

    world.run(repeat(NEVER), until=24 * 3600.0)

    assert sorted(world.dead) == sorted(poison)
    assert world.crashes <= (LIMIT + 4) * count
