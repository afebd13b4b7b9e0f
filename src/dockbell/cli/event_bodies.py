"""What `events` does with the database, as the operator of the server."""

from dockbell.cli.direct import opened
from dockbell.domain.accounts import SYSTEM
from dockbell.services import event_bodies, users
from dockbell.settings import Settings
from dockbell.store import history
from dockbell.store.history import Expunged


async def expunge(settings: Settings, event_id: str) -> Expunged:
    """Forget what the event said, and have the database give up the old versions of its rows."""
    async with opened(settings) as store:
        async with store.begin() as tx:
            superuser = await users.superuser(tx, SYSTEM)
            done = await event_bodies.expunge(tx, superuser, event_id)
        await history.sweep(store)
        return done
