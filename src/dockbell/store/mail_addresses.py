"""Where mail about a whole namespace goes: its own address, or those of its administrators."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, or_, select

from dockbell.domain import mailboxes
from dockbell.domain.accounts import NamespaceKind, Role, TeamRole
from dockbell.store.tables import (
    authorized_emails,
    namespaces,
    notifications,
    permissions,
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
        select(namespaces.c.email)
        .join(users, users.c.namespace_id == namespaces.c.id)
        .where(namespaces.c.id.in_(_administrators_of(owner.id)), users.c.is_enabled.is_(True))
        .order_by(namespaces.c.name)
    )
    return [row.email for row in rows if _is_address(row.email)]


async def list_of_owners(
    tx: Tx, namespace_id: str | None, repository_id: str | None
) -> Sequence[str]:
    """The confirmed addresses of those whose notification it is, each once.

    They are those of the accounts that own its namespace and administer its repository, once verified and while they may
    sign in; an organization's own in place of its administrators', if the owner of that has agreed. Without a namespace
    they are those of superusers.
    """
    if namespace_id is None:
        return await _verified(tx, users.c.is_superuser.is_(True))
    own = await tx.first(
        select(namespaces.c.email).where(
            namespaces.c.id == namespace_id,
            namespaces.c.kind == NamespaceKind.ORGANIZATION.value,
        )
    )
    agreed = []
    if own is not None and _is_address(own.email):
        agreed = [own.email] if await _has_agreed(tx, namespace_id, own.email) else []
    owners = namespaces.c.id.in_(_administrators_of(namespace_id))
    wanted = [namespaces.c.id == namespace_id, *([] if agreed else [owners])]
    if repository_id is not None:
        administrators = select(permissions.c.user_id).where(
            permissions.c.repository_id == repository_id,
            permissions.c.role == Role.ADMIN.value,
            permissions.c.user_id.is_not(None),
        )
        wanted.append(namespaces.c.id.in_(administrators))
    return list(dict.fromkeys([*agreed, *await _verified(tx, or_(*wanted))]))


def _administrators_of(namespace_id: str) -> Select[tuple[str]]:
    return (
        select(team_members.c.user_id)
        .join(teams, teams.c.id == team_members.c.team_id)
        .where(
            teams.c.namespace_id == namespace_id,
            teams.c.role == TeamRole.ADMIN.value,
            team_members.c.user_id.is_not(None),
            team_members.c.is_invited.is_(False),
        )
    )


async def _verified(tx: Tx, wanted: ColumnElement[bool]) -> Sequence[str]:
    """The verified addresses of these accounts, by name."""
    rows = await tx.rows(
        select(namespaces.c.email)
        .join(users, users.c.namespace_id == namespaces.c.id)
        .where(wanted, users.c.is_enabled.is_(True), users.c.email_verified.is_(True))
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
