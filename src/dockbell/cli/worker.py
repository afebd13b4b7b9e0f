"""`dockbell worker`."""

import dataclasses

from dockbell.cli import flags, imports, signals
from dockbell.cli.apps import examples, new_command
from dockbell.domain.errors import SetupError
from dockbell.settings import Settings

app = new_command()


@app.command(
    epilog=examples(
        "DOCKBELL_DATABASE_URL=postgresql://dockbell@db/dockbell dockbell worker",
        "dockbell worker --config /etc/dockbell/dockbell.toml --concurrency 512",
    )
)
@flags.takes_settings(*(name for name in flags.ALL if name not in {"host", "port", "engine"}))
def worker(settings: Settings) -> None:
    """Deliver only: one more engine process on a PostgreSQL database that `serve` uses too.

    It needs the same secret key and the same public URL as the server. It ends like `serve`.
    """
    if settings.is_sqlite:
        raise SetupError(
            "`worker` needs PostgreSQL, and the database is SQLite, where `serve` delivers by itself. "
            "Set DOCKBELL_DATABASE_URL=postgresql://user@host/name."
        )
    with signals.end_at_once():
        with imports.quick():
            from dockbell.cli import serving
        serving.run(dataclasses.replace(settings, engine=True), None)
