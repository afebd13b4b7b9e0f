"""Notices: lines in the in-app inboxes of users and organizations."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, case, insert, or_, select, update

from dockbell.domain.accounts import NamespaceKind, Role, TeamRole
from dockbell.domain.ids import uuid_of
from dockbell.domain.methods import Recipient
from dockbell.domain.notices import Notice
from dockbell.store.tables import (
    namespaces,
    notices,
    permissions,
    team_members,
    teams,
    users,
)
from dockbell.store.transactions import Tx


def _recipients(recipient: Recipient, namespace: str) -> Select[Any] | None:
    """The ids of the namespaces whose inbox is meant; None for a kind that does not exist."""
    if recipient.kind == "user":
        return select(namespaces.c.id).where(
            namespaces.c.name == recipient.name, namespaces.c.kind == NamespaceKind.USER.value
        )
    if recipient.kind == "org":
        # Only the organization that the event is about: nobody rings a stranger's bell.
        return select(namespaces.c.id).where(
            namespaces.c.name == recipient.name,
            namespaces.c.name == namespace,
            namespaces.c.kind == NamespaceKind.ORGANIZATION.value,
        )
    if recipient.kind == "team":
        return (
            select(team_members.c.user_id.label("id"))
            .join(teams, teams.c.id == team_members.c.team_id)
            .join(namespaces, namespaces.c.id == teams.c.namespace_id)
            .where(
                namespaces.c.name == namespace,
                teams.c.name == recipient.name,
                team_members.c.user_id.is_not(None),
                team_members.c.is_invited.is_(False),
            )
            .order_by(team_members.c.user_id)
        )
    return None


async def put(  # noqa: PLR0913 -- one argument for each thing a notice holds
    tx: Tx,
    *,
    kind: str,
    metadata: Mapping[str, object],
    delivery_id: str,
    recipient: Recipient,
    namespace: str,
) -> int:
    """Put a line into each recipient's inbox, once per delivery; return how many recipients have it now.

    A team counts as it stands now: its members, without those only invited and without robots.
    `namespace` is the one the event is about.
    """
    wanted = _recipients(recipient, namespace)
    if wanted is None:
        return 0
    found = [row.id for row in await tx.rows(wanted)]
    if not found:
        return 0
    rows = [_row(tx, namespace_id, kind, metadata, delivery_id) for namespace_id in found]
    statement = tx.dialect.insert(notices)
    await tx.run(
        statement.on_conflict_do_nothing(index_elements=["delivery_id", "namespace_id"]), rows
    )
    return len(found)


async def tell_owners(
    tx: Tx,
    *,
    kind: str,
    metadata: Mapping[str, object],
    namespace_id: str | None,
    repository_id: str | None,
) -> None:
    """Put a line into the inbox of the namespace, which its owner sees, and of the repository's other administrators.

    Without a namespace the server's superusers get it.
    """
    if namespace_id is None:
        superusers = select(users.c.namespace_id).where(
            users.c.is_superuser.is_(True), users.c.is_enabled.is_(True)
        )
        inboxes = sorted(row.namespace_id for row in await tx.rows(superusers))
        if inboxes:
            await tx.run(
                insert(notices), [_row(tx, one, kind, metadata, None) for one in inboxes]
            )
        return
    administrators = select(permissions.c.user_id).where(
        permissions.c.repository_id == repository_id,
        permissions.c.role == Role.ADMIN.value,
        permissions.c.user_id.is_not(None),
        permissions.c.user_id != namespace_id,
    )
    found = [namespace_id]
    if repository_id is not None:
        found += sorted(row.user_id for row in await tx.rows(administrators))
    await tx.run(insert(notices), [_row(tx, inbox, kind, metadata, None) for inbox in found])


async def tell_once(
    tx: Tx, *, kind: str, metadata: Mapping[str, object], namespace_id: str
) -> bool:
    """Put a line into the inbox of the namespace, unless the same one is there and nobody dismissed it; return whether it was put."""
    rows = await tx.rows(
        select(notices.c.metadata).where(
            notices.c.namespace_id == namespace_id,
            notices.c.kind == kind,
            notices.c.is_dismissed.is_(False),
        )
    )
    if any(row.metadata == metadata for row in rows):
        return False
    await tx.run(insert(notices), [_row(tx, namespace_id, kind, metadata, None)])
    return True


def _row(
    tx: Tx,
    namespace_id: str,
    kind: str,
    metadata: Mapping[str, object],
    delivery_id: str | None,
) -> Mapping[str, object]:
    notice_id = tx.new_id("ntc")
    return {
        "id": notice_id,
        "uuid": uuid_of(notice_id),
        "namespace_id": namespace_id,
        "kind": kind,
        "metadata": metadata,
        "is_dismissed": False,
        "delivery_id": delivery_id,
        "created_at": tx.now,
    }


def _visible(user_id: str) -> Select[Any]:
    """The notices of the user, and of each organization where they sit in a team with the role admin."""
    administered = (
        select(teams.c.namespace_id)
        .join(team_members, team_members.c.team_id == teams.c.id)
        .where(
            team_members.c.user_id == user_id,
            team_members.c.is_invited.is_(False),
            teams.c.role == TeamRole.ADMIN.value,
        )
    )
    organization = case(
        (namespaces.c.kind == NamespaceKind.ORGANIZATION.value, namespaces.c.name), else_=None
    )
    return (
        select(
            notices.c.uuid,
            organization.label("organization"),
            notices.c.kind,
            notices.c.metadata,
            notices.c.is_dismissed,
            notices.c.created_at,
        )
        .join(namespaces, namespaces.c.id == notices.c.namespace_id)
        .where(or_(notices.c.namespace_id == user_id, notices.c.namespace_id.in_(administered)))
    )


def _of_row(row: Any) -> Notice:
    return Notice(
        uuid=row.uuid,
        organization=row.organization,
        kind=row.kind,
        metadata=row.metadata,
        is_dismissed=row.is_dismissed,
        created_at=row.created_at,
    )


async def list_for(tx: Tx, user_id: str, *, offset: int, limit: int) -> Sequence[Notice]:
    """What the user sees and nobody dismissed, the newest first. One query."""
    rows = await tx.rows(
        _visible(user_id)
        .where(notices.c.is_dismissed.is_(False))
        .order_by(notices.c.created_at.desc(), notices.c.id.desc())
        .offset(offset)
        .limit(limit)
    )
    return [_of_row(row) for row in rows]


async def find(tx: Tx, user_id: str, uuid: str) -> Notice | None:
    """The notice, dismissed or not, if the user may see it."""
    row = await tx.first(_visible(user_id).where(notices.c.uuid == uuid))
    return None if row is None else _of_row(row)


async def set_dismissed(tx: Tx, uuid: str, *, is_dismissed: bool) -> None:
    """Hide the notice from lists, or show it again, for all who share it."""
    await tx.run(
        update(notices).where(notices.c.uuid == uuid).values(is_dismissed=is_dismissed)
    )


async def dismiss_of_delivery(tx: Tx, delivery_id: str) -> None:
    """Hide what one delivery, or one invitation, put into inboxes."""
    await tx.run(
        update(notices).where(notices.c.delivery_id == delivery_id).values(is_dismissed=True)
    )
