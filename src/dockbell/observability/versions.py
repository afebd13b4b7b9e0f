"""Which version this is, installed or in a checkout."""

import tomllib
from importlib import metadata
from pathlib import Path

_PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def version() -> str:
    """The version of the checkout this file is in, else that of the installed package."""
    try:
        project = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return metadata.version("dockbell")
    if project.get("name") != "dockbell":
        return metadata.version("dockbell")
    return str(project["version"])
