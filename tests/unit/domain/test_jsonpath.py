"""Path expressions: what they find, and the words that refuse them."""

import pytest

from dockbell.domain import jsonpath
from dockbell.domain.jsonpath import Match, PathError, Search, TooMuchWorkError, parse

_DATA = {
    "name": "web",
    "tags": ["latest", "v1", "v2"],
    "empty": [],
    "nothing": None,
    "half": 1.5,
    "odd key": {"it's": 1},
    "a-b_1": 2,
    "where": "w",
    "tree": {"id": 1, "left": {"id": 2}, "right": [{"id": 3}, {"name": "x"}]},
}


def _found(expression: str, data: object = _DATA) -> list[object]:
    matches = parse(expression).find(Match(data, None), Search(data, 10_000))
    return [match.value for match in matches]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("name", ["web"]),
        ("$", [_DATA]),
        ("$.name", ["web"]),
        (" $ . name ", ["web"]),
        ("$.tree.id", [1]),
        ("$['name']", ["web"]),
        ("[name]", ["web"]),
        ("'odd key'.'it\\'s'", [1]),
        ('"odd key"["it\'s"]', [1]),
        ("a-b_1", [2]),
        ("'where'", ["w"]),
        ("name,half", ["web", 1.5]),
        ("name, missing, half", ["web", 1.5]),
        ("['name','half']", ["web", 1.5]),
        ("missing", []),
        ("missing.deep", []),
        ("name.deep", []),
        ("nothing", [None]),
        ("tags[0]", ["latest"]),
        ("tags[-1]", ["v2"]),
        ("tags[-3]", ["latest"]),
        ("tags[-4]", []),
        ("tags[3]", []),
        ("tags.[1]", ["v1"]),
        ("tags[*]", ["latest", "v1", "v2"]),
        ("tags[:]", ["latest", "v1", "v2"]),
        ("tags[1:]", ["v1", "v2"]),
        ("tags[:-1]", ["latest", "v1"]),
        ("tags[0:1]", ["latest"]),
        ("tags[5:9]", []),
        ("empty[-1]", []),
        ("empty[*]", []),
        ("name[*]", ["web"]),
        ("name[0]", ["w"]),
        ("half[0]", []),
        ("half[*]", [1.5]),
        ("nothing[0]", []),
        ("nothing[*]", []),
        ("tree[0]", []),
        ("tree.left.*", [2]),
        ("name.*", []),
        ("name|half", ["web", 1.5]),
        ("tree.id|left", [1, {"id": 2}]),
        ("tree.(id|left.id)", [2]),
        ("tree.(id|(left.id))", [1, 2]),
        ("name|tags[0]", ["w", "latest"]),
        ("(name)|(tags[0])", ["web", "latest"]),
        ("$..id", [1, 2, 3]),
        ("tree..name", ["x"]),
        ("$..right[0]", [{"id": 3}]),
        ("tree.right[*].id", [3]),
        ("tree.right[*] where name", [{"name": "x"}]),
        ("(tree.*) where id", [{"id": 2}]),
        ("`this`", [_DATA]),
        ("tree.`this`.id", [1]),
        ("tree.left.`parent`.id", [1]),
        ("`parent`", []),
        ("tree.$.name", ["web"]),
    ],
)
def test_an_expression_finds(expression: str, values: list[object]) -> None:
    assert _found(expression) == values


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (";;", "Error on line 1, col 0: Unexpected character: ; "),
        ("name\n  %", "Error on line 2, col 3: Unexpected character: % "),
        ("é", "Error on line 1, col 0: Unexpected character: é "),
        ("'open", "Error on line 1, col 0: Unexpected character: ' "),
        ("..k", "Parse error at 1:0 near token .. (DOUBLEDOT)"),
        ("a b", "Parse error at 1:2 near token b (ID)"),
        ("a.where", "Parse error at 1:2 near token where (WHERE)"),
        ("a]", "Parse error at 1:1 near token ] (])"),
        ("[1:2:3]", "Parse error at 1:4 near token : (:)"),
        ("a[]", "Parse error at 1:2 near token ] (])"),
        ("*,a", "Parse error at 1:1 near token , (,)"),
        ("5", "Parse error at 1:0 near token 5 (NUMBER)"),
        ("first[", "the expression ends too early"),
        ("a.", "the expression ends too early"),
        ("(a", "the expression ends too early"),
        ("a&b", "the operator & is not supported"),
        ("`len`", "Unknown named operator `len` at 1:0"),
        ("a" * 513, "it is longer than 512 characters"),
        (".".join(["a"] * 102), "it has more than 100 operators"),
        ("(" * 101 + "a" + ")" * 101, "it has more than 100 operators"),
    ],
)
def test_a_wrong_expression_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(PathError) as refused:
        parse(expression)

    assert str(refused.value) == reason


def test_the_longest_chain_is_found() -> None:
    data: object = "end"
    for _ in range(101):
        data = {"a": data}

    assert _found(".".join(["a"] * 101), data) == ["end"]


@pytest.mark.parametrize(
    "expression", ["$..a..a..a..a..a", "$..*..*", "$..(a|a|a|a)..a", "$..$..a", "$..a[*]"]
)
def test_work_is_bounded(expression: str) -> None:
    data = {"a": [{"a": [{"a": [1] * 50}] * 20}] * 20}

    with pytest.raises(TooMuchWorkError):
        parse(expression).find(Match(data, None), Search(data, 10_000))


def test_descendants_of_very_deep_data_are_found() -> None:
    data: dict[str, object] = {"end": 1}
    for _ in range(3000):
        data = {"in": data}

    assert _found("$..end", data) == [1]


def test_the_limit_is_on_characters() -> None:
    assert _found("a" * jsonpath.LONGEST, {"a" * jsonpath.LONGEST: 1}) == [1]
