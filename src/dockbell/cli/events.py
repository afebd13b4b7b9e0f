"""`dockbell events`: what happened, by whoever may read the database."""

import asyncio
from typing import Annotated

import typer

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.settings import Settings

app = new_group("Forget what an event said.")

EventId = Annotated[
    str, typer.Argument(metavar="EVENT", help="The id, as evt_….", show_default=False)
]


@app.command(
    epilog=examples(
        "dockbell events expunge evt_01jd3k8m5v0000000000000001",
        "dockbell events expunge evt_01jd3k8m5v0000000000000001 --data /var/lib/dockbell",
    )
)
@flags.takes_settings(*flags.DATABASE)
def expunge(settings: Settings, event: EventId) -> None:
    """Forget for good what an event said, who did it, and what targets answered.

    That it happened, when, to which repository and how its deliveries ended stays. What still waits of it is
    cancelled, and nothing of it can be sent again. Backups and what was sent already are out of reach.
    """
    from dockbell.cli import event_bodies

    done = asyncio.run(event_bodies.expunge(settings, event))
    say(
        f"The event {event} is expunged: {done.attempts} tries and {done.notices} notices with it, "
        f"{done.cancelled} deliveries cancelled."
    )
