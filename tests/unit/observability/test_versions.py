"""The version of a checkout."""

import tomllib
from pathlib import Path

from dockbell.observability.versions import version


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())

    assert version() == project["project"]["version"]
