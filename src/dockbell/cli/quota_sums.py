"""Counting anew what namespaces store."""

from collections.abc import Sequence

from dockbell.cli import direct
from dockbell.domain.accounts import SYSTEM
from dockbell.services import quotas
from dockbell.settings import Settings


async def recount(settings: Settings) -> Sequence[tuple[int, int]]:
    """The sum of each namespace as it was and as it is, each in a transaction of its own."""
    counted = []
    async with direct.opened(settings) as store:
        async with store.read() as tx:
            wanted = await quotas.list_counted(tx, SYSTEM)
        for namespace_id in wanted:
            async with store.begin() as tx:
                counted.append(await quotas.recount(tx, SYSTEM, namespace_id))
    return counted
