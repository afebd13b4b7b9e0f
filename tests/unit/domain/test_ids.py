"""Ids are unlike each other and in order of time, however they are made."""

import itertools
import os
import re
from datetime import UTC, datetime, timedelta

from dockbell.domain.ids import IdMaker, compose

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def test_an_id_maker_makes_what_compose_makes() -> None:
    maker = IdMaker(
        lambda: NOON, lambda size: bytes(itertools.islice(itertools.cycle(range(32)), size))
    )

    made = sorted([maker("evt"), maker("evt")])

    by_hand = [
        compose(
            "evt",
            NOON,
            sum(letter << 5 * (15 - place) for place, letter in enumerate(range(16))),
        ),
        compose(
            "evt",
            NOON,
            sum(letter << 5 * (15 - place) for place, letter in enumerate(range(16, 32))),
        ),
    ]
    assert made == by_hand


def test_ids_are_never_the_same_and_in_order_of_time() -> None:
    moments = iter([NOON + timedelta(milliseconds=number // 300) for number in range(2000)])
    maker = IdMaker(lambda: next(moments), os.urandom)

    made = [maker("evt") for _ in range(2000)]

    assert len(set(made)) == 2000
    assert [one for one in made if not re.fullmatch("evt_[0-9a-hjkmnp-tv-z]{26}", one)] == []
    assert [one[:14] for one in made] == sorted(one[:14] for one in made)
    assert len({one[:14] for one in made}) == 7


def test_every_letter_of_chance_is_as_frequent_as_any_other() -> None:
    maker = IdMaker(
        lambda: NOON, lambda size: bytes(itertools.islice(itertools.cycle(range(256)), size))
    )

    letters = "".join(maker("evt")[14:] for _ in range(256))

    assert {letters.count(letter) for letter in set(letters)} == {128}
    assert len(set(letters)) == 32
