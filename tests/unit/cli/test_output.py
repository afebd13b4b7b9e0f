"""Tables for people, JSON for programs."""

import json

import pytest

from dockbell.cli.output import Shape, show_rows

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


@pytest.mark.parametrize(("shape", "expected"), [(Shape.JSON, "[]\n"), (Shape.TABLE, "")])
def test_nothing_to_list_is_no_error(
    shape: Shape, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rows([], shape)

    assert capsys.readouterr().out.strip() == expected.strip()
