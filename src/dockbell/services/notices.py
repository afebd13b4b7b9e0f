"""Notices: what a user finds in their in-app inbox."""

from collections.abc import Sequence

from dockbell.domain.ids import is_uuid
from dockbell.domain.notices import Notice
from dockbell.domain.permissions import Self
from dockbell.store import notices
from dockbell.store.transactions import Tx

_MOST_PER_PAGE = 100
_LAST_PAGE = 1_000_000  # far beyond any inbox, and small enough for a database's numbers


async def list_page(
    tx: Tx, me: Self, *, page: int, limit: int
) -> tuple[Sequence[Notice], bool]:
    """One page of what nobody dismissed, the newest first, and whether there is more after it.

    Pages count from 1, and page 0 is the first one too. A page has at most 100 notices.
    """
    size = min(limit, _MOST_PER_PAGE)
    offset = (min(max(page, 1), _LAST_PAGE) - 1) * size
    found = await notices.list_for(tx, me.namespace.id, offset=offset, limit=size + 1)
    return found[:size], len(found) > size


async def find(tx: Tx, me: Self, uuid: str) -> Notice | None:
    """The notice, dismissed or not, if this user may see it."""
    return await notices.find(tx, me.namespace.id, uuid) if is_uuid(uuid) else None


async def set_dismissed(tx: Tx, me: Self, uuid: str, *, is_dismissed: bool) -> Notice | None:
    """Hide the notice from lists, or show it again; return it as it is now, or None if there is none.

    A notice of an organization is one for all its admins.
    """
    if await find(tx, me, uuid) is None:
        return None
    await notices.set_dismissed(tx, uuid, is_dismissed=is_dismissed)
    return await find(tx, me, uuid)
