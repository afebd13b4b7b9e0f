"""The version that others see is the one that is released."""

import tomllib
from pathlib import Path

from dockbell.domain import product


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).parents[3] / "pyproject.toml"

    released = tomllib.loads(project.read_text())["project"]

    assert (released["name"], released["version"]) == (product.NAME, product.VERSION)
