"""User's regular expressions match what Python's engine matches."""

import re
import warnings

from hypothesis import assume, given
from hypothesis import strategies as st

from dockbell.domain.patterns import PatternError, compile_pattern

_ATOMS = ["a", "b", "[ab]", "[^a]", ".", r"\w", "(a|b)", "(ab)", "(?:a|bc)", "(?=a)", "(?!b)"]
_PLACES = ["^", "$", r"\b", r"\B", "()", "(a|)", r"\Z", "|"]
_COUNTS = ["", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "+?"]
_PIECES = st.tuples(st.sampled_from(_ATOMS + _PLACES), st.sampled_from(_COUNTS)).map("".join)


@given(
    expression=st.lists(_PIECES, max_size=6).map("".join),
    texts=st.lists(st.text(alphabet="abc \n", max_size=6), max_size=5),
)
def test_a_pattern_matches_what_pythons_does(expression: str, texts: list[str]) -> None:
    try:
        expected = re.compile(expression)
    except re.error:
        expected = None
    assume(expected is not None and "\\B" not in expression)  # newer Pythons differ on it

    pattern = compile_pattern(expression)

    assert expected is not None
    assert [pattern.matches_start(text) for text in texts] == [
        expected.match(text) is not None for text in texts
    ]


@given(expression=st.text(max_size=40), text=st.text(max_size=40))
def test_any_text_compiles_or_is_refused(expression: str, text: str) -> None:
    try:
        pattern = compile_pattern(expression)
    except PatternError as error:
        assert str(error) != ""  # noqa: PT017 -- both ends are allowed
        return

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        expected = re.match(expression, text) is not None
    assert pattern.matches_start(text) is expected
