"""Who did what: the audit entries of a repository, a namespace or the whole server, for who may see them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dockbell.domain.accounts import Actor
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.permissions import SuperViewer, ViewerOf, ViewerOfNamespace
from dockbell.domain.records import AuditCount, AuditFilter, AuditRecord
from dockbell.services import organizations, repositories, users
from dockbell.store import audit_lists
from dockbell.store.transactions import Tx

Viewer = ViewerOf | ViewerOfNamespace | SuperViewer
PAGE_SIZE = 20  # Quay: so many on a page
_DAY = timedelta(days=1)
_LATEST = datetime.max.replace(tzinfo=UTC)


async def viewer_of(
    tx: Tx, actor: Actor, *, repository: str | None = None, organization: str | None = None
) -> Viewer:
    """The right to the entries of a repository, of an organization or, without either, of oneself. Or raise."""
    if repository is not None:
        return await repositories.viewer_of(tx, actor, repository)
    if organization is not None:
        return await organizations.viewer_of_entries(tx, actor, organization)
    return await users.admin_of_self(tx, actor)


def window(
    tx: Tx, since: datetime | None, until: datetime | None, performer: str | None
) -> AuditFilter:
    """From `since` on, or from a day ago, to the end of the day `until`, or to a day ahead.

    InvalidRequestError if it ends before it begins.
    """
    begin = tx.now - _DAY if since is None else since
    day = tx.now if until is None else until
    end = _LATEST if day > _LATEST - _DAY else day + _DAY
    if end < begin:
        raise InvalidRequestError("endtime must not be before starttime")
    return AuditFilter(since=begin, until=end, performer=performer)


async def list_page(
    tx: Tx,
    viewer: Viewer,
    wanted: AuditFilter,
    *,
    before: str,
) -> tuple[Sequence[AuditRecord], str | None]:
    """One page of entries, the newest first, before that id; and the id to go on from if there are more."""
    found = await audit_lists.list_page(tx, viewer, wanted, before=before, limit=PAGE_SIZE + 1)
    page = found[:PAGE_SIZE]
    return page, page[-1].id if len(found) > PAGE_SIZE else None


async def count_by_day(tx: Tx, viewer: Viewer, wanted: AuditFilter) -> Sequence[AuditCount]:
    """How often each kind of thing was done on each day."""
    return await audit_lists.count_by_day(tx, viewer, wanted)
