"""Users: acting for oneself, making accounts, finding people."""

import re
from collections.abc import Sequence

from dockbell.domain.accounts import (
    Actor,
    ActorKind,
    Namespace,
    NamespaceKind,
    Scope,
    Team,
    User,
)
from dockbell.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.memberships import Match
from dockbell.domain.names import NAMESPACE_RULE, is_namespace
from dockbell.domain.permissions import AdminOfNamespace, Self, SuperUser, SuperViewer
from dockbell.services import audit_entries, passwords
from dockbell.services.encrypted_passwords import to_encrypted
from dockbell.services.sessions import check_fresh
from dockbell.store import deliveries, locks, namespaces, sessions, teams
from dockbell.store import repositories as repository_rows
from dockbell.store import users as user_rows
from dockbell.store.transactions import DuplicateError, Tx

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_EMAIL = 255
_SEARCH_LIMIT = 10
_MADE_PASSWORD_LENGTH = 32


@dataclass(frozen=True, slots=True)
class NewUser:
    user: Namespace
    password: str  # shown this once
    encrypted_password: str


@dataclass(frozen=True, slots=True)
class Oneself:
    """The caller's own account as what they called with may see it."""

    user: User
    sees_details: bool  # else only what everybody may know
    is_superuser: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """What the beginning of a name could mean to one caller. Teams and organization only if asked for."""

    holders: Sequence[Match]
    teams: Sequence[Team]  # only to members
    organization: Namespace | None  # only to its members, and only if it begins so
    is_organization: bool  # the namespace searched in is one


async def myself(tx: Tx, actor: Actor, scope: Scope = Scope.USER_ADMIN) -> Self:
    """The right to act for one's own account, or raise. Robots have no account of their own."""
    return Self(actor, await _own_namespace(tx, actor, scope))


async def admin_of_self(tx: Tx, actor: Actor) -> AdminOfNamespace:
    """The right to manage one's own user namespace (its robots, its notifications), or raise."""
    return AdminOfNamespace(actor, await _own_namespace(tx, actor, Scope.USER_ADMIN))


async def _own_namespace(tx: Tx, actor: Actor, scope: Scope) -> Namespace:
    if actor.is_anonymous:
        raise UnauthenticatedError
    if actor.kind is not ActorKind.USER or actor.id is None or not actor.may(scope):
        raise ForbiddenError
    return await namespaces.load(tx, actor.id)


async def superuser(tx: Tx, actor: Actor) -> SuperUser:
    """The right to manage all users, or raise. A token needs the scope `super:user` for it."""
    del tx
    if actor.is_anonymous:
        raise UnauthenticatedError
    if not _is_superuser(actor):
        raise ForbiddenError
    return SuperUser(actor)


async def superviewer(tx: Tx, actor: Actor) -> SuperViewer:
    """The right to see what superusers see, or raise: theirs, and that of readonly superusers."""
    if actor.is_readonly_superuser:
        return SuperViewer(actor)
    return await superuser(tx, actor)


def _is_superuser(actor: Actor) -> bool:
    return actor.is_superuser and actor.may(Scope.SUPER_USER)


async def load_own(tx: Tx, me: Self) -> Oneself:
    found = await user_rows.find(tx, me.namespace.name)
    if found is None:
        raise NotFoundError
    return Oneself(
        found,
        sees_details=me.actor.may(Scope.USER_ADMIN),
        is_superuser=_is_superuser(me.actor),
    )


async def load(tx: Tx, actor: Actor, name: str) -> User:
    """The user of that name. Anybody may know that a user exists; what is shown is the face's choice."""
    del actor
    found = await user_rows.find(tx, name) if is_namespace(name) else None
    if found is None:
        raise NotFoundError
    return found


async def list_all(tx: Tx, viewer: SuperViewer) -> Sequence[User]:
    del viewer
    return await user_rows.list_all(tx)


async def list_page(
    tx: Tx, viewer: SuperViewer, *, after: str, limit: int, with_disabled: bool
) -> tuple[Sequence[User], str | None]:
    """At most so many users after that id, and the id to go on from if there are more."""
    del viewer
    found = await user_rows.list_page(
        tx, after=after, limit=limit + 1, with_disabled=with_disabled
    )
    page = found[:limit]
    return page, page[-1].namespace.id if len(found) > limit else None


async def create_with_password(
    tx: Tx, superuser: SuperUser, *, username: str, email: str | None
) -> NewUser:
    """Make an account on somebody else's behalf, with a password made up for them."""
    password = passwords.random_secret(_MADE_PASSWORD_LENGTH)
    user = await create(tx, superuser.actor, username=username, email=email, password=password)
    return NewUser(user, password, to_encrypted(tx, username, password))


async def create(  # noqa: PLR0913 -- one argument for each thing an account holds
    tx: Tx,
    actor: Actor,
    *,
    username: str,
    email: str | None,
    password: str,
    is_superuser: bool = False,
) -> Namespace:
    """Make an account. Whoever calls has checked that this may be done: the command line, or the first user."""
    check_namespace(username)
    password_hash = await hash_of(password)
    return await create_hashed(
        tx,
        actor,
        username=username,
        email=email,
        password_hash=password_hash,
        is_superuser=is_superuser,
    )


async def hash_of(password: str) -> str:
    """The hash that an account keeps. Raise InvalidRequestError for a password that nobody may have."""
    if not passwords.is_allowed(password):
        raise InvalidRequestError(
            "Invalid password, password must be at least 8 characters and contain no whitespace."
        )
    return await passwords.hash_of(password)


async def create_hashed(  # noqa: PLR0913 -- one argument for each thing an account holds
    tx: Tx,
    actor: Actor,
    *,
    username: str,
    email: str | None,
    password_hash: str,
    is_superuser: bool = False,
    is_verified: bool = True,
) -> Namespace:
    """The same for a password that was hashed before the transaction began, as whoever lets strangers in has to."""
    check_namespace(username)
    await check_email(tx, email)
    try:
        namespace = await namespaces.add(tx, username, NamespaceKind.USER, email)
    except DuplicateError:
        raise InvalidRequestError("The username already exists") from None
    await user_rows.add(
        tx,
        namespace.id,
        password_hash,
        is_superuser=is_superuser,
        is_verified=is_verified,
    )
    await audit_entries.write(
        tx,
        actor,
        "user_create",
        namespace_id=namespace.id,
        repository_id=None,
        metadata={"username": username, "email": email, "superuser": is_superuser},
    )
    return namespace


async def change(  # noqa: PLR0913 -- one argument for each thing that can change
    tx: Tx,
    superuser: SuperUser,
    username: str,
    *,
    password: str | None = None,
    email: str | None = None,
    is_enabled: bool | None = None,
) -> User:
    """Change what is given of an account."""
    user = await load(tx, superuser.actor, username)
    if password is not None and not passwords.is_allowed(password):
        raise InvalidRequestError(
            "Invalid password, password must be at least 8 characters and contain no whitespace."
        )
    if email is not None and email != user.namespace.email:
        await check_email(tx, email)
        await namespaces.set_email(tx, user.namespace.id, email)
        await _note_change(
            tx,
            superuser,
            user,
            "user_change_email",
            email=email,
            old_email=user.namespace.email,
        )
    if password is not None:
        await user_rows.set_password(tx, user.namespace.id, await passwords.hash_of(password))
        await _note_change(tx, superuser, user, "user_change_password")
    if is_enabled is not None:
        await user_rows.set_enabled(tx, user.namespace.id, is_enabled=is_enabled)
        kind = "user_enable" if is_enabled else "user_disable"
        await _note_change(tx, superuser, user, kind)
    if password is not None or is_enabled is False:
        await sessions.remove_all(tx, user.namespace.id)
    return await load(tx, superuser.actor, username)


async def _note_change(
    tx: Tx, superuser: SuperUser, user: User, kind: str, **more: object
) -> None:
    await audit_entries.write(
        tx,
        superuser.actor,
        kind,
        namespace_id=user.namespace.id,
        repository_id=None,
        metadata={
            "username": user.namespace.name,
            "superuser": superuser.actor.name,
            **more,
        },
    )


async def set_own_password(tx: Tx, me: Self, password: str) -> None:
    """Change the caller's password. All their sessions end, and every registry token they signed in for.

    FreshLoginError for a session that is not fresh, ForbiddenError for a token, which must not grow into a password.
    """
    if me.actor.scopes is not None:
        raise ForbiddenError
    check_fresh(tx, me.actor)
    if not passwords.is_allowed(password):
        raise InvalidRequestError(
            "Invalid password, password must be at least 8 characters and contain no whitespace."
        )
    await user_rows.set_password(tx, me.namespace.id, await passwords.hash_of(password))
    await sessions.remove_all(tx, me.namespace.id)
    await audit_entries.write(
        tx,
        me.actor,
        "account_change_password",
        namespace_id=me.namespace.id,
        repository_id=None,
        metadata={},
    )


async def delete(tx: Tx, superuser: SuperUser, username: str) -> None:
    """Remove an account with all that it owns; what waits to be delivered for it is cancelled."""
    await remove(tx, superuser.actor, await load(tx, superuser.actor, username))


async def remove(tx: Tx, actor: Actor, user: User) -> None:
    """Remove an account with all that it owns. Whoever calls has checked that this may be done."""
    for notification_id in await locks.take_namespace(tx, user.namespace.id):
        await deliveries.cancel_for(tx, notification_id)
    await namespaces.remove(tx, user.namespace.id)
    await audit_entries.write(
        tx,
        actor,
        "user_delete",
        namespace_id=user.namespace.id,
        repository_id=None,
        metadata={"username": user.namespace.name},
    )


def check_namespace(name: str) -> None:
    """Raise InvalidRequestError, in Quay's words, for a name that no namespace may have."""
    if is_namespace(name):
        return
    rule = (
        f"Namespace must match expression {NAMESPACE_RULE}"
        if not re.fullmatch(NAMESPACE_RULE, name, re.ASCII)
        else "Namespace must be between 2 and 255 characters in length"
    )
    raise InvalidRequestError(f"Invalid namespace {name}: {rule}")


async def check_email(tx: Tx, email: str | None) -> None:
    """Raise InvalidRequestError for text that is no address, and for an address that somebody has.

    Nobody else gets the address before the transaction ends. Call it before any row is locked.
    """
    if email is None:
        return
    if len(email) > _LONGEST_EMAIL or _EMAIL.fullmatch(email) is None:
        raise InvalidRequestError(f"Invalid email address: {email}")
    await locks.hold_word(tx, email)
    if await namespaces.is_email_taken(tx, email):
        raise InvalidRequestError("E-mail address already used")


async def search(  # noqa: PLR0913 -- one argument for each thing that can be asked for
    tx: Tx,
    actor: Actor,
    prefix: str,
    namespace: str,
    *,
    with_teams: bool,
    with_organization: bool,
) -> Matches:
    """Who could be meant by the beginning of a name.

    Everybody who is signed in finds users. Its members also find a namespace's robots and teams, and itself.
    """
    if actor.is_anonymous:
        raise UnauthenticatedError
    beginning, prefix = prefix.lower(), "".join(prefix.split()).lower()
    access = (
        await repository_rows.find_access(tx, actor.id, namespace, None)
        if is_namespace(namespace)
        else None
    )
    is_organization = access is not None and access.namespace.kind is NamespaceKind.ORGANIZATION
    is_member = (
        access is not None and access.team_role is not None and actor.may(Scope.ORG_ADMIN)
    )
    is_own = (
        access is not None and access.namespace.id == actor.id and actor.may(Scope.USER_ADMIN)
    )
    organization = access.namespace if access is not None and is_member else None
    robots_of = access.namespace.name if access is not None and (is_member or is_own) else None
    return Matches(
        holders=await user_rows.search_holders(
            tx,
            prefix,
            robots_of=robots_of,
            organization_id=access.namespace.id if access and is_organization else None,
            limit=_SEARCH_LIMIT,
        ),
        teams=(
            await teams.search(tx, organization.id, prefix, _SEARCH_LIMIT)
            if organization and with_teams
            else ()
        ),
        organization=organization
        if organization and with_organization and organization.name.startswith(beginning)
        else None,
        is_organization=is_organization,
    )
