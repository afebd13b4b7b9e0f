"""What `db` does with the database."""

from dockbell import bootstrap
from dockbell.cli.direct import opened
from dockbell.observability import logs
from dockbell.settings import Settings
from dockbell.store import schema


async def migrate(settings: Settings) -> bool:
    """Bring the database to the newest schema; return whether it was not there yet."""
    logs.configure(style=settings.log_format, level="warning")
    application = bootstrap.build(settings)
    try:
        was_settled = await schema.is_settled(application.store)
        await application.prepare()
    finally:
        await application.close()
    return not was_settled


async def check(settings: Settings) -> None:
    """Raise SetupError if the database is older or newer than this program, or was written with another key."""
    async with opened(settings):
        pass
