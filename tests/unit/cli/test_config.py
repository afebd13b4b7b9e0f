"""`dockbell config`: each value with its origin, and an example that is a valid file."""

import json
import tomllib
from pathlib import Path

import pytest

from dockbell.cli.app import run
from dockbell.cli.config import example_file
from dockbell.settings import MASK, RULES, Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_show_gives_each_setting_with_its_origin(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "dockbell.toml").write_text('log_level = "error"\n')
    monkeypatch.setenv("DOCKBELL_SECRET_KEY", "hush-hush")

    code = run(["config", "show", "--data", "there", "-o", "json"])

    shown = {
        row["name"]: (row["value"], row["origin"])
        for row in json.loads(capsys.readouterr().out)
    }
    defaults = {row.name: (row.value, "default") for row in Settings().rows()}
    assert code == 0
    assert shown == defaults | {
        "data": ("there", "--data"),
        "log_level": ("error", f"{folder}/dockbell.toml"),
        "secret_key": (MASK, "DOCKBELL_SECRET_KEY"),
    }


def test_show_as_a_table_has_a_line_for_each_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    code = run(["config", "show", "-o", "table"])

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert [line[0] for line in lines] == ["SETTING", *RULES]
    assert lines[2] == ["port", "8080", "default"]


def test_check_says_what_is_not_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    codes = [run(["config", "check"]), run(["config", "check", "--data", "there"])]

    assert codes == [0, 0]
    assert capsys.readouterr().err == (
        "The settings are right. Not the default: none.\n"
        "The settings are right. Not the default: data.\n"
    )


def test_the_example_changes_nothing_as_it_is(folder: Path) -> None:
    (folder / "dockbell.toml").write_text(example_file())

    settings = Settings.load(environment={}, folder=folder)

    assert (settings, settings.origins) == (Settings(), {})


def test_the_example_without_its_marks_holds_every_default(folder: Path) -> None:
    said = [
        line[1:] for line in example_file().splitlines() if line[:1] == "#" != line[1:2] != " "
    ]

    assert list(tomllib.loads("\n".join(said))) == list(RULES)
    (folder / "dockbell.toml").write_text(
        "\n".join(line for line in said if "data =" not in line)
    )
    assert Settings.load(environment={}, folder=folder) == Settings()
