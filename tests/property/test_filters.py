"""Filters of users: any document is a filter or refused in words, and no filter makes an event slow."""

import contextlib
import re
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain import patterns
from dockbell.domain.conditions import Look, TooMuchWorkError, compile_condition
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, Performer
from dockbell.domain.filters import compile_filter
from dockbell.domain.globs import compile_glob
from dockbell.domain.patterns import PatternError, compile_pattern
from tests.factories import event_of

_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
)
_JSON = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
_PATHS = st.sampled_from(
    ["data", "data.a", "data.*", "data.*.*", "data.a.0", "facts.a", "x", "data..a"]
)
_OPERATORS = st.sampled_from(["equals", "in", "exists", "gt", "gte", "lt", "lte", "like"])
_CONDITIONS = st.recursive(
    st.builds(
        lambda path, operator, value: {"path": path, operator: value}, _PATHS, _OPERATORS, _JSON
    ),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)
_GLOBS = st.text(alphabet="ab/*?[]!^-\\", max_size=12)
_GLOB_LISTS = st.lists(_GLOBS, max_size=3) | st.dictionaries(
    st.sampled_from(["include", "exclude", "other"]), st.lists(_GLOBS, max_size=3), max_size=2
)
_NAMES = st.sampled_from(
    ["repositories", "tags", "media_types", "actors", "tag_regex", "severity", "json"]
)
_FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "repositories": _GLOB_LISTS,
        "tags": _GLOB_LISTS,
        "media_types": _GLOB_LISTS,
        "actors": _GLOB_LISTS,
        "tag_regex": st.text(alphabet="ab()[]|*+?{1,}\\^$.:=!", max_size=16),
        "severity": st.sampled_from(["High", "low", "x"]),
        "json": _CONDITIONS,
    },
) | st.dictionaries(_NAMES | st.text(max_size=6), _JSON, max_size=3)
_EVENTS = st.builds(
    lambda data, facts, actor: event_of(
        "repo_push",
        data,
        facts=facts,
        performer=None if actor is None else Performer(actor),
    ),
    st.dictionaries(
        st.sampled_from(["a", "updated_tags", "tags", "docker_tags", "vulnerability"]), _JSON
    ),
    st.dictionaries(st.sampled_from(["a", "tag", "media_type", "artifact_type"]), _JSON),
    st.none() | st.text(max_size=6),
)


@given(document=_FILTERS, event=_EVENTS)
def test_any_document_is_a_filter_or_is_refused_at_its_place(
    document: Mapping[str, Any], event: Event
) -> None:
    try:
        checked = compile_filter(document)
    except ConfigError as error:
        field = error.field or ""
        assert error.detail.startswith(f"{field}: ")  # noqa: PT017 -- both ends are allowed
        assert field.split(".")[0].split("[")[0] == "filter"
        return

    refusal = checked.refusal(event)

    assert refusal is None or refusal in document


@given(condition=_CONDITIONS, data=_JSON, steps=st.integers(min_value=0, max_value=50))
def test_no_condition_looks_at_more_than_it_may(
    condition: object, data: object, steps: int
) -> None:
    try:
        compiled = compile_condition(condition, "filter.json")
    except ConfigError:
        return
    look = Look({"data": data}, steps)

    with contextlib.suppress(TooMuchWorkError):
        compiled.holds(look)

    assert look.left >= -1


def _expected(glob: str) -> str | None:
    """The same as a regular expression of Python, read off in another way; None for one that is refused."""
    parts = re.findall(r"\\.|\*+|.", glob)
    return "".join(_expected_part(part) for part in parts)


def _expected_part(part: str) -> str:
    if set(part) == {"*"}:
        return "[^/]*" if part == "*" else "(?s:.*)"
    if part == "?":
        return "[^/]"
    return re.escape(part[-1] if part.startswith("\\") else part)


@given(
    glob=st.text(alphabet="ab/*?\\", min_size=1, max_size=8),
    texts=st.lists(st.text(alphabet="ab/*", max_size=8), max_size=5),
)
def test_a_glob_matches_what_its_regular_expression_does(glob: str, texts: list[str]) -> None:
    try:
        checked = compile_glob(glob)
    except PatternError as error:
        assert "backslash" in str(error)  # noqa: PT017 -- the only thing wrong in this alphabet
        return

    expected = re.compile(_expected(glob) or "")
    assert [checked.matches(text) for text in texts] == [
        expected.fullmatch(text) is not None for text in texts
    ]


@given(glob=st.text(max_size=30), text=st.text(max_size=30))
def test_any_text_is_a_glob_or_is_refused_in_words(glob: str, text: str) -> None:
    try:
        checked = compile_glob(glob)
    except PatternError as error:
        assert str(error) != ""  # noqa: PT017 -- both ends are allowed
        return

    assert checked.matches(text) in {True, False}


@given(
    expression=st.text(alphabet="ab()|*+?{1,}.^$", max_size=12),
    text=st.text(alphabet="ab\n", max_size=12),
)
def test_a_pattern_is_found_where_pythons_is(expression: str, text: str) -> None:
    try:
        pattern = compile_pattern(expression)
    except PatternError as error:
        assert str(error) != ""  # noqa: PT017 -- both ends are allowed
        return

    found = pattern.is_in_one_of([text])

    assert found is (re.search(expression, text) is not None)


@given(
    expression=st.lists(
        st.sampled_from(["a", "(a|aa)", "(a*)", "a?", "[ab]", "(a+)+"]), min_size=1, max_size=20
    ).map("".join)
)
def test_no_pattern_takes_more_steps_than_it_may(expression: str) -> None:
    run = patterns._Run("a" * 128)
    pattern = compile_pattern(expression + "!")

    run.matches(pattern.program, 0, is_anywhere=True)

    # The last place in the text may go beyond it, by the length of the program.
    assert run.left >= -len(pattern.program)
