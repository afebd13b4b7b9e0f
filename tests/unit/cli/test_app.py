"""The command line as a whole: every command has help with examples, and errors are words with an exit code."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from dockbell.cli import app as root
from dockbell.observability.versions import version


def commands_of(name: str) -> Iterator[tuple[str, Any]]:
    command = typer.main.get_command(importlib.import_module(f"dockbell.cli.{name}").app)
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for sub, one in inner.items():
        yield f"{name} {sub}", one


@pytest.mark.parametrize("name", root.COMMANDS)
def test_every_command_explains_itself_with_two_examples(name: str) -> None:
    lacking = []
    for path, command in commands_of(name):
        lines = [
            line for line in (command.epilog or "").splitlines() if f"dockbell {path}" in line
        ]
        if not command.help or len(lines) < 2:
            lacking.append(path)

    assert lacking == []


@pytest.mark.parametrize("name", root.COMMANDS)
def test_every_option_explains_itself(name: str) -> None:
    silent = [
        f"{path} {parameter.name}"
        for path, command in commands_of(name)
        for parameter in command.params
        if not getattr(parameter, "help", None)
    ]

    assert silent == []


def test_the_list_of_commands_imports_none_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    code = root.run(["--help"])

    shown = capsys.readouterr().out
    listed = shown.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert code == 0
    assert [line.split()[0] for line in listed] == list(root.COMMANDS)
    assert [line.split(maxsplit=1)[1] for line in listed] == list(root.COMMANDS.values())


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code = root.run(["swerve"])

    said = capsys.readouterr().err.splitlines()[-1]
    assert (code, said) == (2, "Error: No such command 'swerve'. Did you mean 'serve'?")


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code = root.run([])
    shown = capsys.readouterr()
    root.run(["--help"])

    assert code == 2
    assert "".join(shown) == "".join(capsys.readouterr())


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [root.run(["--version"]), root.run(["version", "--short"])]

    assert codes == [0, 0]
    assert capsys.readouterr().out == f"dockbell {version()}\n{version()}\n"


def test_a_wrong_flag_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code = root.run(["serve", "--port", "eighty"])

    assert code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: Invalid value for '--port': `eighty` is not right. Expected a whole number from 0 to 65535."
    )


def test_a_word_that_is_none_of_the_choices_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = root.run(["deliveries", "list", "-r", "acme/web", "--state", "deliverd"])

    assert code == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "Error: Invalid value for '--state': 'deliverd' is not one of "
        "'waiting', 'sending', 'delivered', 'dead', 'cancelled', 'expired'."
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["list"],
            "Invalid value for '--repository' / '--namespace' / '--instance' / '--notification' / '--event-id': Name one of them.",
        ),
        (["tail"], "Invalid value for '--repository' / '--namespace': Name one of them."),
        (
            ["tail", "-r", "acme/web", "--namespace", "acme"],
            "Invalid value for '--repository' / '--namespace': Name only one of them.",
        ),
    ],
)
def test_deliveries_of_no_place_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code = root.run(["deliveries", *words])

    assert (code, capsys.readouterr().err.splitlines()[-1]) == (2, f"Error: {said}")


def test_a_wrong_database_flag_is_told_without_its_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = root.run(["db", "check", "--database-url", "postgresql://bell:hush@db:99999/bell"])

    said = capsys.readouterr().err
    assert (
        code,
        said.count("hush"),
        said.count("`postgresql://bell:********@db:99999/bell`"),
    ) == (
        2,
        0,
        1,
    )


def test_a_wrong_setting_is_plain_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKBELL_PROT", "1")
    monkeypatch.setenv("DOCKBELL_PORT", "eighty")

    code = root.run(["config", "check"])

    assert code == 1
    assert capsys.readouterr() == (
        "",
        (
            "dockbell: The environment variable DOCKBELL_PROT is not known. Did you mean `DOCKBELL_PORT`?\n"
            "dockbell: port: `eighty` from DOCKBELL_PORT is not right. "
            "Expected a whole number from 0 to 65535.\n"
        ),
    )


def test_a_worker_on_sqlite_is_refused_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = root.run(["worker"])

    assert code == 1
    assert capsys.readouterr().err == (
        "dockbell: `worker` needs PostgreSQL, and the database is SQLite, where `serve` delivers by itself. "
        "Set DOCKBELL_DATABASE_URL=postgresql://user@host/name.\n"
    )


def test_a_new_key_is_one_that_the_seal_takes(capsys: pytest.CaptureFixture[str]) -> None:
    from dockbell.store import seals  # noqa: PLC0415 -- beside its one use

    code = root.run(["keys", "new"])

    key = seals.of_text(capsys.readouterr().out)
    assert code == 0
    assert seals.Seal(key).open(seals.Seal(key).close(b"bell")) == b"bell"
