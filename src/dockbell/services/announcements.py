"""Announcements: read by everybody, made and taken back by superusers."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor
from dockbell.domain.announcements import MOST, Announcement, MediaType, Severity
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.ids import is_uuid, uuid_of
from dockbell.domain.permissions import SuperUser
from dockbell.services import audit_entries
from dockbell.store import announcements
from dockbell.store.transactions import Tx


async def list_all(tx: Tx, actor: Actor) -> Sequence[Announcement]:
    """All of them, the oldest first. They are for everybody, also before they sign in."""
    del actor
    return await announcements.list_all(tx)


async def create(
    tx: Tx, superuser: SuperUser, severity: Severity, media_type: MediaType, content: str
) -> Announcement:
    """Tell everybody, until it is taken back."""
    if not content.strip():
        raise InvalidRequestError("'content' cannot be empty")
    if len(await announcements.list_all(tx)) >= MOST:
        raise InvalidRequestError(f"There are {MOST} messages already. Delete one first.")
    announcement_id = tx.new_id("ann")
    made = Announcement(
        announcement_id, uuid_of(announcement_id), severity, media_type, content, tx.now
    )
    await announcements.add(tx, made)
    await _note(tx, superuser, "create_message", uuid=made.uuid, severity=severity.value)
    return made


async def delete(tx: Tx, superuser: SuperUser, uuid: str) -> None:
    """Take one back. One that is not there is gone already."""
    # Quay: no error. Pinned by compat/test_announcements.py.
    if is_uuid(uuid) and await announcements.remove(tx, uuid):
        await _note(tx, superuser, "delete_message", uuid=uuid)


async def _note(tx: Tx, superuser: SuperUser, kind: str, **more: object) -> None:
    await audit_entries.write(
        tx, superuser.actor, kind, namespace_id=None, repository_id=None, metadata=more
    )
