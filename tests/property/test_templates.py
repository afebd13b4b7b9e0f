"""Templates and path expressions hold for any text and any data."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dockbell.domain.errors import TemplateError
from dockbell.domain.jsonpath import Match, PathError, Search, TooMuchWorkError, parse
from dockbell.domain.templates import compile_template

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_DATA = st.dictionaries(
    st.sampled_from(["a", "b", "c", "name"]),
    st.recursive(
        _SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    max_size=4,
)
_EXPRESSIONS = st.lists(
    st.sampled_from(
        [
            *("$", "a", "b", "'c'", ".", "..", "*", "[0]", "[-1]", "[1:]", "[*]"),
            *("|", "(", ")", "where", "`this`", "`parent`", ","),
        ]
    ),
    max_size=8,
).map(" ".join)


@given(text=st.text())
def test_any_text_compiles_or_is_refused_in_words(text: str) -> None:
    try:
        compile_template(text)
    except TemplateError as error:
        assert error.detail.startswith(  # noqa: PT017 -- both ends are allowed
            ("Could not parse template: ", "For expression `", "Empty expression found")
        )


@given(text=_EXPRESSIONS | st.text())
def test_any_expression_parses_or_is_refused(text: str) -> None:
    try:
        parse(text)
    except PathError as error:
        assert str(error) != ""  # noqa: PT017 -- both ends are allowed


@given(expression=_EXPRESSIONS, data=_DATA)
def test_what_is_found_is_part_of_the_data(expression: str, data: dict[str, Any]) -> None:
    try:
        path = parse(expression)
        found = path.find(Match(data, None), Search(data, 5_000))
    except (PathError, TooMuchWorkError):
        return

    whole = json.dumps(data)
    letters = {letter for text in _texts(data) for letter in text}
    for match in found:
        # A letter of a string can be found by its index; all else is a value of the document.
        is_letter = isinstance(match.value, str) and match.value in letters
        assert is_letter or json.dumps(match.value) in whole


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = list(value.values()) if isinstance(value, Mapping) else value
    return [text for one in inner for text in _texts(one)] if isinstance(inner, list) else []


@given(string=st.lists(_EXPRESSIONS.map("${{{}}}".format) | st.text(), max_size=4), data=_DATA)
def test_a_rendering_is_always_json(string: list[str], data: dict[str, Any]) -> None:
    joined = "".join(string)
    text = json.dumps({"value": joined, "list": [joined, {joined: 1}]})
    try:
        rendered = compile_template(text).render(data)
    except TemplateError:
        return

    document = json.loads(rendered)

    assert rendered.isascii()
    assert sorted(document) == ["list", "value"]
    assert document["list"][0] == document["value"]


@given(data=_DATA)
def test_the_whole_document_comes_through_unchanged(data: dict[str, Any]) -> None:
    rendered = compile_template('{"all": "${$}"}').render(data)

    assert json.loads(rendered) == {"all": data}


@given(text=st.text().filter(lambda text: "${" not in text))
def test_text_without_expressions_is_kept(text: str) -> None:
    assert json.loads(compile_template(json.dumps({text: [text]})).render({})) == {text: [text]}


@given(value=st.text())
def test_a_value_cannot_leave_its_string(value: str) -> None:
    rendered = compile_template('{"a": "<${a}>"}').render({"a": value})

    assert json.loads(rendered) == {"a": f"<{value}>"}
