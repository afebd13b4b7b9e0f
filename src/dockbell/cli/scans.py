"""`dockbell scans`: what scanners found, by whoever may write the database."""

import asyncio
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.settings import Settings

app = new_group("Have a Clair index what was pushed before it was there.")

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count the images, and change nothing.")
]


@app.command(
    epilog=examples(
        "dockbell scans index --dry-run", "dockbell scans index --data /var/lib/dockbell"
    )
)
@flags.takes_settings(*flags.DATABASE)
def index(settings: Settings, *, dry_run: DryRun = False) -> None:
    """Note each image that the Clair of `clair_url` has not reported on, while a server may run.

    The server asks about them within minutes, what was pushed last first, and about new ones before those.
    """
    from dockbell.cli import unscanned

    count = asyncio.run(unscanned.note(settings, is_dry=dry_run))
    say(f"{count} images {'would be' if dry_run else 'are'} noted.")
