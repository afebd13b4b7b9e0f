"""Reading odd payloads gives empty values, never an error."""

import pytest

from dockbell.domain import payloads


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"a": {"b": "x"}}, "x"),
        ({"a": {"b": 1}}, "1"),
        ({"a": {"b": 1.5}}, "1.5"),
        ({"a": {"b": True}}, ""),
        ({"a": {"b": None}}, ""),
        ({"a": {"b": ["x"]}}, ""),
        ({"a": "x"}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_text_is_read_from(data: object, text: str) -> None:
    assert payloads.text_of(data, "a", "b") == text


@pytest.mark.parametrize(
    ("data", "texts"),
    [({"a": ["x", 1, None, "y"]}, ["x", "y"]), ({"a": "xy"}, []), ({}, []), ("a", [])],
)
def test_texts_are_read_from(data: object, texts: list[str]) -> None:
    assert payloads.texts_of(data, "a") == texts


def test_one_line_has_no_line_ends() -> None:
    assert payloads.one_line(" a\r\n b\t\u2028c ") == "a b c"
