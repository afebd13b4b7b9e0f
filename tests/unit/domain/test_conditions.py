"""The JSON filter: what holds for which event, and what is refused where."""

from typing import Any

import pytest

from dockbell.domain.conditions import (
    MOST_STEPS,
    Look,
    TooMuchWorkError,
    compile_condition,
)
from dockbell.domain.errors import ConfigError

_ROOTS = {
    "data": {
        "updated_tags": ["v1", "latest"],
        "vulnerability": {"priority": "High", "has_fix": True, "score": 7.5, "link": None},
        "labels": {"org.opencontainers.image.source": "x"},
        "parts": [{"n": 1}, {"n": 2}],
    },
    "facts": {"size": 10, "platforms": ["linux/amd64"]},
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"path": "data.vulnerability.priority", "equals": "High"}, True),
        ({"path": "data.vulnerability.priority", "equals": "high"}, False),
        ({"path": "data.vulnerability.has_fix", "equals": True}, True),
        ({"path": "data.vulnerability.has_fix", "equals": 1}, False),
        ({"path": "data.vulnerability.link", "equals": None}, True),
        ({"path": "data.vulnerability.none", "equals": None}, False),
        ({"path": "facts.size", "equals": 10.0}, True),
        ({"path": "data.updated_tags", "equals": "latest"}, True),
        ({"path": "data.updated_tags.0", "equals": "latest"}, False),
        ({"path": "data.updated_tags.1", "equals": "latest"}, True),
        ({"path": "data.updated_tags.2", "equals": "latest"}, False),
        ({"path": "data.parts.*.n", "equals": 2}, True),
        ({"path": "data.*.priority", "exists": True}, True),
        ({"path": ["data", "labels", "org.opencontainers.image.source"], "equals": "x"}, True),
        ({"path": "data.updated_tags", "in": ["v2", "v1"]}, True),
        ({"path": "data.updated_tags", "in": ["v2"]}, False),
        ({"path": "data.vulnerability.link", "exists": True}, True),
        ({"path": "data.vulnerability.none", "exists": False}, True),
        ({"path": "data.vulnerability.priority.deeper", "exists": True}, False),
        ({"path": "data", "exists": True}, True),
        ({"path": "data.vulnerability.score", "gt": 7.5}, False),
        ({"path": "data.vulnerability.score", "gte": 7.5}, True),
        ({"path": "facts.size", "lt": 11}, True),
        ({"path": "facts.size", "lte": 9}, False),
        ({"path": "facts.size", "lt": "11"}, False),
        ({"path": "data.vulnerability.has_fix", "gt": 0}, False),
        ({"path": "data.vulnerability.priority", "gt": "Hi"}, True),
        ({"path": "data.vulnerability.priority", "gt": 1}, False),
        ({"path": "data.updated_tags", "gt": "v0"}, True),
        (
            {"and": [{"path": "facts.size", "gt": 1}, {"path": "facts.size", "lt": 3}]},
            False,
        ),
        ({"or": [{"path": "facts.size", "gt": 1}, {"path": "facts.none", "gt": 1}]}, True),
        ({"not": {"path": "facts.none", "exists": True}}, True),
    ],
)
def test_a_condition_holds_or_not(*, condition: dict[str, Any], holds: bool) -> None:
    compiled = compile_condition(condition, "filter.json")

    found = compiled.holds(Look(_ROOTS))

    assert found is holds


_SHAPES = (
    '{"path": "data…", "equals": …}, with in, exists, gt, gte, lt or lte in place of equals, '
    '{"and": […]}, {"or": […]} or {"not": {…}}'
)


def _nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"path": "data", "exists": True}
    for _ in range(levels):
        condition = {"not": condition}
    return condition


@pytest.mark.parametrize(
    ("condition", "field", "reason"),
    [
        ("x", "filter.json", f"a condition is an object: {_SHAPES}"),
        ({}, "filter.json", f"its keys are none; a condition is {_SHAPES}"),
        (
            {"path": "data.a", "like": "x"},
            "filter.json",
            f"its keys are like, path; a condition is {_SHAPES}",
        ),
        (
            {"and": [{"path": "data.a", "equals": 1}, {"or": {}}]},
            "filter.json.and[1].or",
            "it must be a list of 1 to 100 conditions",
        ),
        ({"and": []}, "filter.json.and", "it must be a list of 1 to 100 conditions"),
        (
            {"path": "body.a", "equals": 1},
            "filter.json.path",
            "it must begin with data (the payload) or facts",
        ),
        (
            {"path": 3, "equals": 1},
            "filter.json.path",
            'it must be a string with dots, such as "data.vulnerability.id", or a list of names',
        ),
        (
            {"path": "data..a", "equals": 1},
            "filter.json.path",
            "part 1 must have 1 to 512 characters; * stands for all",
        ),
        (
            {"path": "data" + ".a" * 16, "equals": 1},
            "filter.json.path",
            "it has more than 16 parts",
        ),
        ({"path": "data.a", "exists": 1}, "filter.json.exists", "it must be true or false"),
        (
            {"path": "data.a", "gt": True},
            "filter.json.gt",
            "it must be a number, or a string to compare strings with",
        ),
        (
            {"path": "data.a", "in": ["a", ["b"]]},
            "filter.json.in[1]",
            "it must be a string, a number, true, false or null",
        ),
        (
            {"path": "data.a", "in": "a"},
            "filter.json.in",
            "it must be a list of 1 to 100 values",
        ),
        (
            {"path": "data.a", "equals": "a" * 513},
            "filter.json.equals",
            "it is longer than 512 characters",
        ),
        (
            _nested(8),
            "filter.json" + ".not" * 8,
            "conditions are nested deeper than 8 levels",
        ),
        (
            {"and": [{"path": "data", "exists": True}] * 64},
            "filter.json.and[63]",
            "there are more than 64 conditions",
        ),
    ],
)
def test_a_condition_is_refused_at_its_place(
    condition: object, field: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        compile_condition(condition, "filter.json")

    assert (refused.value.field, refused.value.detail) == (field, f"{field}: {reason}")


def test_a_condition_that_looks_at_too_much_gives_up() -> None:
    condition = {"not": {"path": "data.*.*", "equals": 1}}
    roots = {"data": {str(n): list(range(2, 102)) for n in range(MOST_STEPS // 100)}}

    with pytest.raises(TooMuchWorkError):
        compile_condition(condition, "filter.json").holds(Look(roots))
