"""How every command is made, so that all look and behave the same."""

import typer


def new_command() -> typer.Typer:
    """A module that is one command: `dockbell serve`."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def new_group(about: str) -> typer.Typer:
    """A module of several commands: `dockbell users …`."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        callback=_group,
        help=about,
    )


def _group() -> None:
    """Without a callback, Typer would make a group of one command that command."""


def examples(*lines: str) -> str:
    """The end of a command's help, kept as it is written."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
