"""Tables for people, JSON for programs."""

import io
import json

import pytest
from rich.console import Console

from dockbell.cli.output import Shape, show_rows, table_of

ROWS = [
    {"name": "alice", "enabled": True, "hosts": ["a", "b"], "note": None},
    {"name": "[bold]bob[/bold]", "enabled": False, "hosts": [], "note": "x"},
]


def test_a_pipe_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, None)

    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_table_shows_the_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, Shape.TABLE)

    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["NAME", "ENABLED", "HOSTS", "NOTE"],
        ["alice", "yes", "a,", "b"],
        ["[bold]bob[/bold]", "no", "x"],
    ]


def test_a_table_writes_out_what_would_colour_or_break_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_rows([{"email": "a\x1b[31m\n\u202e@example.org"}], Shape.TABLE)

    assert capsys.readouterr().out.split() == ["EMAIL", r"a\x1b[31m\n\u202e@example.org"]


@pytest.mark.parametrize(
    ("width", "titles", "left_out"),
    [
        (None, "ID STATE TO LAST NEXT AT", []),
        (59, "ID STATE TO LAST NEXT AT", []),
        (58, "ID STATE TO LAST", ["next_at"]),
        (39, "ID STATE LAST", ["to", "next_at"]),
        (26, "ID STATE", ["to", "last", "next_at"]),
        (25, "ID STATE TO LAST NEXT AT", []),  # there is no room anyhow
    ],
)
def test_a_table_leaves_out_what_has_no_room(
    width: int | None, titles: str, left_out: list[str]
) -> None:
    row = {
        "id": "dlv_0123456789ab",
        "state": "waiting!",
        "to": "webhook",
        "last": "http_5xx",
        "next_at": "20:18:20 (host)",
    }
    table, gone = table_of([row], ("last", "to", "next_at"), width)

    assert (" ".join(str(one.header) for one in table.columns), gone) == (titles, left_out)
    if left_out and width is not None:
        console = Console(width=width, file=io.StringIO())
        with console.capture() as capture:
            console.print(table)
        shown = [str(value) for name, value in row.items() if name not in left_out]
        assert capture.get().splitlines()[1].split() == shown


@pytest.mark.parametrize(("shape", "expected"), [(Shape.JSON, "[]\n"), (Shape.TABLE, "")])
def test_nothing_to_list_is_no_error(
    shape: Shape, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rows([], shape)

    assert capsys.readouterr().out.strip() == expected.strip()
