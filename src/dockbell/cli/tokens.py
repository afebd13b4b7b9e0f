"""`dockbell tokens`: access tokens for the API, by whoever may read the database."""

import asyncio
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.cli.output import OutputOfOne, Shape, show_json
from dockbell.settings import Settings

app = new_group("Make access tokens for the API.")

_TEN_YEARS = 3652
_SCOPES = "repo:read repo:write repo:admin repo:create user:read user:admin org:admin"

Username = Annotated[
    str, typer.Argument(help="The user the token speaks for.", show_default=False)
]
Name = Annotated[str, typer.Option(help="What the token is for, as lists show it.")]
ScopeText = Annotated[
    str,
    typer.Option(
        help="What it may do, separated by spaces or commas. "
        "`super:user`, which manages all users, is only given when it is named.",
    ),
]
Days = Annotated[int, typer.Option(min=1, max=_TEN_YEARS, help="Days until it ends.")]


@app.command(
    epilog=examples(
        "dockbell tokens create alice",
        "TOKEN=$(dockbell tokens create ci --scope 'repo:read repo:admin' --days 90)",
    )
)
@flags.takes_settings(*flags.DATABASE)
def create(  # noqa: PLR0913 -- one argument for each thing that can be said
    settings: Settings,
    username: Username,
    *,
    name: Name = "command line",
    scope: ScopeText = _SCOPES,
    days: Days = _TEN_YEARS,
    output: OutputOfOne = None,
) -> None:
    """Make a token and print it, this once. It can do no more than the user may."""
    from dockbell.cli import accounts

    made = asyncio.run(
        accounts.create_token(settings, username, name=name, scope=scope, days=days)
    )
    if output is Shape.JSON:
        show_json(made)
        return
    typer.echo(made["token"])
    say(f"A token of {username} for {made['scope']}, until {made['expires_at']}.")
