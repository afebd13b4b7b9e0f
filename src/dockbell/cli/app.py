"""The root of the command line. A command's module is imported only when that command is used."""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dockbell.cli import failures
from dockbell.cli.apps import Taking, examples
from dockbell.observability.versions import version

# Each command with its one line of help; its module has the same name and holds a Typer called `app`.
COMMANDS = {
    "serve": "Start the server.",
    "worker": "Deliver only, on a shared PostgreSQL database.",
    "demo": "See a push ring the bell.",
    "users": "Make and list users, set a new password.",
    "tokens": "Make access tokens for the API.",
    "deliveries": "List deliveries, watch them live, send them again.",
    "events": "Forget what an event said.",
    "import": "Move in from a Quay.",
    "export": "Print what this server holds.",
    "blobs": "Free the space of what nobody needs.",
    "quotas": "Count anew what namespaces store.",
    "scans": "Have a Clair index what was pushed before it was there.",
    "config": "Show, check and explain the settings.",
    "db": "Migrate the database, or check it.",
    "keys": "Make, rotate and retire a secret key.",
    "doctor": "Say what is wrong and what to do.",
    "healthcheck": "Ask a running server whether it is ready.",
    "bench": "Measure this machine.",
    "version": "Show the version.",
}


class _Late(TyperCommand):
    """Stands for a command in the list of commands; becomes it when it is used."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        return self._load().make_context(info_name, args, parent=parent, **extra)

    def _load(self) -> Any:
        module = importlib.import_module(f"dockbell.cli.{self.name}")
        return typer.main.get_command(module.app)


class Commands(Taking, TyperGroup):
    """The commands of `COMMANDS`, in that order."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = {
            name: _Late(name, help=about, callback=_nothing) for name, about in COMMANDS.items()
        }

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            # Words of the library that reads the arguments, for who writes programs with it.
            error.message = error.message.removeprefix("Value error, ")
            raise


def _nothing() -> None:
    """A command without a callback would not be listed as one."""


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 -- called so by Typer
    if wanted:
        typer.echo(f"dockbell {version()}")
        raise typer.Exit


@app.callback(
    epilog=examples("dockbell serve --port 8080", "dockbell users create alice --superuser")
)
def root(
    *,
    shows_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Tell people and programs, reliably and safely, when something happens to container images.

    Settings come from dockbell.toml, then from the environment (DOCKBELL_PORT=8080), then from flags; the
    later beats the earlier.

    Exit codes: 0 done, 1 not done, 2 wrong usage, 3 not found, 4 not allowed, 5 the server or the database
    cannot be reached, 6 this version is too old for the database.
    """
    del shows_version


def run(words: Sequence[str]) -> int:
    """Run one command line; return the exit code. What went wrong is said on stderr in plain words."""
    # Databases, keys and blobs are nobody else's, whatever the shell that starts us would give away.
    before = os.umask(0o077)
    try:
        with failures.explained():
            typer.main.get_command(app).main(args=list(words), prog_name="dockbell")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    finally:
        os.umask(before)
        sys.stdout.flush()
        failures.let_go_of_lines()
    return 0
