"""`dockbell quotas`: how much namespaces store, by whoever may write the database."""

import asyncio

from dockbell.cli import flags
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.settings import Settings

app = new_group("Count anew what namespaces store.")


@app.command(
    epilog=examples(
        "dockbell quotas recount", "dockbell quotas recount --data /var/lib/dockbell"
    )
)
@flags.takes_settings(*flags.DATABASE)
def recount(settings: Settings) -> None:
    """Count anew how many bytes each namespace stores, each blob once, while a server may run.

    Limits that are reached by that are told of by the server within five minutes.
    """
    from dockbell.cli import quota_sums

    counted = asyncio.run(quota_sums.recount(settings))
    changed = sum(before != after for before, after in counted)
    say(
        f"{len(counted)} namespaces counted, {changed} of them stored something else than was noted."
    )
