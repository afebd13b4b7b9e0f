"""`dockbell db`: the schema of the database."""

import asyncio

from dockbell.cli import flags, turns
from dockbell.cli.apps import examples, new_group
from dockbell.cli.failures import say
from dockbell.settings import Settings

app = new_group("Migrate the database, or check it.")


@app.command(
    epilog=examples(
        "dockbell db migrate",
        "dockbell db migrate --database-url postgresql://dockbell@db/dockbell",
    )
)
@flags.takes_settings(*flags.DATABASE)
def migrate(settings: Settings) -> None:
    """Bring the database to the newest schema. `serve` does so too when it starts."""
    from dockbell.cli import databases

    with turns.only_server(settings):
        changed = asyncio.run(databases.migrate(settings))
    say("The database is now at the newest schema." if changed else "Nothing to do.")


@app.command(epilog=examples("dockbell db check", "dockbell db check --data /var/lib/dockbell"))
@flags.takes_settings(*flags.DATABASE)
def check(settings: Settings) -> None:
    """Exit with 0 if the database is at a schema that this version works with and opens with the secret key, else with 1."""
    from dockbell.cli import databases

    asyncio.run(databases.check(settings))
    say("The database fits this version and the secret key.")
