"""The database for commands that work on it themselves, with no server in between."""

import contextlib
from collections.abc import AsyncIterator

from dockbell import bootstrap
from dockbell.observability import logs
from dockbell.settings import Settings
from dockbell.store.transactions import Store


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The database of a dockbell that is there. A server may run on it at the same time."""
    logs.configure(style=settings.log_format, level="warning")
    async with bootstrap.existing(settings) as store:
        yield store
