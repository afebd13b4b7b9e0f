"""Webhook templates: every row of quay-compat 4.5 with its FIX verdicts."""

import json

import pytest

from dockbell.domain import templates
from dockbell.domain.errors import TemplateError
from dockbell.domain.templates import compile_template

_DATA = {
    "repository": "acme/web",
    "name": "web",
    "updated_tags": ["latest", "v1"],
    "one": ["only"],
    "n": 3,
    "b": True,
    "nul": None,
    "empty": "",
    "lst": [],
    "nums": [1, 2],
    "mixed": ["a", 1, None, {"k": "é"}],
    "one_object": [{"k": 1}],
    "one_nothing": [None],
    "vulnerability": {"id": "CVE-1", "priority": "High", "has_fix": False},
}


def _rendered(template: object) -> object:
    return json.loads(compile_template(json.dumps(template)).render(_DATA))


@pytest.mark.parametrize(
    ("string", "result"),
    [
        ("${repository}", "acme/web"),
        ("${n}", 3),
        ("${b}", True),
        ("${nul}", None),
        ("${empty}", ""),
        ("${updated_tags}", ["latest", "v1"]),
        ("${updated_tags[*]}", ["latest", "v1"]),
        ("${one}", ["only"]),
        ("${one[*]}", "only"),
        ("${updated_tags[0]}", "latest"),
        ("${updated_tags[-1]}", "v1"),
        ("${updated_tags[9]}", None),
        ("${updated_tags[0:1]}", "latest"),
        ("${vulnerability}", {"id": "CVE-1", "priority": "High", "has_fix": False}),
        ("${vulnerability.id}", "CVE-1"),
        ("${vulnerability['id']}", "CVE-1"),
        ("${vulnerability.*}", ["CVE-1", "High", False]),
        ("${vulnerability.(id|priority)}", ["CVE-1", "High"]),
        ("${name|repository}", ["web", "acme/web"]),
        ("${$}", _DATA),
        ("${`this`}", _DATA),
        ("${missing}", None),
        ("${missing.deep}", None),
        ("${name.x}", None),
        ("x ${n} y", "x 3 y"),
        ("x ${missing} y", "x (none) y"),
        ("x ${nul} y", "x (none) y"),
        ("x ${empty} y", "x  y"),
        ("x ${b} y", "x true y"),
        ("x ${updated_tags} y", "x latest,v1 y"),
        ("x ${updated_tags[*]} y", "x latest,v1 y"),
        ("x ${one} y", "x only y"),
        ("x ${one[*]} y", "x only y"),
        ("x ${lst} y", "x [] y"),
        ("x ${vulnerability} y", 'x {"id": "CVE-1", "priority": "High", "has_fix": false} y'),
        ("x ${nums} y", "x 1,2 y"),
        ("x ${nums[*]} y", "x 1,2 y"),
        ("x ${mixed} y", 'x a,1,null,{"k": "é"} y'),
        ("x ${one_object} y", 'x {"k": 1} y'),
        ("x ${one_nothing} y", "x (none) y"),
        ("${name}${name}", "webweb"),
        ("$${name}", "$web"),
        ("$name", "$name"),
        ("${name", "${name"),
        ("{name}", "{name}"),
        ("${a}b}", "(none)b}"),
        ("${name}\n", "web\n"),
        ("plain", "plain"),
        (" ${ name } ", " web "),
    ],
)
@pytest.mark.quirk("Q20")
def test_a_string_becomes(string: str, result: object) -> None:
    assert _rendered(string) == result


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ({"${name}": 1}, {"web": 1}),
        ({"a${missing}": 1}, {"a(none)": 1}),
        ({"${n}": 1}, {"3": 1}),
        ({"${b}": 1}, {"true": 1}),
        ({"${missing}": 1}, {"null": 1}),
        ({"${nul}": 1}, {"null": 1}),
        ({"${updated_tags}": 1}, {"latest,v1": 1}),
        ({"${one}": 1}, {"only": 1}),
        ({"${vulnerability.has_fix}": {"${name}": ["${n}"]}}, {"false": {"web": [3]}}),
        ({"web": 1, "${name}": 2, "z": 3}, {"web": 2, "z": 3}),
        (5, 5),
        ("plain", "plain"),
        ([], []),
        ({}, {}),
        ([1, 2.5, True, None, "é", {"a": [{}]}], [1, 2.5, True, None, "é", {"a": [{}]}]),
    ],
)
def test_a_document_becomes(template: object, result: object) -> None:
    assert _rendered(template) == result


def test_the_bytes_are_written_as_python_writes_json() -> None:
    template = compile_template('{"a":"${name}","b":[1,"${n}","é x${n}"],"${b}":{"c":null}}')

    assert template.render(_DATA) == (
        b'{"a": "web", "b": [1, 3, "\\u00e9 x3"], "true": {"c": null}}'
    )


def test_text_from_data_stays_inside_its_string() -> None:
    template = compile_template('{"a": "<${evil}>", "${evil}": "${evil}"}')
    evil = '", "admin": true, "x": "'

    rendered = json.loads(template.render({"evil": evil}))

    assert rendered == {"a": f"<{evil}>", evil: evil}


def test_text_from_data_is_not_a_template() -> None:
    template = compile_template('"x ${name}"')

    assert template.render({"name": "${secret}", "secret": 1}) == b'"x ${secret}"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"hello": "}',
            "Could not parse template: Unterminated string starting at: line 1 column 11 (char 10)",
        ),
        (
            "{x",
            "Could not parse template: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ("", "Could not parse template: Expecting value: line 1 column 1 (char 0)"),
        ("NaN", "Could not parse template: Out of range float values are not JSON compliant"),
        (
            "[1e999]",
            "Could not parse template: Out of range float values are not JSON compliant",
        ),
        ('"${}"', "Empty expression found"),
        ('"a ${ } b"', "Empty expression found"),
        ('{"${}": 1}', "Empty expression found"),
        (
            '{"hello": "${;;}"}',
            "For expression `;;`: Error on line 1, col 0: Unexpected character: ; ",
        ),
        (
            '["${first[}"]',
            "For expression `first[`: the expression ends too early",
        ),
        (
            '"${..k}"',
            "For expression `..k`: Parse error at 1:0 near token .. (DOUBLEDOT)",
        ),
        (
            f'"${{{"a" * 600}}}"',
            f"For expression `{'a' * 60}…`: it is longer than 512 characters",
        ),
        (
            "[" * 65 + "]" * 65,
            "Could not parse template: it is nested deeper than 64 levels",
        ),
        (
            "[" * 20_000 + "]" * 20_000,
            "Could not parse template: it is nested too deeply",
        ),
        (
            '"' + "${a}" * 1001 + '"',
            "Could not parse template: it has more than 1000 expressions",
        ),
        (
            '"' + "x" * 65_536 + '"',
            "Could not parse template: it is longer than 65536 characters",
        ),
    ],
)
def test_a_wrong_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_template(text)

    assert (refused.value.detail, refused.value.field) == (message, "template")


def test_the_largest_and_deepest_template_is_taken() -> None:
    deep = "[" * 64 + "]" * 64
    large = '"' + "x" * (templates.LONGEST_TEMPLATE - 2) + '"'

    rendered = [compile_template(text).render({}) for text in (deep, large)]

    assert rendered == [deep.encode(), large.encode()]


@pytest.mark.parametrize(
    ("text", "data", "message"),
    [
        (
            '"' + "${$}" * 1000 + '"',
            {"a": "x" * 2000},
            "The template's result is longer than 1048576 characters.",
        ),
        (
            '"${$..$}"',
            {f"k{number}": "x" * 100 for number in range(1000)},
            "The template's result is longer than 1048576 characters.",
        ),
        (
            '"${$..a..a..a..a}"',
            {"a": [{"a": [{"a": [1] * 100}] * 30}] * 30},
            "The template's expressions look at more than 100000 values.",
        ),
        ('"${n}"', {"n": float("inf")}, "The data has a value that JSON cannot hold."),
    ],
)
def test_rendering_is_bounded(text: str, data: dict[str, object], message: str) -> None:
    template = compile_template(text)

    with pytest.raises(TemplateError) as refused:
        template.render(data)

    assert refused.value.detail == message


def test_a_string_of_openings_costs_no_more_than_its_length() -> None:
    # A search that starts again at each opening would take minutes here.
    text = json.dumps("${" * 32_000)

    assert compile_template(text).render({}) == text.encode()
