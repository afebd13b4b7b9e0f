"""Which version this is, installed or in a checkout."""

from functools import cache
from pathlib import Path

_PROJECT = Path(__file__).parents[3] / "pyproject.toml"


@cache
def version() -> str:
    """The version of the checkout this file is in, else that of the installed package."""
    try:
        text = _PROJECT.read_text(encoding="utf-8")
    except OSError:
        return _installed()
    # Both take as long to load as all else of a small command, and most commands ask for no version.
    import tomllib  # noqa: PLC0415 -- see above

    try:
        project = tomllib.loads(text)["project"]
    except (KeyError, tomllib.TOMLDecodeError):
        return _installed()
    return str(project["version"]) if project.get("name") == "dockbell" else _installed()


def _installed() -> str:
    from importlib import metadata  # noqa: PLC0415 -- see above

    return metadata.version("dockbell")
