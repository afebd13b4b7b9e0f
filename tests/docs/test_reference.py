"""The reference pages name everything there is: settings, commands, routes, events, methods."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dockbell import events, methods
from dockbell.api.v1.handlers import HANDLERS
from dockbell.api.v2 import messages, signing_secrets
from dockbell.api.v2.handlers import HANDLERS as V2_HANDLERS
from dockbell.cli.app import COMMANDS
from dockbell.domain import conditions, filters, globs, patterns
from dockbell.settings import FILE_VARIABLES, RULES, Settings
from dockbell.web import health, metrics

DOCS = Path(__file__).parents[2] / "docs"


def rows_of(page: str, heading: str, inner: str | None = None) -> list[list[str]]:
    """The cells of the first table below that heading, or below one inside its section."""
    _, _, below = (DOCS / page).read_text().partition(f"\n## {heading}\n")
    if inner is not None:
        _, _, below = below.partition(f"\n### {inner}\n")
    lines = below.partition("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_the_page_of_settings_has_each_with_its_names_default_and_meaning() -> None:
    shown = {row.name: row.value for row in Settings().rows()}
    expected = []
    for name, rule in RULES.items():
        variable = f"DOCKBELL_{name.upper()}"
        names = f"`{variable}`"
        if f"{variable}_FILE" in FILE_VARIABLES:
            names += f", `{variable}_FILE`"
        dashed = name.replace("_", "-")
        flag = f"`--{dashed}`"
        if isinstance(shown[name], bool):
            flag += f", `--no-{dashed}`"
        expected.append(
            [
                f"`{name}`",
                names,
                "none" if rule.is_secret else flag,
                said(shown[name]),
                rule.about,
            ]
        )

    assert rows_of("settings.md", "All settings") == expected


def said(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`{','.join(map(str, value))}`" if value else "empty"
    return f"`{value}`" if value != "" else "empty"


def commands() -> Iterator[tuple[str, Any]]:
    for name in COMMANDS:
        command = typer.main.get_command(importlib.import_module(f"dockbell.cli.{name}").app)
        inner = getattr(command, "commands", None)
        yield from (
            ((f"{name} {sub}", one) for sub, one in inner.items())
            if inner
            else [(name, command)]
        )


def test_the_page_of_commands_has_each_with_its_options_and_examples() -> None:
    sections = re.split(r"\n## ", (DOCS / "cli.md").read_text())
    shown = {
        heading.strip("`"): body
        for heading, _, body in (section.partition("\n") for section in sections)
        if heading.startswith("`dockbell ")
    }

    lacking = []
    for path, command in commands():
        body = shown.get(f"dockbell {path}", "")
        examples = [line.strip() for line in (command.epilog or "").splitlines()[2:]]
        # The settings are explained on their own page.
        options = [
            name
            for one in command.params
            for name in one.opts[:1]
            if name.startswith("--") and one.name not in RULES
        ]
        lacking += [f"{path}: {part}" for part in [*examples, *options] if part not in body]

    assert list(shown) == [f"dockbell {path}" for path, _ in commands()]
    assert lacking == []


def test_the_page_of_the_api_has_each_route_in_order() -> None:
    expected = [
        [f"`{verb} {prefix}{plain(path)}`", inspect.getdoc(handler.fn).partition("\n")[0]]
        for prefix, handlers in (
            ("/api/v1", HANDLERS),
            ("", [*health.HANDLERS, *metrics.HANDLERS]),
        )
        for handler in handlers
        for verb in sorted(handler.http_methods)
        for path in sorted(handler.paths)
    ]

    assert rows_of("api.md", "Routes") == expected


def test_the_page_of_api_v2_has_each_route_in_order() -> None:
    expected = [
        [
            f"`{verb} /api/v2{plain(path)}`",
            inspect.getdoc(handler.fn).partition("\n")[0],
        ]
        for handler in V2_HANDLERS
        for verb in sorted(handler.http_methods)
        for path in sorted(handler.paths)
    ]

    assert rows_of("api-v2.md", "Routes") == expected


def test_the_page_of_api_v2_names_each_filter_of_deliveries() -> None:
    (handler,) = [one for one in V2_HANDLERS if one.handler_name == "list_deliveries"]
    parameters = set(inspect.signature(handler.fn).parameters) - {"call", "limit", "cursor"}
    named = {
        name
        for row in rows_of("api-v2.md", "Deliveries")
        for name in re.findall(r"`(\w+)`", row[0])
    }

    assert named == {"state" if name == "in_state" else name for name in parameters}


def test_the_page_of_api_v2_has_each_filter_with_its_limits() -> None:
    names = [row[0].strip("`") for row in rows_of("api-v2.md", "Filters")]
    text = (DOCS / "api-v2.md").read_text().partition("\n## Filters\n")[2]

    assert tuple(names) == filters.NAMES
    for number, words in (
        (filters.LARGEST, "bytes"),
        (globs.LONGEST_GLOB, "characters"),
        (patterns.LONGEST_PATTERN, "characters"),
        (conditions.MOST_CONDITIONS, "parts"),
        (conditions.DEEPEST, "levels"),
        (conditions.MOST_STEPS, "values"),
        (filters.MOST_GLOBS, "in each"),
        (filters.MOST_LETTERS, "characters"),
    ):
        assert re.search(f"{number:,}\\s{words}", text) is not None, (number, words)


def test_the_page_of_webhooks_has_each_call_about_messages_and_secrets() -> None:
    own = [*messages.HANDLERS, *signing_secrets.HANDLERS]
    expected = [
        [f"`{verb} {prefix}{plain(path)}`", inspect.getdoc(handler.fn).partition("\n")[0]]
        for prefix, handlers in (("/api/v2", own), ("", signing_secrets.PUBLIC_HANDLERS))
        for handler in handlers
        for verb in sorted(handler.http_methods)
        for path in sorted(handler.paths)
    ]

    below = rows_of("webhooks.md", "Choose what is sent", "The calls")

    assert below == expected


def plain(path: str) -> str:
    """As people write it: `{repository}` instead of `{repository:str}`."""
    return re.sub(r":\w+\}", "}", path)


def test_the_page_of_events_has_each_with_its_title() -> None:
    expected = [[f"`{kind.name}`", kind.title] for kind in events.catalog().values()]

    assert [row[:2] for row in rows_of("events.md", "Kinds")] == expected


def test_the_page_of_methods_has_each_with_its_title_and_fields() -> None:
    expected = [
        [
            f"`{method.name}`",
            method.title,
            ", ".join(
                f"`{field.key}`" + ("" if field.required else " (optional)")
                for field in method.fields
            ),
        ]
        for method in methods.catalog().values()
    ]

    assert [row[:3] for row in rows_of("methods.md", "Methods")] == expected


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    pages = sorted(page.name for page in DOCS.glob("*.md"))

    assert [page for page in pages if f"(docs/{page})" not in readme] == []
