"""Tags of a repository."""

from collections.abc import Sequence

from dockbell.domain.permissions import ReaderOf
from dockbell.store import tags
from dockbell.store.transactions import Tx


async def list_names(tx: Tx, reader: ReaderOf, *, after: str, limit: int) -> Sequence[str]:
    """At most `limit` tags in the order of their bytes, from behind `after`."""
    return await tags.names(tx, reader.repository.id, after=after, limit=limit)
