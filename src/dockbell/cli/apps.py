"""How every command is made, so that all look and behave the same."""

from enum import Enum
from functools import partial
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup


class Taking:
    """A command, or a group of them, that takes a value which needs no check without one.

    Typer hands every value, also that of a flag which was not given, to a checker that another library makes for it.
    Loading that library takes longer than most commands do.
    """

    def get_params(self, ctx: Any) -> Any:
        mine: Any = super()
        found = mine.get_params(ctx)
        for one in found:
            if "process_value" not in vars(one):
                one.process_value = partial(_processed, one, one.process_value)
        return found


def _processed(parameter: Any, checked: Any, context: Any, value: Any) -> Any:
    is_list = parameter.multiple or parameter.nargs != 1
    if value is None and not parameter.required:
        taken: Any = () if is_list else None
    else:
        # Other versions of Typer have no such thing, and check as they do.
        kind = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
        taken = _list_taken(kind, value) if is_list else _taken(kind, value)
        if taken is None:
            return checked(context, value)
    return (
        taken if parameter.callback is None else parameter.callback(context, parameter, taken)
    )


def _list_taken(kind: Any, values: Any) -> list[Any] | None:
    if not values or get_origin(kind) is not list:
        return None
    taken = [_taken(get_args(kind)[0], one) for one in values]
    return None if None in taken else taken


def _taken(kind: Any, value: Any) -> Any:
    """The value as the command takes it; None if only a check can tell."""
    if type(value) is kind:
        return value
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((one for one in kind if one.value == value), None)
    return None


class _Command(Taking, TyperCommand):
    pass


class _Group(Taking, TyperGroup):
    pass


class _App(typer.Typer):
    def command(self, name: str | None = None, **given: Any) -> Any:
        return super().command(name, **{"cls": _Command, **given})


def new_command() -> typer.Typer:
    """A module that is one command: `dockbell serve`."""
    return _App(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def new_group(about: str) -> typer.Typer:
    """A module of several commands: `dockbell users …`."""
    return _App(
        cls=_Group,
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
