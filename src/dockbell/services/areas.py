"""The right to the repository that a list is about, however the caller names it."""

from dockbell.domain.accounts import Actor
from dockbell.domain.errors import ConfigError, NotFoundError
from dockbell.domain.permissions import AdminOf
from dockbell.services import repositories
from dockbell.store import event_lists, notification_lists
from dockbell.store.transactions import Tx


async def admin_of(
    tx: Tx,
    actor: Actor,
    *,
    repository: str | None = None,
    notification_id: str | None = None,
    event_id: str | None = None,
) -> AdminOf:
    """The right to administer the repository of this path, or that this notification or event belongs to.

    Raise ConfigError if none is named. Things of other people's repositories look unknown.
    """
    repositories.check_may_administer(actor)
    if repository is not None:
        return await repositories.admin_of(tx, actor, repository)
    if notification_id is not None:
        notification = await notification_lists.find(tx, notification_id)
        if notification is None:
            raise NotFoundError
        return await repositories.admin_by_id(tx, actor, notification.repository_id)
    if event_id is not None:
        event = await event_lists.find(tx, event_id)
        if event is None:
            raise NotFoundError
        return await repositories.admin_by_id(tx, actor, event.repository_id)
    raise ConfigError("Name a repository, a notification or an event", field="repository")
