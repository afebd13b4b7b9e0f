"""`dockbell users`: accounts, by whoever may read the database."""

import asyncio
import secrets
import sys
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import Output, OutputOfOne, Shape, show_json, show_rows
from dockbell.domain.errors import InvalidRequestError
from dockbell.settings import Settings

app = new_group("Make and list users, set a new password.")

_PASSWORD_BYTES = 15

Name = Annotated[str, typer.Argument(help="The user's name.", show_default=False)]
Email = Annotated[str | None, typer.Option(help="An e-mail address.", show_default=False)]
IsSuperuser = Annotated[bool, typer.Option("--superuser", help="May manage all users.")]
FromStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="Read the password from the first line of the input. Without it, one is made up.",
    ),
]


@app.command(
    epilog=examples(
        "dockbell users create alice --email alice@example.org --superuser",
        "dockbell users create bob --password-stdin < password-of-bob",
    )
)
@flags.takes_settings(*flags.DATABASE)
def create(  # noqa: PLR0913 -- one argument for each thing that can be said
    settings: Settings,
    name: Name,
    *,
    email: Email = None,
    is_superuser: IsSuperuser = False,
    from_stdin: FromStdin = False,
    output: OutputOfOne = None,
) -> None:
    """Make a user and print their id. A password that was made up is shown once."""
    from dockbell.cli import accounts

    password = _password(from_stdin=from_stdin)
    user_id = asyncio.run(
        accounts.create_user(settings, name, email, password, is_superuser=is_superuser)
    )
    if output is Shape.JSON:
        made = {"id": user_id, "username": name, "email": email, "superuser": is_superuser}
        show_json(made if from_stdin else {**made, "password": password})
        return
    typer.echo(user_id)
    say(f"The user {name} is there." + ("" if from_stdin else f" Password: {password}"))


@app.command("list", epilog=examples("dockbell users list", "dockbell users list -o json"))
@flags.takes_settings(*flags.DATABASE)
def list_all(settings: Settings, *, output: Output = None) -> None:
    """List all users."""
    from dockbell.cli import accounts

    show_rows(asyncio.run(accounts.list_users(settings)), output)


@app.command(
    "reset-password",
    epilog=examples(
        "dockbell users reset-password alice",
        "dockbell users reset-password alice --password-stdin < new-password",
    ),
)
@flags.takes_settings(*flags.DATABASE)
def reset_password(settings: Settings, name: Name, *, from_stdin: FromStdin = False) -> None:
    """Give a user a new password. One that was made up is printed, this once."""
    from dockbell.cli import accounts

    password = _password(from_stdin=from_stdin)
    asyncio.run(accounts.set_password(settings, name, password))
    if not from_stdin:
        typer.echo(password)
    say(f"The user {name} has a new password.")


def _password(*, from_stdin: bool) -> str:
    if not from_stdin:
        return secrets.token_urlsafe(_PASSWORD_BYTES)
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InvalidRequestError(
            "--password-stdin was given, but the input has no first line."
        )
    return password
