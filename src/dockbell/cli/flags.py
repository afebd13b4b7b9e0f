"""Settings as flags of a command: made from the rules of the settings, so that none is forgotten."""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dockbell.settings import RULES, Settings, expectation, spoken_of

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The settings file. Default: dockbell.toml in the current folder, else in the data folder.",
        show_default=False,
    ),
]
# What every command that opens the database takes; a secret has no flag, because anybody can list processes.
DATABASE = ("data", "database_url")
ALL = tuple(name for name, rule in RULES.items() if not rule.is_secret)


def takes_settings(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flag `--config` and one for each of these settings.

    The command's first parameter is the loaded Settings; Typer does not see it.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        def loaded(*, config: Path | None = None, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in names}
            return command(load(config, flags), **given)

        own = list(inspect.signature(command).parameters.values())[1:]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name)
            )
            for name in names
        ]
        added.append(
            inspect.Parameter(
                "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigFile
            )
        )
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
        shown: Any = loaded  # what Typer reads
        shown.__signature__ = inspect.Signature(parameters)
        shown.__annotations__ = {one.name: one.annotation for one in parameters}
        shown.__doc__ = command.__doc__
        shown.__name__ = command.__name__
        return loaded

    return decorate


def load(config: Path | None = None, flags: dict[str, Any] | None = None) -> Settings:
    """The settings of this command line; a flag that is wrong is wrong usage."""
    for name, value in (flags or {}).items():
        if value is not None:
            _check(name, value)
    return Settings.load(environment=os.environ, folder=Path.cwd(), flags=flags, file=config)


def _check(name: str, value: object) -> None:
    try:
        RULES[name].read(value)
    except ValueError as error:
        raise typer.BadParameter(
            f"{spoken_of(name, value)} is not right{expectation(name, error)}",
            param_hint=f"'{_flag(name)}'",
        ) from error


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _option(name: str) -> Any:
    rule, default = RULES[name], getattr(Settings(), name)
    about = f"{rule.about} Default: {_said(name)}."
    if isinstance(default, bool):
        both = f"{_flag(name)}/--no-{_flag(name)[2:]}"
        return Annotated[bool | None, typer.Option(both, help=about, show_default=False)]
    kind = "NUMBER" if isinstance(default, int) else "TEXT"
    return Annotated[
        str | None, typer.Option(_flag(name), help=about, show_default=False, metavar=kind)
    ]


def _said(name: str) -> str:
    value = next(row.value for row in Settings().rows() if row.name == name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "empty"  # the same words as in docs/settings.md
    return str(value) or "empty"
