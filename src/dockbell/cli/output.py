"""What commands print: a table for people, JSON for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dockbell.cli.failures import say
from dockbell.domain.plain_text import plain

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 1  # between columns where room is scarce
_ROOM_IN_A_FILE = 10_000  # columns
_TEXT = 16  # columns that a text needs, to be read at all


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


def show_rows(
    rows: Sequence[Mapping[str, Any]], shape: Shape | None, *, spare: Sequence[str] = ()
) -> None:
    """Print a list of equal objects.

    On a terminal too narrow for all columns of a table, those in `spare` that have no room are left out, the most
    important of them come first; with a word on stderr.
    """
    if is_json(shape):
        show_json(rows)
        return
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    # A file has as much room as a row takes: an id that is cut is none.
    console = Console(width=None if is_terminal else _ROOM_IN_A_FILE)
    table, left_out = table_of(rows, spare, console.width if is_terminal else None)
    console.print(table)
    if left_out:
        say(f"No room for {', '.join(left_out)}: a wider terminal or `-o json` shows them.")


def table_of(
    rows: Sequence[Mapping[str, Any]], spare: Sequence[str], width: int | None
) -> "tuple[Table, Sequence[str]]":
    """The table of the columns that there is room for in that width, and the names of the others."""
    from rich.table import Table

    cells = {name: [_cell(row[name]) for row in rows] for name in (rows[0] if rows else ())}
    kept = list(cells) if width is None or not spare else _fitting(cells, spare, width)
    padding = (0, _GAP, 0, 0) if spare else (0, 1)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
    for name in kept or cells:
        # An id that is folded cannot be copied.
        is_id = name == "id" or name.endswith("_id")
        is_whole = bool(spare and kept) and not _is_text(cells[name])
        table.add_column(_title(name), overflow="fold", no_wrap=is_id or is_whole)
    for line in zip(*(cells[name] for name in kept or cells), strict=True):
        table.add_row(*line)
    return table, [name for name in cells if kept and name not in kept]


def _fitting(
    cells: Mapping[str, Sequence[str]], spare: Sequence[str], width: int
) -> Sequence[str]:
    """The columns, in their order, that fit without breaking a word; none if even those that must stay do not."""
    needs = {name: _GAP + _width_of(name, column) for name, column in cells.items()}
    kept = [name for name in cells if name not in spare]
    left = width - sum(needs[name] for name in kept)
    for name in spare:
        if needs[name] <= left:
            kept.append(name)
            left -= needs[name]
    return [name for name in cells if name in kept] if left >= 0 else ()


def _width_of(name: str, column: Sequence[str]) -> int:
    from rich.cells import cell_len

    longest = max(cell_len(one) for one in (_title(name), *column))
    return min(longest, _TEXT) if _is_text(column) else longest


def _is_text(column: Sequence[str]) -> bool:
    """Whether its cells can be broken between words."""
    return any(len(one) > _TEXT and " " in one for one in column)


def _title(name: str) -> str:
    return name.upper().replace("_", " ")


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return escape(plain(", ".join(str(part) for part in value)))
    return escape("" if value is None else plain(str(value)))
