"""Rows of users: what a namespace has beyond its name when it is a person's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    insert,
    literal,
    or_,
    select,
    update,
)

from dockbell.domain.accounts import Holder, Namespace, NamespaceKind, User
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.memberships import Match
from dockbell.store.tables import keys, namespaces, robots, team_members, teams, users
from dockbell.store.transactions import DuplicateError, Tx


@dataclass(frozen=True, slots=True)
class UserCredential:
    user_id: str
    password_hash: str | None
    is_superuser: bool
    is_enabled: bool
    failed_sign_ins: int  # in a row
    failed_sign_in_at: datetime | None


_USER = select(
    namespaces,
    users.c.is_superuser,
    users.c.is_enabled,
    users.c.email_verified,
    users.c.password_hash.is_not(None).label("has_password"),
).join(users, users.c.namespace_id == namespaces.c.id)


def _of_row(row: Any) -> User:
    return User(
        namespace=Namespace(
            id=row.id,
            name=row.name,
            kind=NamespaceKind(row.kind),
            email=row.email,
            created_at=row.created_at,
        ),
        is_superuser=row.is_superuser,
        is_enabled=row.is_enabled,
        email_verified=row.email_verified,
        has_password=row.has_password,
    )


async def find(tx: Tx, name: str) -> User | None:
    row = await tx.first(_USER.where(namespaces.c.name == name))
    return None if row is None else _of_row(row)


async def list_all(tx: Tx) -> Sequence[User]:
    rows = await tx.rows(_USER.order_by(namespaces.c.name))
    return [_of_row(row) for row in rows]


async def list_page(tx: Tx, *, after: str, limit: int, with_disabled: bool) -> Sequence[User]:
    """At most so many users after that id, in the order of their ids."""
    wanted = _USER.where(namespaces.c.id > after)
    if not with_disabled:
        wanted = wanted.where(users.c.is_enabled.is_(True))
    rows = await tx.rows(wanted.order_by(namespaces.c.id).limit(limit))
    return [_of_row(row) for row in rows]


async def exist(tx: Tx) -> bool:
    """Whether there is any user."""
    return await tx.first(select(users.c.namespace_id).limit(1)) is not None


_SET_UP_TOKEN = "setup_token"  # noqa: S105 -- the name of a row, not a token
_FIRST_USER = "first_user"


async def find_set_up_token(tx: Tx) -> str | None:
    row = await tx.first(select(keys.c.private_sealed).where(keys.c.id == _SET_UP_TOKEN))
    return None if row is None else tx.seal.open(row.private_sealed).decode()


async def add_set_up_token(tx: Tx, token: str, token_hash: str) -> bool:
    """Keep the token; False, with the transaction still usable, if there is one already."""
    return await _add_key(tx, _SET_UP_TOKEN, token_hash.encode(), token.encode())


async def remove_set_up_token(tx: Tx) -> None:
    await tx.run(delete(keys).where(keys.c.id == _SET_UP_TOKEN))


async def claim_first(tx: Tx) -> None:
    """Let only one transaction at a time make the first user: a second one waits here for the first to end."""
    await _add_key(tx, _FIRST_USER, b"", b"")


async def _add_key(tx: Tx, key_id: str, public: bytes, private: bytes) -> bool:
    try:
        async with tx.nested():
            await tx.run(
                insert(keys).values(
                    id=key_id,
                    purpose=key_id,
                    public=public,
                    private_sealed=tx.seal.close(private),
                    created_at=tx.now,
                )
            )
    except DuplicateError:
        return False
    return True


async def add(
    tx: Tx,
    namespace_id: str,
    password_hash: str | None,
    *,
    is_superuser: bool,
    is_verified: bool = True,
) -> None:
    await tx.run(
        insert(users).values(
            namespace_id=namespace_id,
            password_hash=password_hash,
            is_superuser=is_superuser,
            email_verified=is_verified,
        )
    )


async def list_unverified(
    tx: Tx, name: str, email: str | None, before: datetime
) -> Sequence[User]:
    """Accounts of this name or address that were made before, and whose address was never verified."""
    same = namespaces.c.name == name
    if email is not None:
        same |= namespaces.c.email == email
    rows = await tx.rows(
        _USER.where(
            same, users.c.email_verified.is_(False), namespaces.c.created_at < before
        ).order_by(namespaces.c.id)
    )
    return [_of_row(row) for row in rows]


async def set_verified(tx: Tx, user_id: str) -> None:
    await tx.run(
        update(users).where(users.c.namespace_id == user_id).values(email_verified=True)
    )


async def set_password(tx: Tx, user_id: str, password_hash: str) -> None:
    """Change the password; earlier failures to sign in are forgotten."""
    await tx.run(
        update(users)
        .where(users.c.namespace_id == user_id)
        .values(password_hash=password_hash, failed_sign_ins=0, failed_sign_in_at=None)
    )


async def set_enabled(tx: Tx, user_id: str, *, is_enabled: bool) -> None:
    await tx.run(
        update(users).where(users.c.namespace_id == user_id).values(is_enabled=is_enabled)
    )


_CREDENTIAL = select(
    users.c.namespace_id.label("user_id"),
    users.c.password_hash,
    users.c.is_superuser,
    users.c.is_enabled,
    users.c.failed_sign_ins,
    users.c.failed_sign_in_at,
)

_CREDENTIAL_BY_ID = _CREDENTIAL.where(users.c.namespace_id == bindparam("user_id"))


async def find_credential(tx: Tx, name: str) -> UserCredential | None:
    row = await tx.first(
        _CREDENTIAL.join(namespaces, namespaces.c.id == users.c.namespace_id).where(
            namespaces.c.name == name
        )
    )
    return _credential_of_row(row)


async def find_credential_of(tx: Tx, user_id: str) -> UserCredential | None:
    """The same, for a user who is known already."""
    return _credential_of_row(await tx.first(_CREDENTIAL_BY_ID, {"user_id": user_id}))


def _credential_of_row(row: Any) -> UserCredential | None:
    return None if row is None else UserCredential(**row._mapping)  # noqa: SLF001 -- the documented way to a row as a mapping


async def count_failed_sign_in(tx: Tx, name: str) -> None:
    await tx.run(
        update(users)
        .where(
            users.c.namespace_id
            == select(namespaces.c.id).where(namespaces.c.name == name).scalar_subquery()
        )
        .values(failed_sign_ins=users.c.failed_sign_ins + 1, failed_sign_in_at=tx.now)
    )


async def forget_failed_sign_ins(tx: Tx, user_id: str) -> None:
    await tx.run(
        update(users)
        .where(users.c.namespace_id == user_id, users.c.failed_sign_ins > 0)
        .values(failed_sign_ins=0, failed_sign_in_at=None)
    )


_HOLDERS = (
    select(
        namespaces.c.id,
        namespaces.c.name,
        literal(value=False).label("is_robot"),
        namespaces.c.email,
    )
    .where(namespaces.c.kind == NamespaceKind.USER.value)
    .union_all(
        select(robots.c.id, robots.c.name, literal(value=True), literal(None).label("email"))
    )
    .subquery()
)


def holder_of_row(row: Any) -> Holder:
    return Holder(id=row.id, name=row.name, is_robot=bool(row.is_robot), email=row.email)


_HOLDER = select(_HOLDERS).where(_HOLDERS.c.name == bindparam("name"))


async def find_holder(tx: Tx, name: str) -> Holder | None:
    """The user, or the robot by its full name."""
    row = await tx.first(_HOLDER, {"name": name})
    return None if row is None else holder_of_row(row)


async def search_holders(
    tx: Tx,
    prefix: str,
    *,
    robots_of: str | None,
    organization_id: str | None,
    limit: int,
) -> Sequence[Match]:
    """Users whose names begin so, and robots of one namespace whose full or short names do. One query."""
    found = ~_HOLDERS.c.is_robot & _HOLDERS.c.name.startswith(prefix, autoescape=True)
    if robots_of is not None:
        found |= _HOLDERS.c.is_robot & or_(
            _HOLDERS.c.name.startswith(f"{robots_of}+{prefix}", autoescape=True),
            and_(
                _HOLDERS.c.name.startswith(f"{robots_of}+", autoescape=True),
                _HOLDERS.c.name.startswith(prefix, autoescape=True),
            ),
        )
    is_member = or_(
        _HOLDERS.c.is_robot,
        exists().where(
            teams.c.namespace_id == organization_id,
            team_members.c.team_id == teams.c.id,
            team_members.c.user_id == _HOLDERS.c.id,
            ~team_members.c.is_invited,
        ),
    )
    rows = await tx.rows(
        select(_HOLDERS, case((is_member, 1), else_=0).label("is_member"))
        .where(found)
        .order_by(_HOLDERS.c.name)
        .limit(limit)
    )
    return [Match(holder_of_row(row), is_member=bool(row.is_member)) for row in rows]
