"""Regular expressions of users: the answers of Python's engine, in bounded time."""

import re

import pytest

from dockbell.domain.patterns import PatternError, compile_pattern

_TEXTS = [
    "",
    "a",
    "b",
    "aab",
    "aaab",
    "ababc",
    "a\n",
    "]x",
    "x1",
    "A b",
    "refs/heads/master",
    "refs/heads/release/1.2",
    "refs/heads/dependabot/pip",
    "refs/tags/v1.2.3",
]


@pytest.mark.parametrize(
    "expression",
    [
        "refs/heads/master",
        "refs/heads/.+",
        r"^refs/(heads|tags)/v\d+(\.\d+)*$",
        "(?!refs/heads/dependabot).*",
        "refs/heads/(?!dependabot/|master$)",
        "(?=.*tags)refs",
        "(?i)REFS/HEADS",
        "(?i:A)b?",
        "(?i)A(?-i:B)",
        "(?-i:a)",
        "(?u)a",
        "[^/]+/[^/]+/[^/]+$",
        r"\Aa\Z",
        r"a\b",
        r"\Ba",
        "a{2}b",
        "a{,2}b",
        "a{2,}b",
        "(?:ab){1,2}c",
        "a*?b",
        "a{",
        "a{x}",
        "",
        "|a",
        "a|b|",
        "()*b",
        "(a|)*b",
        "(?P<name>a)b",
        "[]a]+",
        r"[\]x]+",
        "[^]a]",
        r"\x61",
        r"\141",
        "a$",
        "a$\n",
        ".\n",
        "(?s).\n",
        "(?#note)a",
        r"\w\d",
        r"\.",
    ],
)
def test_a_pattern_matches_what_pythons_does(expression: str) -> None:
    pattern = compile_pattern(expression)

    matched = [text for text in _TEXTS if pattern.matches_start(text)]

    assert matched == [text for text in _TEXTS if re.match(expression, text)]


@pytest.mark.parametrize(
    "expression",
    [
        "(a+)+$",
        "(a|a)*b",
        "(a|aa)+$",
        "a?" * 40 + "a" * 40 + "b",
        "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)b",
        "((a{1,5}){1,5}){1,5}b",
        "((?=.*c)|a)*b",
        "(?:(?=(?:(?=.*c)|a)*d)|a)*b",
    ],
)
def test_a_pattern_that_stops_other_engines_does_not_stop_us(expression: str) -> None:
    # Python's own engine needs longer than anybody waits for the first of these.
    assert compile_pattern(expression).matches_start("a" * 511 + "!") is False


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("][", "unterminated character set at position 1"),
        ("(", "missing ), unterminated subpattern at position 0"),
        ("*", "nothing to repeat at position 0"),
        ("a" * 257, "it is longer than 256 characters"),
        ("(a{1,100}){1,100}", "its counted repeats are too large"),
        ("a{100000}", "its counted repeats are too large"),
        (r"(a)\1", "back references are not supported"),
        ("a++", "possessive repeats are not supported"),
        ("(?x)a b", "the flag x is not supported"),
        ("(?m:^a)", "the flag m is not supported"),
        (
            "(?<=a)b",
            "look-behind, conditions, atomic groups and back references are not supported",
        ),
        (
            "(?>a)b",
            "look-behind, conditions, atomic groups and back references are not supported",
        ),
        (
            "(?P<n>a)(?P=n)",
            "look-behind, conditions, atomic groups and back references are not supported",
        ),
    ],
)
def test_a_pattern_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(PatternError) as refused:
        compile_pattern(expression)

    assert str(refused.value) == reason


def test_a_text_that_is_too_long_does_not_match() -> None:
    pattern = compile_pattern("a")

    matches = [pattern.matches_start("a" * length) for length in (512, 513)]

    assert matches == [True, False]
