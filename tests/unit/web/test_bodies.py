"""Which bodies are taken, and the words that refuse the others (quay-compat 1.4)."""

import pytest

from dockbell.domain.errors import DataError, InvalidRequestError
from dockbell.web import bodies
from dockbell.web.bodies import Property, Schema

_SCHEMA = Schema(
    (
        Property("event", "string", required=True),
        Property("config", "object", required=True),
        Property("eventConfig", "object", required=True, also=("event_config",)),
        Property("title", "string", nullable=True, most=10),
        Property("role", "string", enum=("member", "creator", "admin")),
        Property("days", "integer"),
    )
)
_GOOD = {"event": "repo_push", "config": {}, "eventConfig": {}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "[] is not of type 'object'"),
        ("x", "'x' is not of type 'object'"),
        ({}, "'event' is a required property"),
        ({"event": 5}, "'config' is a required property"),
        ({"event": "x", "config": {}}, "'eventConfig' is a required property"),
        ({**_GOOD, "event": 5}, "5 is not of type 'string'"),
        ({**_GOOD, "config": "x"}, "'x' is not of type 'object'"),
        ({**_GOOD, "config": None}, "None is not of type 'object'"),
        ({**_GOOD, "config": []}, "[] is not of type 'object'"),
        ({**_GOOD, "role": "nope"}, "'nope' is not one of ['member', 'creator', 'admin']"),
        ({**_GOOD, "days": True}, "True is not of type 'integer'"),
        (
            {**_GOOD, "title": "x" * 11},
            "'title' is too long: 11 characters, at most 10 are allowed",
        ),
    ],
)
def test_a_body_that_does_not_fit_is_refused_with_the_first_line(
    body: object, message: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        _SCHEMA.check(body)

    assert refused.value.detail == message


def test_the_other_spelling_of_a_key_counts_and_the_first_one_wins() -> None:
    other = _SCHEMA.check({"event": "x", "config": {}, "event_config": {"days": 1}})
    both = _SCHEMA.check({**_GOOD, "event_config": {"days": 1}})

    assert (other["eventConfig"], both["eventConfig"]) == ({"days": 1}, {})


def test_unknown_keys_and_a_null_title_are_taken() -> None:
    body = {**_GOOD, "title": None, "template": ""}

    assert _SCHEMA.check(body) == body


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=utf-8", "application/x+json"],
)
def test_a_json_content_type_is_taken(content_type: str) -> None:
    assert bodies.parse(b'{"a": 1}', content_type) == {"a": 1}


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "json"]
)
def test_any_other_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(bodies.WrongContentTypeError):
        bodies.parse(b"{}", content_type)


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"nope", b'{"a": NaN}', b'"\xff"', b'"\\ud800"', b"[" * 100_000]
)
def test_a_malformed_body_is_refused_in_quays_words(raw: bytes) -> None:
    with pytest.raises(DataError) as refused:
        bodies.parse(raw, "application/json")

    assert refused.value.detail == (
        "The browser (or proxy) sent a request that this server could not understand."
    )


def test_a_literal_null_is_a_missing_body() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        bodies.parse(b"null", "application/json")

    assert refused.value.detail == "Missing JSON body"


def test_an_escaped_backslash_before_zeros_is_no_nul_character() -> None:
    assert bodies.parse(b'{"title": "a\\\\u0000b"}', "application/json") == {
        "title": "a\\u0000b"
    }


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        bodies.parse(b'{"title": "a\\u0000b"}', "application/json")

    assert refused.value.detail == "Text must not hold the character U+0000"
