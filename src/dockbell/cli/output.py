"""What commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from dockbell.observability.logs import plain


class Shape(StrEnum):
    TABLE = "table"
    JSON = "json"


Output = Annotated[
    Shape | None,
    typer.Option(
        "--output",
        "-o",
        help="Default: a table on a terminal, JSON when the output goes to a file or a program.",
        show_default=False,
    ),
]


# For a command that makes one thing.
OutputOfOne = Annotated[
    Shape | None,
    typer.Option(
        "--output",
        "-o",
        help="`json` prints all that is known of it. Default: what a script takes on, alone.",
        show_default=False,
    ),
]


def is_json(shape: Shape | None) -> bool:
    return not sys.stdout.isatty() if shape is None else shape is Shape.JSON


def show_rows(rows: Sequence[Mapping[str, Any]], shape: Shape | None) -> None:
    """Print a list of equal objects."""
    if is_json(shape):
        show_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0] if rows else ():
        # An id that is folded cannot be copied.
        is_id = name == "id" or name.endswith("_id")
        table.add_column(name.upper().replace("_", " "), overflow="fold", no_wrap=is_id)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return escape(plain(", ".join(str(part) for part in value)))
    return escape("" if value is None else plain(str(value)))
