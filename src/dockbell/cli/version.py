"""`dockbell version`."""

import platform
import sqlite3
from typing import Annotated

import typer

from dockbell.cli.apps import examples, new_command
from dockbell.cli.output import Output, is_json, show_json
from dockbell.observability.versions import version

app = new_command()


@app.command(epilog=examples("dockbell version", "dockbell version --short"))
def show(
    *,
    output: Output = None,
    short: Annotated[bool, typer.Option("--short", help="Only the number.")] = False,
) -> None:
    """Show the version of dockbell and of what it runs on."""
    parts = {
        "dockbell": version(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }
    if short:
        typer.echo(parts["dockbell"])
    elif is_json(output):
        show_json(parts)
    else:
        for name, number in parts.items():
            typer.echo(f"{name} {number}")
