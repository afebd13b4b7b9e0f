"""What this server holds, for whoever operates it: to compare it with another, or to look it over."""

from collections.abc import Sequence

from dockbell.domain.accounts import NamespaceKind
from dockbell.domain.inventories import (
    HeldChoices,
    HeldDefaultRole,
    HeldMirror,
    HeldNamespace,
    HeldNotification,
    HeldQuota,
    HeldRepository,
    HeldRobot,
    HeldRule,
    HeldTeam,
    HeldUser,
)
from dockbell.domain.names import is_namespace
from dockbell.domain.notifications import Notification
from dockbell.domain.permissions import AdminOf, AdminOfAll, AdminOfPlace, SuperUser
from dockbell.domain.repositories import Repository, RepositoryState
from dockbell.domain.standings import FAILURE_LIMIT
from dockbell.domain.tls import Tls
from dockbell.store import (
    authorized_emails,
    default_roles,
    immutability,
    mirrors,
    namespaces,
    notification_lists,
    permissions,
    quotas,
    robots,
    teams,
)
from dockbell.store import repositories as repository_rows
from dockbell.store import users as user_rows
from dockbell.store.immutability import RulesOf
from dockbell.store.transactions import Tx

_PAGE = 200


async def list_users(tx: Tx, superuser: SuperUser) -> Sequence[HeldUser]:
    """Every account, by name."""
    del superuser
    return [
        HeldUser(one.namespace.name, one.namespace.email, one.is_enabled)
        for one in await user_rows.list_all(tx)
    ]


async def list_namespaces(tx: Tx, superuser: SuperUser) -> Sequence[str]:
    """The name of every user and organization."""
    del superuser
    return [one.name for one in await namespaces.list_all(tx)]


async def find_namespace(tx: Tx, superuser: SuperUser, name: str) -> HeldNamespace | None:
    """The user or organization with its teams, robots, default roles, quota, and the notifications that are its own."""
    found = await namespaces.find(tx, name) if is_namespace(name) else None
    if found is None:
        return None
    held = []
    for counted in await teams.list_for(tx, found.id):
        members = await teams.list_members(tx, counted.team.id, with_invited=False)
        held.append(
            HeldTeam(
                counted.team.name,
                counted.team.role,
                counted.team.description,
                tuple(one.holder.name for one in members),
            )
        )
    return HeldNamespace(
        name=name,
        is_organization=found.kind is NamespaceKind.ORGANIZATION,
        email=found.email,
        teams=tuple(held),
        robots=tuple(
            HeldRobot(robot.name.removeprefix(f"{name}+"), robot.description)
            for robot, _ in await robots.list_for(tx, found.id, None)
        ),
        default_roles=await _default_roles(tx, found.id),
        quota=await _quota(tx, found.id),
        notifications=await _notifications(tx, AdminOfAll(superuser.actor, found)),
        immutable_tags=await _immutable_tags(tx, RulesOf.namespace(found.id)),
    )


async def _default_roles(tx: Tx, namespace_id: str) -> tuple[HeldDefaultRole, ...]:
    return tuple(
        HeldDefaultRole(
            holder=str(one.team) if one.holder is None else one.holder.name,
            is_team=one.holder is None,
            creator=None if one.creator is None else one.creator.name,
            role=one.role,
        )
        for one in await default_roles.list_for(tx, namespace_id)
    )


async def _quota(tx: Tx, namespace_id: str) -> HeldQuota | None:
    found = await quotas.find(tx, namespace_id)
    if found is None:
        return None
    limits = frozenset((one.kind.value, one.percent) for one in found.limits)
    return HeldQuota(found.limit_bytes, limits)


async def list_repositories(
    tx: Tx, superuser: SuperUser, namespace: str, *, after: str
) -> tuple[Sequence[Repository], str | None]:
    """Some of the namespace's repositories after that id, and the id to go on from if there are more."""
    found = await repository_rows.list_visible(
        tx,
        superuser.actor.id,
        namespace=namespace,
        with_public=False,
        sees_all=True,
        after=after,
        limit=_PAGE + 1,
    )
    page = found[:_PAGE]
    return page, page[-1].id if len(found) > _PAGE else None


async def hold(tx: Tx, superuser: SuperUser, repository: Repository) -> HeldRepository:
    """The repository with its roles, how it is mirrored, and the notifications that are its own."""
    users = await permissions.list_held(tx, repository.id)
    held_by_teams = await permissions.list_teams(tx, repository.id)
    return HeldRepository(
        namespace=repository.namespace,
        name=repository.name,
        visibility=repository.visibility,
        description=repository.description,
        users={one.holder.name: one.role for one in users},
        teams={one.team: one.role for one in held_by_teams},
        emails=frozenset(await authorized_emails.list_confirmed(tx, repository.id)),
        notifications=await _notifications(tx, AdminOf(superuser.actor, repository)),
        mirror=await _mirror(tx, repository),
        immutable_tags=await _immutable_tags(tx, RulesOf.repository(repository.id)),
    )


async def _immutable_tags(tx: Tx, place: RulesOf) -> frozenset[HeldRule]:
    found = await immutability.find_all(tx, place)
    return frozenset(HeldRule(one.pattern, one.matches) for one in found)


async def _mirror(tx: Tx, repository: Repository) -> HeldMirror | None:
    found = await mirrors.find(tx, repository.id)
    if found is None:
        return None
    return HeldMirror(
        is_enabled=found.is_enabled,
        reference=found.reference,
        username=found.username,
        registry_config=found.registry_config,
        globs=found.globs,
        interval_seconds=int(found.interval.total_seconds()),
        start_at=found.start_at,
        robot=found.robot,
        timeout_seconds=int(found.timeout.total_seconds()),
        architectures=found.architectures,
        refuses_pushes=repository.state is RepositoryState.MIRROR,
    )


async def _notifications(tx: Tx, admin: AdminOfPlace) -> tuple[HeldNotification, ...]:
    found: list[Notification] = []
    after = ""
    while page := await notification_lists.list_of_place(tx, admin, after=after, limit=_PAGE):
        found += page
        after = page[-1].id
    return tuple(
        HeldNotification(
            uuid=one.uuid,
            event=one.kind,
            method=one.method,
            title=one.title,
            config=one.config,
            event_config=one.event_config,
            failures=one.failure_streak
            if one.paused_at is None
            else max(FAILURE_LIMIT, one.failure_streak),
            choices=_choices_of(one),
        )
        for one in found
    )


def _choices_of(one: Notification) -> HeldChoices:
    tls = one.tls or Tls()
    return HeldChoices(
        further_events=one.further_kinds,
        filters=one.filters,
        payload_form=one.payload_form,
        rate_limit=one.rate_limit,
        in_order=one.in_order,
        ca=tls.ca,
        has_client_certificate=bool(tls.client_certificate),
    )
