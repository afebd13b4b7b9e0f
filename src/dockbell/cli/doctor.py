"""`dockbell doctor`: what is wrong, and what to do about it."""

import asyncio
from collections import Counter
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_command
from dockbell.cli.failures import Code, say
from dockbell.domain.plain_text import plain
from dockbell.settings import Settings

app = new_command()

IsJson = Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")]
Name = Annotated[
    str | None,
    typer.Option(
        "--resolve", metavar="NAME", help="Look up this name too.", show_default=False
    ),
]


@app.command(
    epilog=examples(
        "dockbell doctor",
        "dockbell doctor --data /var/lib/dockbell --resolve hooks.example.org --json",
    )
)
@flags.takes_settings(*flags.ALL)
def doctor(settings: Settings, *, as_json: IsJson = False, name: Name = None) -> None:
    """Look at settings, files, database and queue; say of each whether it is well and what to do.

    It changes nothing, and a server may run meanwhile. Exit with 0 if nothing fails; warnings do not count.
    """
    from dockbell.cli import examinations
    from dockbell.cli.examinations import Verdict
    from dockbell.cli.output import show_json

    found = asyncio.run(examinations.examine(settings, name))
    if as_json:
        show_json(
            [
                {
                    "name": one.name,
                    "verdict": one.verdict,
                    "says": one.says,
                    "advice": one.advice,
                }
                for one in found
            ]
        )
    else:
        for one in found:
            typer.echo(f"{one.verdict:<5} {one.name:<16} {plain(one.says)}")
            if one.advice:
                typer.echo(f"{'':<22} → {plain(one.advice)}")
    counts = Counter(one.verdict for one in found)
    say(
        f"{counts[Verdict.OK]} ok, {counts[Verdict.WARN]} to look at, {counts[Verdict.FAIL]} failed."
    )
    if counts[Verdict.FAIL]:
        raise typer.Exit(int(Code.FAILED))
