"""Filters of notifications: which part refuses which event, and what is refused when one is saved."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, Performer
from dockbell.domain.filters import compile_filter, of_text
from tests.factories import ACME, event_of

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_CHART = "application/vnd.cncf.helm.config.v1+json"


def _push(*tags: str, performer: str | None = None, **facts: object) -> Event:
    return event_of(
        "repo_push",
        {"updated_tags": list(tags)},
        performer=None if performer is None else Performer(performer),
        facts=facts,
    )


def _vulnerability(priority: object) -> Event:
    return event_of(
        "vulnerability_found", {"tags": ["v1"], "vulnerability": {"priority": priority}}
    )


_QUOTA = event_of("quota_warning", {"usage_percent": 80}, subject=ACME)


@pytest.mark.parametrize(
    ("given", "event", "refusal"),
    [
        ({}, _push("v1"), None),
        ({"repositories": ["acme/*"]}, _push("v1"), None),
        ({"repositories": ["acme/api", "web"]}, _push("v1"), "repositories"),
        ({"repositories": {"exclude": ["*/web"]}}, _push("v1"), "repositories"),
        ({"repositories": ["acme/api"]}, _QUOTA, None),
        ({"tags": ["v*"]}, _push("latest", "v1"), None),
        ({"tags": ["v*"]}, _push("latest"), "tags"),
        ({"tags": ["v*"]}, _push(), "tags"),
        ({"tags": ["v*"]}, _QUOTA, None),
        ({"tags": {"include": ["v*"], "exclude": ["*-rc*"]}}, _push("v1-rc1"), "tags"),
        ({"tags": {"include": ["v*"], "exclude": ["*-rc*"]}}, _push("v1-rc1", "v1"), None),
        ({"tags": ["v*"]}, _vulnerability("High"), None),
        ({"tags": ["v*"]}, event_of("build_start", {"docker_tags": ["x"]}), "tags"),
        ({"tags": ["v*"]}, event_of("repo_mirror_sync_started", {"message": "m"}), None),
        (
            {"tags": ["v*"]},
            event_of("repo_mirror_sync_started", {"message": "m"}, facts={"tag": "x"}),
            "tags",
        ),
        ({"tag_regex": r"^v\d+$"}, _push("latest", "v12"), None),
        ({"tag_regex": r"^v\d+$"}, _push("v12-rc"), "tag_regex"),
        ({"tag_regex": "rc"}, _push("v12-rc1"), None),
        ({"tag_regex": "rc"}, _QUOTA, None),
        ({"severity": "High"}, _vulnerability("Critical"), None),
        ({"severity": "high"}, _vulnerability("High"), None),
        ({"severity": "High"}, _vulnerability("Medium"), "severity"),
        ({"severity": "High"}, _vulnerability("moderate"), "severity"),
        ({"severity": "High"}, _vulnerability("nobody knows"), None),
        ({"severity": "High"}, _vulnerability(None), None),
        ({"severity": "High"}, _push("v1"), None),
        ({"media_types": ["application/*"]}, _push("v1", media_type=_IMAGE), None),
        ({"media_types": ["*/*helm*"]}, _push("v1", media_type=_IMAGE), "media_types"),
        (
            {"media_types": ["*/*helm*"]},
            _push("v1", media_type=_IMAGE, artifact_type=_CHART),
            None,
        ),
        (
            {"media_types": {"exclude": ["*/*helm*"]}},
            _push("v1", media_type=_IMAGE, artifact_type=_CHART),
            "media_types",
        ),
        ({"media_types": ["*/*helm*"]}, _push("v1"), None),
        ({"actors": ["acme+*"]}, _push("v1", performer="acme+ci"), None),
        ({"actors": ["acme+*"]}, _push("v1", performer="alice"), "actors"),
        ({"actors": ["acme+*"]}, _push("v1"), "actors"),
        ({"actors": {"exclude": ["*+*"]}}, _push("v1", performer="acme+ci"), "actors"),
        ({"actors": {"exclude": ["*+*"]}}, _push("v1", performer="alice"), None),
        ({"actors": {"exclude": ["*+*"]}}, _push("v1"), None),
        ({"json": {"path": "facts.size", "gt": 5}}, _push("v1", size=6), None),
        ({"json": {"path": "facts.size", "gt": 5}}, _push("v1", size=5), "json"),
        (
            {"json": {"path": "data.updated_tags", "equals": "v1"}, "tags": ["v*"]},
            _push("v1"),
            None,
        ),
        (
            {"json": {"path": "data.updated_tags", "equals": "v2"}, "tags": ["w*"]},
            _push("v1"),
            "tags",
        ),
        (
            {"json": {"not": {"path": "facts.many.*", "equals": 1}}},
            _push("v1", many=[2] * 20_000),
            "json",
        ),
    ],
)
def test_the_first_part_that_does_not_want_an_event_refuses_it(
    given: Mapping[str, Any], event: Event, refusal: str | None
) -> None:
    checked = compile_filter(given)

    found = checked.refusal(event)

    assert found == refusal


_MANY = [f"tag-{number}" for number in range(40_000)]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"tags": ["v*"]}, "tags"),
        ({"tags": {"exclude": ["*"]}}, "tags"),
        # Of so many the last one is not reached.
        ({"tags": ["tag-39999"]}, "tags"),
        ({"tag_regex": "^tag-39999$"}, "tag_regex"),
        ({"tag_regex": "(a|aa)+$"}, "tag_regex"),
        ({"tags": ["tag-100"]}, None),
        ({"tag_regex": "^tag-100$"}, None),
    ],
)
def test_very_many_tags_take_no_longer_than_some(
    given: Mapping[str, Any], refusal: str | None
) -> None:
    event = _push(*_MANY)

    found = compile_filter(given).refusal(event)

    assert found == refusal


def _deep() -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(40):
        document = {"not": document}
    return {"json": document}


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        (
            {"tag": ["v1"]},
            "filter.tag",
            (
                "there is no such filter. There are: repositories, actors, media_types, severity, "
                "tags, tag_regex, json"
            ),
        ),
        (
            {"tags": []},
            "filter.tags",
            'it must be a list of 1 to 100 globs such as "v*"',
        ),
        (
            {"tags": "v*"},
            "filter.tags",
            'it must be a list of 1 to 100 globs such as "v*"',
        ),
        ({"tags": ["v*", 1]}, "filter.tags[1]", 'a glob is a string such as "v*"'),
        (
            {"tags": {"include": ["v*"], "exclude": ["a", "[0-9"]}},
            "filter.tags.exclude[1]",
            r"the [ at position 0 is never closed; write \[ for the character itself",
        ),
        (
            {"actors": {"only": ["alice"]}},
            "filter.actors.only",
            "there are only include and exclude here",
        ),
        ({"actors": {}}, "filter.actors", "it is empty; give include or exclude"),
        (
            {"repositories": ["a"] * 101},
            "filter.repositories",
            'it must be a list of 1 to 100 globs such as "v*"',
        ),
        (
            {"tag_regex": "v("},
            "filter.tag_regex",
            "missing ), unterminated subpattern at position 1",
        ),
        (
            {"tag_regex": r"(a)\1"},
            "filter.tag_regex",
            "back references are not supported (at position 5)",
        ),
        (
            {"tag_regex": ""},
            "filter.tag_regex",
            'it must be a regular expression such as "^v[0-9]+$"',
        ),
        (
            {"severity": "Hihg"},
            "filter.severity",
            "it must be one of: Critical, High, Medium, Low, Negligible, Unknown; and up is meant",
        ),
        (
            {"json": {"path": "data.a", "exists": 1}},
            "filter.json.exists",
            "it must be true or false",
        ),
        ({"tags": ["a" * 256] * 90}, "filter", "it is larger than 16384 bytes"),
        (_deep(), "filter", "it is nested deeper than 32 levels"),
    ],
)
def test_a_filter_is_refused_at_its_place(
    given: Mapping[str, Any], field: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        compile_filter(given)

    assert (refused.value.field, refused.value.detail) == (field, f"{field}: {reason}")


def test_a_stored_filter_is_compiled_once() -> None:
    text = json.dumps({"tags": ["v*"]})

    first, second = of_text(text), of_text(json.dumps({"tags": ["v*"]}))

    assert first is second


@pytest.mark.parametrize("text", ['{"later": 1}', "{", "[]", "1", "null"])
def test_a_stored_filter_that_cannot_be_read_lets_nothing_through(text: str) -> None:
    refusal = of_text(text).refusal(_push("v1"))

    assert refusal == "unreadable"


def test_no_filter_lets_everything_through() -> None:
    refusal = of_text(None).refusal(_push("v1"))

    assert refusal is None
