"""Where mail about a whole namespace goes: its own address, or those of its administrators."""

from collections.abc import Sequence

from sqlalchemy import select

from dockbell.domain import mailboxes
from dockbell.domain.accounts import NamespaceKind, TeamRole
from dockbell.store.tables import (
    authorized_emails,
    namespaces,
    notifications,
    repositories,
    team_members,
    teams,
    users,
)
from dockbell.store.transactions import Tx


async def find_of_owner(tx: Tx, notification_id: str) -> Sequence[str] | None:
    """The addresses for the mail of a namespace's notification; None if it is no namespace's."""
    row = await tx.first(
        select(notifications.c.namespace_id).where(
            notifications.c.id == notification_id,
            notifications.c.repository_id.is_(None),
            notifications.c.namespace_id.is_not(None),
        )
    )
    return None if row is None else await list_of_namespace(tx, row.namespace_id)


async def list_of_namespace(tx: Tx, namespace_id: str) -> Sequence[str]:
    """Where mail about the namespace itself goes: a user's is theirs.

    An organization's is its own address if the owner of that has agreed to mail about one of its repositories:
    anybody can write any address there (docs/decisions/0025). Else it is those of its administrators who may sign in,
    by name.
    """
    owner = await tx.first(
        select(namespaces.c.id, namespaces.c.kind, namespaces.c.email).where(
            namespaces.c.id == namespace_id
        )
    )
    if owner is None:
        return []
    if owner.kind == NamespaceKind.USER.value:
        return [owner.email] if _is_address(owner.email) else []
    if _is_address(owner.email) and await _has_agreed(tx, namespace_id, owner.email):
        return [owner.email]
    rows = await tx.rows(
        select(namespaces.c.name, namespaces.c.email)
        .distinct()
        .join(users, users.c.namespace_id == namespaces.c.id)
        .join(team_members, team_members.c.user_id == namespaces.c.id)
        .join(teams, teams.c.id == team_members.c.team_id)
        .where(
            teams.c.namespace_id == owner.id,
            teams.c.role == TeamRole.ADMIN.value,
            team_members.c.is_invited.is_(False),
            users.c.is_enabled.is_(True),
        )
        .order_by(namespaces.c.name)
    )
    return [row.email for row in rows if _is_address(row.email)]


async def _has_agreed(tx: Tx, namespace_id: str, email: str) -> bool:
    row = await tx.first(
        select(authorized_emails.c.id)
        .join(repositories, repositories.c.id == authorized_emails.c.repository_id)
        .where(
            repositories.c.namespace_id == namespace_id,
            authorized_emails.c.email == email,
            authorized_emails.c.confirmed_at.is_not(None),
        )
        .limit(1)
    )
    return row is not None


def _is_address(email: str | None) -> bool:
    return email is not None and mailboxes.problem(email) is None
