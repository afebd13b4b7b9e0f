"""What the pages say is what the code does: examples, limits, codes, tables."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dockbell import events
from dockbell.api.intake import wire
from dockbell.domain import patterns, templates
from dockbell.domain.accounts import Scope
from dockbell.domain.events import EventScope, Subject, body_of
from dockbell.domain.links import Links
from dockbell.domain.outcomes import Code
from dockbell.domain.records import Verdict
from dockbell.domain.reports import MOST_AT_ONCE
from dockbell.domain.severities import SEVERITIES
from dockbell.domain.templates import compile_template
from dockbell.engine.retry import WAITS
from dockbell.net.addresses import METADATA
from dockbell.net.policy import INTERNAL_PORTS
from dockbell.settings import Settings
from dockbell.web.errors import DESCRIPTIONS
from tests.docs.pages import (
    DOCS,
    anchors_of,
    blocks_of,
    names_of,
    rows_of,
    section_of,
)

PAGES = sorted(DOCS.glob("*.md"))
KINDS = sorted(events.catalog())
LINKS = Links("https://bell.example.org")
# The filters that the page of events says its samples were made with.
FILTERS: Mapping[str, Mapping[str, object]] = {
    "repo_image_expiry": {"days": 7},
    "vulnerability_found": {"level": "High"},
}
UNITS = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_json_example_parses(page: Path) -> None:
    broken = []
    for block in blocks_of(page.read_text(encoding="utf-8"), "json"):
        try:
            json.loads(block)
        except ValueError as error:
            broken.append(f"{error}: {block[:80]}")

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_page_leads_to_a_heading_that_exists(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]*)\)", page.read_text(encoding="utf-8"))
    inner = [link for link in links if not link.startswith("http")]

    dead = []
    for link in inner:
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            dead.append(link)

    assert dead == []


@pytest.mark.parametrize("name", KINDS)
def test_the_last_example_of_an_event_is_its_sample(name: str) -> None:
    kind = events.catalog()[name]
    is_of_repository = kind.scope is EventScope.REPOSITORY
    subject = Subject("acme", "web") if is_of_repository else Subject("acme")
    details = kind.sample(subject, FILTERS.get(name, {}))
    build_id: Any = details.get("build_id")
    expected = json.loads(body_of(subject, details, LINKS, build_id=build_id))

    shown = json.loads(blocks_of(section_of("events.md", f"### {name}"), "json")[-1])

    assert list(shown.items()) == list(expected.items())


def test_severities_stand_in_their_order() -> None:
    assert rows_of(section_of("events.md", "### level")) == [["Name", *SEVERITIES]]


def test_the_limits_of_patterns_are_those_of_the_code() -> None:
    said = section_of("events.md", "### ref-regex")

    assert f"| {patterns.LONGEST_PATTERN} characters |" in said
    assert f"| {patterns.LONGEST_TEXT} characters;" in said
    assert f"unfold to {patterns.MOST_INSTRUCTIONS} steps" in said
    assert f"| {patterns.MOST_STEPS:,} steps;" in said


def test_every_template_gives_what_the_page_says() -> None:
    section = section_of("methods.md", "### Templates")
    data = json.loads(next(block for block in blocks_of(section, "json") if '"nums"' in block))
    rows = rows_of(section)

    given = [
        [cell, f"`{compile_template(cell.strip('`')).render(data).decode()}`"]
        for cell, _ in rows
    ]

    assert len(rows) > 30
    assert given == rows


def test_the_limits_of_templates_are_those_of_the_code() -> None:
    said = section_of("methods.md", "### Templates")

    assert f"| {templates.LONGEST_TEMPLATE} characters," in said
    assert f"| {templates.DEEPEST_TEMPLATE} arrays and objects" in said
    assert f"| {templates.MOST_EXPRESSIONS}, each" in said
    assert f"| {templates.LONGEST_OUTPUT:,} characters |" in said
    assert f"| {templates.MOST_STEPS:,} |" in said


def test_every_code_of_an_outcome_is_explained() -> None:
    rows = rows_of(section_of("webhooks.md", "## Why a try failed"))

    assert sorted(names_of([row[0] for row in rows])) == sorted(code.value for code in Code)


def test_the_retry_waits_are_those_of_the_engine() -> None:
    (waits,) = rows_of(section_of("webhooks.md", "## Retries"))

    assert tuple(_duration(cell) for cell in waits[1:]) == WAITS


def _duration(text: str) -> timedelta:
    number, unit = text.split()
    return int(number) * UNITS[unit]


def test_every_error_type_is_explained() -> None:
    explained = {
        name
        for page in ("api.md", "api-v2.md")
        for name in names_of([row[0] for row in rows_of(section_of(page, "## Errors"))])
    }

    assert sorted(explained) == sorted(DESCRIPTIONS)


def test_every_verdict_is_explained() -> None:
    rows = rows_of(section_of("api-v2.md", "## Events"))

    assert names_of([row[0] for row in rows]) == [one.value for one in Verdict]


def test_every_field_of_a_report_is_explained() -> None:
    rows = rows_of(section_of("intake.md", "## One event"))

    assert sorted(names_of([row[0] for row in rows[: len(wire.FIELDS)]])) == sorted(wire.FIELDS)


def test_what_each_kind_needs_is_what_the_page_says() -> None:
    rows = rows_of(section_of("intake.md", "### Fields of data"))
    catalog = events.catalog()

    assert [(name.strip("`"), tuple(names_of([needs]))) for name, needs in rows] == [
        (name, catalog[name].needs) for name in KINDS
    ]


def test_the_limits_of_reports_are_those_of_the_code() -> None:
    said = {row[0]: row[1] for row in rows_of(section_of("intake.md", "## Limits"))}
    settings = Settings()

    assert list(said.items()) == [
        ("events in a request", f"{MOST_AT_ONCE}"),
        (
            "body of a request",
            f"{settings.max_intake_body >> 20} MiB (`DOCKBELL_MAX_INTAKE_BODY`)",
        ),
        ("`data` of one event", f"{wire.MOST_DATA:,} bytes, in ASCII JSON"),
        ("`facts` of one event", f"{wire.MOST_FACTS:,} bytes, in ASCII JSON"),
        ("nesting of `data` and `facts`", f"{wire.MOST_LEVELS} levels"),
        ("`id`", f"{wire.LONGEST_ID} characters, none of them a control character"),
        ("`actor`", f"{wire.LONGEST_NAME} characters, likewise"),
        (
            "events that wait to be written",
            f"{settings.intake_queue:,} (`DOCKBELL_INTAKE_QUEUE`), half of them from one token",
        ),
    ]


def test_every_scope_is_explained() -> None:
    rows = rows_of(section_of("api.md", "### Scopes"))

    assert names_of([row[0] for row in rows]) == [scope.value for scope in Scope]


def test_the_closed_ports_are_those_of_the_guard() -> None:
    rows = rows_of(section_of("egress.md", "## Ports"))

    assert {
        int(port): service for service, ports in rows for port in ports.split(", ")
    } == INTERNAL_PORTS


def test_the_metadata_addresses_are_those_of_the_guard() -> None:
    rows = rows_of(section_of("egress.md", "## Metadata addresses"))

    assert sorted(names_of([row[0] for row in rows])) == sorted(map(str, METADATA))


def test_no_page_names_a_route_that_does_not_exist() -> None:
    routes = {row[0].strip("`") for row in rows_of(section_of("api.md", "## Routes"))}
    management = section_of("api.md", "## Management")

    named = set(re.findall(r"`(GET|POST|PUT|DELETE) (/api/v1/[^`?]*)", management))

    assert len(named) > 20
    assert {f"{verb} {path.rstrip('/')}" for verb, path in named} - routes == set()


def test_the_page_of_the_api_is_the_one_that_the_guide_asks_for() -> None:
    calls = re.findall(
        r"^`(\w+ /api/v1/\S+)`$", section_of("api.md", "## Notifications"), re.MULTILINE
    )

    one = "/api/v1/repository/{repository}/notification"
    assert calls == [
        f"POST {one}",
        f"GET {one}/{{uuid}}",
        f"POST {one}/{{uuid}}/test",
        f"POST {one}/{{uuid}}",
        f"DELETE {one}/{{uuid}}",
        f"GET {one}",
    ]
