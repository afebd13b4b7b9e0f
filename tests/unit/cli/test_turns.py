"""One server per SQLite database."""

import os
from pathlib import Path

import pytest

from dockbell.cli import turns
from dockbell.domain.errors import SetupError
from dockbell.settings import Settings


def test_the_second_is_told_who_serves(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "new" / "data")

    with (
        turns.only_server(settings),
        pytest.raises(SetupError) as caught,
        turns.only_server(settings),
    ):
        pass

    assert caught.value.detail == (
        f"Another dockbell (process {os.getpid()}) already serves {settings.sqlite_file}. "
        "Stop that one, or choose another folder with --data."
    )


def test_the_same_database_by_another_name_is_the_same(tmp_path: Path) -> None:
    by_folder = Settings(data=tmp_path)
    by_address = Settings(data=tmp_path / "x", database_url=f"sqlite:///{tmp_path}/dockbell.db")

    with turns.only_server(by_folder), pytest.raises(SetupError), turns.only_server(by_address):
        pass


def test_the_next_may_serve_after_the_first(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)

    with turns.only_server(settings):
        pass
    with turns.only_server(settings):
        held = (tmp_path / "dockbell.db.lock").read_text()

    assert held == str(os.getpid())


def test_on_postgresql_many_serve(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database_url="postgresql://db/bell")

    with turns.only_server(settings), turns.only_server(settings):
        made = list(tmp_path.iterdir())

    assert made == []


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")

    with (
        pytest.raises(SetupError) as caught,
        turns.only_server(Settings(data=tmp_path / "data")),
    ):
        pass

    assert caught.value.detail == (
        f"The folder {tmp_path}/data cannot be used: File exists. "
        "Choose another with --data, or give this user the right to write there."
    )
