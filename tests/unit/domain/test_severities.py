"""Severities: names, numbers, and other people's words for them."""

import pytest

from dockbell.domain import severities

_LEVELS: list[tuple[object, int | None]] = [
    (0, 0),
    (5, 5),
    ("0", 0),
    (" 3 ", 3),
    ("Critical", 0),
    ("High", 1),
    ("medium", 2),
    ("LOW", 3),
    ("Negligible", 4),
    ("Unknown", 5),
    ("Important", 1),
    ("Moderate", 2),
    (6, 5),
    (7, None),
    (-1, None),
    ("6", 5),
    ("7", None),
    ("9" * 5000, None),
    ("-1", None),
    (True, None),
    (1.0, None),
    ("", None),
    (None, None),
    ("severe", None),
    ([1], None),
    ({}, None),
]


@pytest.mark.parametrize(
    ("level", "index"), _LEVELS, ids=[ascii(level)[:20] for level, _ in _LEVELS]
)
def test_a_level_means(level: object, index: int | None) -> None:
    assert severities.index_of_level(level) == index


@pytest.mark.parametrize(
    ("name", "index"), [("High", 1), ("important", 1), ("2", None), (7, None), (None, None)]
)
def test_a_name_means(name: object, index: int | None) -> None:
    assert severities.index_of_name(name) == index
