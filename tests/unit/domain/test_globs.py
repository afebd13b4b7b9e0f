"""Globs: what each sign stands for, what is refused, and that no glob makes a match slow."""

import pytest

from dockbell.domain.globs import LONGEST_TEXT, compile_glob
from dockbell.domain.patterns import PatternError

_TEXTS = ["", "v1", "v1.2", "v1.2-rc1", "acme/web", "acme/web/api", "other/web", "a*", "]", "-"]


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("v1.2", ["v1.2"]),
        ("*", ["", "v1", "v1.2", "v1.2-rc1", "a*", "]", "-"]),
        ("**", _TEXTS),
        ("***", _TEXTS),
        ("v?", ["v1"]),
        ("v*", ["v1", "v1.2", "v1.2-rc1"]),
        ("*-rc*", ["v1.2-rc1"]),
        ("acme/*", ["acme/web"]),
        ("acme/**", ["acme/web", "acme/web/api"]),
        ("*/web", ["acme/web", "other/web"]),
        ("**e*b", ["acme/web", "other/web"]),
        ("v[0-9]", ["v1"]),
        ("v[!0-9]", []),
        ("[v]1.[^a-z]", ["v1.2"]),
        ("acme[!a]web", []),
        (r"a\*", ["a*"]),
        ("[]]", ["]"]),
        ("[a-]", ["-"]),
        ("V1", []),
    ],
)
def test_a_glob_matches_whole_texts(glob: str, matched: list[str]) -> None:
    checked = compile_glob(glob)

    found = [text for text in _TEXTS if checked.matches(text)]

    assert found == matched


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("", "it is empty; * stands for anything"),
        ("a" * 257, "it is longer than 256 characters"),
        (
            "v[0-9",
            r"the [ at position 1 is never closed; write \[ for the character itself",
        ),
        ("[]", r"the [ at position 0 is never closed; write \[ for the character itself"),
        ("v[9-0]", "the range 9-0 at position 2 is the wrong way round"),
        ("ab\\", "the backslash at position 2 escapes nothing; write \\\\ for a backslash"),
    ],
)
def test_a_glob_is_refused(glob: str, reason: str) -> None:
    with pytest.raises(PatternError) as refused:
        compile_glob(glob)

    assert str(refused.value) == reason


def test_a_text_that_is_too_long_does_not_match() -> None:
    checked = compile_glob("a*")

    matches = [checked.matches("a" * length) for length in (LONGEST_TEXT, LONGEST_TEXT + 1)]

    assert matches == [True, False]
