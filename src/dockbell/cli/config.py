"""`dockbell config`: what is set, where it came from, and what could be set."""

import dataclasses
import json
import textwrap

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import Output, is_json, show_json, show_rows
from dockbell.settings import Settings

app = new_group("Show, check and explain the settings.")

_WIDTH = 96


@app.command(
    epilog=examples(
        "dockbell config show", "dockbell config show --config dockbell.toml -o json"
    )
)
@flags.takes_settings("data")
def show(settings: Settings, *, output: Output = None) -> None:
    """Show every setting with its value and where that came from; secrets are masked."""
    rows = settings.rows()
    if is_json(output):
        show_json([dataclasses.asdict(row) for row in rows])
    else:
        show_rows(
            [{"setting": row.name, "value": row.value, "from": row.origin} for row in rows],
            output,
        )


@app.command(
    epilog=examples("dockbell config check", "dockbell config check --config dockbell.toml")
)
@flags.takes_settings("data")
def check(settings: Settings) -> None:
    """Say all that is wrong with the settings; exit with 0 if nothing is."""
    from dockbell.store import seals

    if settings.secret_key:
        seals.Seal(*seals.of_texts(settings.secret_key))
    changed = ", ".join(settings.origins) or "none"
    say(f"The settings are right. Not the default: {changed}.")


@app.command(
    epilog=examples("dockbell config example", "dockbell config example > dockbell.toml")
)
def example() -> None:
    """Print a dockbell.toml with every setting, its meaning and its default, all commented out."""
    typer.echo(example_file(), nl=False)


def example_file() -> str:
    """A settings file that changes nothing until the `#` before a line is removed."""
    lines = [
        "# Settings of dockbell. Remove the `#` before a line to change it.",
        "# The environment (DOCKBELL_PORT=8080) and flags (--port 8080) beat this file.",
    ]
    for row in Settings().rows():
        lines += [
            "",
            *textwrap.wrap(row.about, _WIDTH, initial_indent="# ", subsequent_indent="# "),
        ]
        # JSON writes text, whole numbers, true, false and lists of them as TOML does.
        lines.append(f"#{row.name} = {json.dumps(row.value)}")
    return "\n".join(lines) + "\n"
