"""Who may do what: every kind of caller against every right, at services level."""

from collections.abc import Awaitable
from dataclasses import replace

import pytest
from sqlalchemy import insert

from dockbell.domain.accounts import ANONYMOUS, SYSTEM, Actor, ActorKind, NamespaceKind, Scope
from dockbell.domain.errors import (
    DockbellError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from dockbell.domain.permissions import CreatorIn, WriterOf
from dockbell.domain.repositories import Visibility
from dockbell.services import organizations, repositories, users
from dockbell.store.tables import permissions, robots, team_members
from dockbell.store.transactions import Store, Tx
from tests.accounts import Statements
from tests.world import add_namespace, add_repository, add_team

YES, WHO, NO, GONE = "yes", "401", "403", "404"


def _user(name: str, *scopes: Scope) -> Actor:
    return Actor(
        kind=ActorKind.USER,
        id=f"ns_{name}",
        name=name,
        scopes=frozenset(scopes) if scopes else None,
    )


CALLERS = {
    "anonymous": ANONYMOUS,
    "stranger": _user("stranger"),
    "reader": _user("reader"),
    "writer": _user("writer"),
    "admin": _user("admin"),
    "org admin": _user("boss"),
    "org member": _user("member"),
    "org creator": _user("creator"),
    "invited": _user("invited"),
    "by team": _user("by_team"),
    "robot": Actor(kind=ActorKind.ROBOT, id="rob_1", name="acme+ci"),
    "idle robot": Actor(kind=ActorKind.ROBOT, id="rob_2", name="acme+idle"),
    "superuser": replace(_user("stranger"), is_superuser=True),
    "superuser with full access": replace(
        _user("stranger"), is_superuser=True, has_full_access=True
    ),
    "the same, scope repo:admin": replace(
        _user("stranger", Scope.REPO_ADMIN), is_superuser=True, has_full_access=True
    ),
    "readonly superuser": replace(
        _user("stranger", Scope.USER_READ), is_readonly_superuser=True
    ),
    "system": SYSTEM,
    "admin, scope repo:read": _user("admin", Scope.REPO_READ),
    "org admin, scope repo:write": _user("boss", Scope.REPO_WRITE, Scope.REPO_READ),
    "org admin, scope org:admin": _user("boss", Scope.ORG_ADMIN),
    "org admin, scope repo:create": _user("boss", Scope.REPO_CREATE),
    "org admin, no scope": replace(_user("boss"), scopes=frozenset()),
}

# caller: read, write, admin of acme/web; the same of the missing acme/nope; create in acme; manage acme
RIGHTS = {
    "anonymous": (WHO, WHO, WHO, WHO, WHO, WHO, WHO, WHO),
    "stranger": (NO, NO, NO, NO, NO, NO, NO, NO),
    "reader": (YES, NO, NO, NO, NO, NO, NO, NO),
    "writer": (YES, YES, NO, NO, NO, NO, NO, NO),
    "admin": (YES, YES, YES, NO, NO, NO, NO, NO),
    "org admin": (YES, YES, YES, GONE, GONE, GONE, YES, YES),
    "org member": (NO, NO, NO, NO, NO, NO, NO, NO),
    "org creator": (NO, NO, NO, NO, NO, NO, YES, NO),
    "invited": (NO, NO, NO, NO, NO, NO, NO, NO),
    "by team": (YES, YES, YES, NO, NO, NO, NO, NO),
    "robot": (YES, YES, NO, NO, NO, NO, NO, NO),
    "idle robot": (NO, NO, NO, NO, NO, NO, NO, NO),
    "superuser": (NO, NO, NO, NO, NO, NO, NO, NO),
    "superuser with full access": (YES, YES, YES, GONE, GONE, GONE, YES, YES),
    "the same, scope repo:admin": (NO, NO, NO, NO, NO, NO, NO, NO),
    "readonly superuser": (YES, NO, NO, GONE, NO, NO, NO, NO),
    "system": (YES, YES, YES, GONE, GONE, GONE, YES, YES),
    "admin, scope repo:read": (YES, NO, NO, NO, NO, NO, NO, NO),
    "org admin, scope repo:write": (YES, YES, NO, GONE, GONE, NO, NO, NO),
    "org admin, scope org:admin": (NO, NO, NO, NO, NO, NO, YES, YES),
    "org admin, scope repo:create": (NO, NO, NO, NO, NO, NO, YES, NO),
    "org admin, no scope": (NO, NO, NO, NO, NO, NO, NO, NO),
}

# caller: read, write, admin of the public admin/open
PUBLIC = {
    "anonymous": (YES, WHO, WHO),
    "stranger": (YES, NO, NO),
    "reader": (YES, NO, NO),
    "admin": (YES, YES, YES),  # it is their own
    "admin, scope repo:read": (YES, NO, NO),
    "org admin, no scope": (YES, NO, NO),
    "robot": (YES, NO, NO),
}


async def _fill(tx: Tx) -> None:
    for name in (
        "boss",
        "admin",
        "writer",
        "reader",
        "stranger",
        "member",
        "creator",
        "invited",
        "by_team",
    ):
        await add_namespace(tx, name)
    acme = await add_namespace(tx, "acme", NamespaceKind.ORGANIZATION)
    await add_team(tx, acme, "owners", "admin", "boss")
    await add_team(tx, acme, "crowd", "member", "member")
    await add_team(tx, acme, "makers", "creator", "creator")
    holders = await add_team(tx, acme, "holders", "member", "by_team")
    waiting = await add_team(tx, acme, "waiting", "admin")
    await tx.run(
        insert(team_members).values(
            team_id=waiting,
            user_id="ns_invited",
            member_id="ns_invited",
            is_invited=True,
            invite_code="code",
            created_at=tx.now,
        )
    )
    web = await add_repository(tx, "acme", "web", admin="admin", writer="write", reader="read")
    await add_repository(tx, "admin", "open", is_public=True)
    for robot_id, name in (("rob_1", "acme+ci"), ("rob_2", "acme+idle")):
        await tx.run(
            insert(robots).values(
                id=robot_id,
                namespace_id=acme,
                name=name,
                token_hash="",
                token_sealed=b"",
                metadata={},
                created_at=tx.now,
            )
        )
    for column, holder in (("team_id", holders), ("robot_id", "rob_1")):
        await tx.run(
            insert(permissions).values(
                repository_id=web, holder_id=holder, role="admin", **{column: holder}
            )
        )


async def _outcome(check: Awaitable[object]) -> str:
    try:
        await check
    except UnauthenticatedError:
        return WHO
    except ForbiddenError:
        return NO
    except NotFoundError:
        return GONE
    return YES


async def test_every_caller_has_exactly_their_rights(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)

    found = {}
    async with store.read() as tx:
        for caller, actor in CALLERS.items():
            checks = (
                repositories.reader_of(tx, actor, "acme/web"),
                repositories.writer_of(tx, actor, "acme/web"),
                repositories.admin_of(tx, actor, "acme/web"),
                repositories.reader_of(tx, actor, "acme/nope"),
                repositories.writer_of(tx, actor, "acme/nope"),
                repositories.admin_of(tx, actor, "acme/nope"),
                repositories.creator_in(tx, actor, "acme"),
                organizations.admin_of_namespace(tx, actor, "acme"),
            )
            found[caller] = tuple([await _outcome(check) for check in checks])

    assert found == RIGHTS


async def test_public_visibility_lets_anybody_read_and_nothing_more(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)

    found = {}
    async with store.read() as tx:
        for caller in PUBLIC:
            actor = CALLERS[caller]
            checks = (
                repositories.reader_of(tx, actor, "admin/open"),
                repositories.writer_of(tx, actor, "admin/open"),
                repositories.admin_of(tx, actor, "admin/open"),
            )
            found[caller] = tuple([await _outcome(check) for check in checks])

    assert found == PUBLIC


_IMPOSSIBLE = [
    "nobody/web",
    "acme",
    "acme/",
    "/web",
    "",
    "ACME/web",
    "acme/we\0b",
    "a" * 300 + "/b",
]


async def test_what_cannot_exist_looks_forbidden(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)

    outcomes = []
    async with store.read() as tx:
        for path in _IMPOSSIBLE:
            nobody = await _outcome(repositories.admin_of(tx, ANONYMOUS, path))
            somebody = await _outcome(repositories.reader_of(tx, _user("stranger"), path))
            outcomes.append((nobody, somebody))

    assert outcomes == [(WHO, NO)] * len(_IMPOSSIBLE)


async def test_a_check_costs_one_statement(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)
    statements = Statements.of(store)

    async with store.read() as tx:
        statements.take()
        await repositories.admin_of(tx, _user("by_team"), "acme/web")
        taken = statements.take()

    assert taken == 1


async def test_pushing_to_what_is_missing_needs_the_right_to_create(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)

    async with store.read() as tx:
        present = await repositories.writer_or_creator(tx, _user("writer"), "acme/web")
        missing = await repositories.writer_or_creator(tx, _user("creator"), "acme/new")
        refused = await _outcome(
            repositories.writer_or_creator(tx, _user("creator"), "acme/web")
        )

    assert (type(present), type(missing), refused) == (WriterOf, CreatorIn, NO)


async def test_who_creates_a_repository_administers_it(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)
        creator = await repositories.creator_in(tx, _user("creator"), "acme")
        made = await repositories.create(tx, creator, "new", visibility=Visibility.PRIVATE)

    async with store.read() as tx:
        admin = await repositories.admin_of(tx, _user("creator"), "acme/new")
        other = await _outcome(repositories.admin_of(tx, _user("member"), "acme/new"))

    assert (admin.repository, other) == (made, NO)


async def test_ones_own_namespace_is_no_organization(store: Store) -> None:
    async with store.begin() as tx:
        await _fill(tx)

    async with store.read() as tx:
        mine = await users.admin_of_self(tx, _user("admin"))
        as_organization = await _outcome(
            organizations.admin_of_namespace(tx, _user("admin"), "admin")
        )
        with pytest.raises(DockbellError) as robot:
            await users.admin_of_self(tx, CALLERS["robot"])

    assert (mine.namespace.name, as_organization, robot.type) == ("admin", GONE, ForbiddenError)
