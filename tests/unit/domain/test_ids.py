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

    made = {maker("evt") for _ in range(256)}

    by_hand = {
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
    }
    assert made == by_hand


def test_ids_are_never_the_same_and_in_order_of_time() -> None:
    moments = iter([NOON + timedelta(milliseconds=number // 300) for number in range(2000)])
    maker = IdMaker(lambda: next(moments), os.urandom)

    made = [maker("evt") for _ in range(2000)]

    assert len(set(made)) == 2000
    assert [one for one in made if not re.fullmatch("evt_[0-9a-hjkmnp-tv-z]{26}", one)] == []
    assert made == sorted(made)
    stamps = {one[:14] for one in made}
    assert stamps < {
        compose("evt", NOON + timedelta(milliseconds=ms), 0)[:14] for ms in range(10)
    }


def test_ids_made_in_one_moment_are_in_the_order_they_were_asked_for() -> None:
    maker = IdMaker(lambda: NOON, os.urandom)

    made = [maker("dlv") for _ in range(1000)]

    assert made == sorted(made)


def test_ids_follow_a_clock_that_was_set_back() -> None:
    moments = iter([NOON, NOON - timedelta(hours=2)])
    maker = IdMaker(lambda: next(moments), os.urandom)

    first, second = maker("dlv"), maker("dlv")

    assert second < first


def test_every_letter_of_chance_is_as_frequent_as_any_other() -> None:
    maker = IdMaker(
        lambda: NOON, lambda size: bytes(itertools.islice(itertools.cycle(range(256)), size))
    )

    letters = "".join(maker("evt")[14:] for _ in range(256))

    assert {letters.count(letter) for letter in set(letters)} == {128}
    assert len(set(letters)) == 32
