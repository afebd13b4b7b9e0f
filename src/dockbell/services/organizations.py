"""Organizations: who may manage one, and what may be done to it."""

from collections.abc import Sequence
from dataclasses import replace

from dockbell.domain.accounts import (
    Actor,
    ActorKind,
    Holder,
    Namespace,
    NamespaceKind,
    Scope,
    Team,
    TeamRole,
)
from dockbell.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.memberships import OrganizationMember, TeamCounts
from dockbell.domain.names import is_namespace
from dockbell.domain.permissions import (
    AdminOfNamespace,
    MemberOfNamespace,
    Self,
    SuperUser,
    SuperViewer,
    ViewerOfNamespace,
)
from dockbell.services import audit_entries, users
from dockbell.store import deliveries, locks, namespaces, permissions, teams
from dockbell.store import repositories as repository_rows
from dockbell.store import users as user_rows
from dockbell.store.repositories import Access
from dockbell.store.transactions import DuplicateError, Tx

OWNERS = "owners"  # Quay: the team that every organization begins with


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization as one caller may see it."""

    namespace: Namespace
    is_admin: bool
    is_member: bool
    teams: Sequence[TeamCounts] | None  # only for members
    own_teams: frozenset[str]  # those whose members the caller may see though they are no admin


@dataclass(frozen=True, slots=True)
class OwnOrganization:
    """An organization that the caller belongs to, and what they may do there with what they called with."""

    namespace: Namespace
    may_create: bool
    is_admin: bool


async def admin_of_namespace(tx: Tx, actor: Actor, name: str) -> AdminOfNamespace:
    """The right to manage an organization, or raise.

    An organization that does not exist looks like one that the caller may not manage. One's own user
    namespace is no organization: NotFoundError (`services.users.admin_of_self` is for that).
    """
    access = await _access(tx, actor, name)
    if actor.is_anonymous:
        raise UnauthenticatedError
    if actor.kind is ActorKind.SYSTEM or actor.manages_all:
        if access is None or access.namespace.kind is not NamespaceKind.ORGANIZATION:
            raise NotFoundError
        return AdminOfNamespace(actor, access.namespace)
    if actor.kind is not ActorKind.USER or not actor.may(Scope.ORG_ADMIN) or access is None:
        raise ForbiddenError
    if access.namespace.id == actor.id:
        raise NotFoundError
    if access.team_role is not TeamRole.ADMIN:
        raise ForbiddenError
    return AdminOfNamespace(actor, access.namespace)


async def viewer_of_namespace(tx: Tx, actor: Actor, name: str) -> ViewerOfNamespace:
    """The right to see what those see who manage the organization, or raise: theirs, and that of readonly superusers."""
    if actor.is_readonly_superuser:
        access = await _access(tx, actor, name)
        if access is None or access.namespace.kind is not NamespaceKind.ORGANIZATION:
            raise NotFoundError
        return ViewerOfNamespace(actor, access.namespace)
    return await admin_of_namespace(tx, actor, name)


async def viewer_of_entries(tx: Tx, actor: Actor, name: str) -> ViewerOfNamespace:
    """The right to see who did what in an organization, or raise: as above, and that of superusers, who see all entries."""
    try:
        return await viewer_of_namespace(tx, actor, name)
    except ForbiddenError:
        await users.superuser(tx, actor)
    access = await _access(tx, actor, name)
    if access is None or access.namespace.kind is not NamespaceKind.ORGANIZATION:
        raise NotFoundError
    return ViewerOfNamespace(actor, access.namespace)


async def hold(tx: Tx, admin: AdminOfNamespace) -> None:
    """Hold back others who change who may manage the organization. ForbiddenError if the caller no longer may.

    Rules about the last way to manage it count on this: two people must not each take the other's away.
    """
    await locks.hold_namespace(tx, admin.namespace.id)
    access = await _access(tx, admin.actor, admin.namespace.name)
    if access is None or not _is_admin(admin.actor, access):
        raise ForbiddenError


async def member_of(tx: Tx, actor: Actor, name: str) -> MemberOfNamespace:
    """The right to look inside an organization that the caller belongs to, or raise."""
    access = await _access(tx, actor, name)
    if actor.is_anonymous:
        raise UnauthenticatedError
    if access is None and actor.sees_all:
        raise NotFoundError
    if access is None or not (_is_member(actor, access) or actor.sees_all):
        raise ForbiddenError
    return MemberOfNamespace(actor, access.namespace, _is_admin(actor, access))


async def load(tx: Tx, actor: Actor, name: str) -> Organization:
    """The organization as the caller may see it. Anybody may know that it exists; members see its teams."""
    access = await _access(tx, actor, name)
    if access is None or access.namespace.kind is not NamespaceKind.ORGANIZATION:
        raise NotFoundError
    is_member = _is_member(actor, access)
    organization = Organization(
        namespace=access.namespace,
        is_admin=_is_admin(actor, access),
        is_member=is_member,
        teams=None,
        own_teams=frozenset(),
    )
    if not is_member and not actor.sees_all:
        return organization
    found = await teams.list_for(tx, access.namespace.id)
    own: Sequence[Team] = ()
    if actor.sees_all:
        own = [counted.team for counted in found]
    elif actor.id is not None and not organization.is_admin:  # an admin sees every team
        own = await teams.list_of_member(tx, access.namespace.id, actor.id)
    return replace(organization, teams=found, own_teams=frozenset(team.name for team in own))


async def list_own(tx: Tx, me: Self) -> Sequence[OwnOrganization]:
    """The organizations that the user belongs to, by name."""
    manages = me.actor.may(Scope.ORG_ADMIN)
    creates = manages or me.actor.may(Scope.REPO_CREATE)
    return [
        OwnOrganization(
            belonging.organization,
            may_create=creates and belonging.role is not TeamRole.MEMBER,
            is_admin=manages and belonging.role is TeamRole.ADMIN,
        )
        for belonging in await namespaces.list_of_member(tx, me.namespace.id)
    ]


async def create(tx: Tx, me: Self, name: str, email: str | None) -> Namespace:
    """Make an organization whose team of owners is the caller."""
    if await namespaces.find(tx, name) is not None:
        raise InvalidRequestError("A user or organization with this name already exists")
    users.check_namespace(name)
    await users.check_email(tx, email)
    try:
        organization = await namespaces.add(tx, name, NamespaceKind.ORGANIZATION, email)
    except DuplicateError:
        raise InvalidRequestError(
            "A user or organization with this name already exists"
        ) from None
    owners = await teams.add(tx, organization.id, OWNERS, TeamRole.ADMIN, "")
    owner = Holder(id=me.namespace.id, name=me.namespace.name, is_robot=False)
    await teams.add_member(tx, owners.id, owner)
    await _note(tx, AdminOfNamespace(me.actor, organization), "org_create", email=email)
    return organization


async def change_email(tx: Tx, admin: AdminOfNamespace, email: str) -> AdminOfNamespace:
    """Change the contact address; return the right to the organization as it is now."""
    if email == admin.namespace.email:
        return admin
    await users.check_email(tx, email)
    await namespaces.set_email(tx, admin.namespace.id, email)
    await _note(tx, admin, "org_change_email", email=email, old_email=admin.namespace.email)
    return replace(admin, namespace=replace(admin.namespace, email=email))


async def delete(tx: Tx, admin: AdminOfNamespace) -> None:
    """Remove the organization with all that it owns; what waits to be delivered for it is cancelled."""
    for notification_id in await locks.take_namespace(tx, admin.namespace.id):
        await deliveries.cancel_for(tx, notification_id)
    await _note(tx, admin, "org_delete")
    await namespaces.remove(tx, admin.namespace.id)


async def list_all(tx: Tx, viewer: SuperViewer) -> Sequence[Namespace]:
    """Every organization of the server, by name."""
    del viewer
    return await namespaces.list_organizations(tx)


async def list_page(
    tx: Tx, viewer: SuperViewer, *, after: str, limit: int
) -> tuple[Sequence[Namespace], str | None]:
    """At most so many organizations after that id, and the id to go on from if there are more."""
    del viewer
    found = await namespaces.list_organizations_page(tx, after=after, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def delete_by_superuser(tx: Tx, superuser: SuperUser, name: str) -> None:
    """As `delete`, for any organization; NotFoundError if there is none of that name."""
    access = await _access(tx, superuser.actor, name)
    if access is None or access.namespace.kind is not NamespaceKind.ORGANIZATION:
        raise NotFoundError
    await delete(tx, AdminOfNamespace(superuser.actor, access.namespace))


async def take_over(tx: Tx, superuser: SuperUser, name: str) -> None:
    """Let the superuser sit in the organization's team of owners; NotFoundError if there is no namespace of that name."""
    access = await _access(tx, superuser.actor, name)
    if access is None:
        raise NotFoundError
    organization = access.namespace
    if organization.kind is not NamespaceKind.ORGANIZATION:
        raise InvalidRequestError(f"{name} is a user. Only organizations can be taken over.")
    await locks.hold_namespace(tx, organization.id)
    owners = await teams.find(tx, organization.id, OWNERS)
    if owners is None:
        owners = await teams.add(tx, organization.id, OWNERS, TeamRole.ADMIN, "")
    elif owners.role is not TeamRole.ADMIN:
        await teams.set_role(tx, owners.id, TeamRole.ADMIN)
    me = Holder(id=str(superuser.actor.id), name=superuser.actor.name, is_robot=False)
    known = await teams.find_membership(tx, owners.id, me.id)
    if known is not None and known.is_invited:
        await teams.remove_member(tx, owners.id, me.id)
    if known is None or known.is_invited:
        await teams.add_member(tx, owners.id, me)
    await _note(
        tx,
        AdminOfNamespace(superuser.actor, organization),
        "take_ownership",
        was_user=False,
        superuser=me.name,
    )


async def search_own(tx: Tx, actor: Actor, text: str, *, limit: int) -> Sequence[Namespace]:
    """The caller's own account and the organizations that they belong to whose name has the text in it."""
    if actor.kind is not ActorKind.USER or actor.id is None or not actor.may(Scope.REPO_READ):
        return ()
    own = await namespaces.load(tx, actor.id)
    belongings = await namespaces.list_of_member(tx, actor.id)
    known = [own, *(one.organization for one in belongings)]
    return [one for one in known if text.lower() in one.name][:limit]


async def list_members(tx: Tx, admin: ViewerOfNamespace) -> Sequence[OrganizationMember]:
    return await namespaces.list_members(tx, admin.namespace.id)


async def load_member(tx: Tx, admin: ViewerOfNamespace, name: str) -> OrganizationMember:
    found = [member for member in await list_members(tx, admin) if member.name == name]
    if not found:
        raise NotFoundError
    return found[0]


async def remove_member(tx: Tx, admin: AdminOfNamespace, name: str) -> None:
    """Take a person out of all teams of the organization, and all their roles in it away."""
    holder = await user_rows.find_holder(tx, name)
    if holder is None or holder.is_robot:
        raise NotFoundError
    if holder.id == admin.actor.id:
        raise InvalidRequestError("You cannot remove yourself from the organization")
    await hold(tx, admin)
    await teams.remove_from_all(tx, admin.namespace.id, holder.id)
    await permissions.remove_from_all(tx, admin.namespace.id, holder.id)
    await _note(tx, admin, "org_remove_member", member=name)


async def _access(tx: Tx, actor: Actor, name: str) -> Access | None:
    if not is_namespace(name):
        return None
    return await repository_rows.find_access(tx, actor.id, name, None)


def _is_admin(actor: Actor, access: Access) -> bool:
    if actor.kind is ActorKind.SYSTEM or actor.manages_all:
        return True
    return (
        actor.kind is ActorKind.USER
        and actor.may(Scope.ORG_ADMIN)
        and access.team_role is TeamRole.ADMIN
    )


def _is_member(actor: Actor, access: Access) -> bool:
    """Quay: a token that may create repositories also shows what its user belongs to."""
    if actor.kind is ActorKind.SYSTEM:
        return True
    may_see = actor.may(Scope.ORG_ADMIN) or actor.may(Scope.REPO_CREATE)
    return actor.kind is ActorKind.USER and may_see and access.team_role is not None


async def _note(tx: Tx, admin: AdminOfNamespace, kind: str, **more: object) -> None:
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={"namespace": admin.namespace.name, **more},
    )
