"""Where mail about a whole namespace goes: its own address, or those of its administrators."""

from collections.abc import Sequence

from sqlalchemy import select

from dockbell.domain import mailboxes
from dockbell.domain.accounts import NamespaceKind, TeamRole
from dockbell.store.tables import namespaces, notifications, team_members, teams, users
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
    """The namespace's own address; if it has none, those of its administrators who may sign in, by name."""
    owner = await tx.first(
        select(namespaces.c.id, namespaces.c.kind, namespaces.c.email).where(
            namespaces.c.id == namespace_id
        )
    )
    if owner is None:
        return []
    if _is_address(owner.email):
        return [owner.email]
    if owner.kind == NamespaceKind.USER.value:
        return []
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


def _is_address(email: str | None) -> bool:
    return email is not None and mailboxes.problem(email) is None
