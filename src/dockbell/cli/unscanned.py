"""Noting images that a Clair is to be asked about."""

from dockbell.cli import direct
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.errors import SetupError
from dockbell.services import clair_indexings
from dockbell.settings import Settings
from dockbell.sources.clair import SCANNER


async def note(settings: Settings, *, is_dry: bool) -> int:
    """How many images are noted, some in each transaction."""
    if not (settings.clair_url and settings.clair_index):
        raise SetupError("No server asks a Clair: set clair_url, and leave clair_index on.")
    count = 0
    after: tuple[str, str] | None = ("", "")
    async with direct.opened(settings) as store:
        while after is not None:
            async with store.begin() as tx:
                some, after = await clair_indexings.add_unscanned(
                    tx, SYSTEM, SCANNER.name, after=after, is_dry=is_dry
                )
            count += some
    return count
