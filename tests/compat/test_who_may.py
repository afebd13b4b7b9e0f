"""Who may call what: every kind of caller against every endpoint of API v1, as one table.

What is tabled is Quay's (quay-compat 1.1, 2.1 to 2.4, 6.2, 6.5, 9.1 R10 to R12, 9.5 N5) with the verdicts on its quirks. Bodies
and targets are such that a call that is let in is refused for another reason, where it would change something: so
the status tells both, and each caller finds the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from dockbell.api.v1.handlers import HANDLERS
from dockbell.domain.accounts import Actor, ActorKind, Powers, Scope
from dockbell.domain.secrets import fingerprint_of
from dockbell.domain.sessions import csrf_token_of
from dockbell.services import sessions
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.accounts import FORBIDDEN, UNAUTHENTICATED
from tests.apps import app_of
from tests.asgi import Answer, Client
from tests.world import World, add_namespace, open_world

MISSING = "01234567-89ab-4cde-8f01-23456789abcd"
DIGEST = f"sha256:{'0' * 64}"
EVERY_SCOPE = " ".join(Scope)
NO_CSRF = {"error": "CSRF token was invalid or missing."}

# The callers. With a bearer token each has every scope, unless it is said.
NOBODY = (
    "anonymous",
    "anonymous with a CSRF token",
    "wrong token",
    "expired token",
    "robot",  # with the role `write`; its token is for the registry, and here one that nobody knows
)
KNOWN = (
    "no scope",  # an administrator of the organization, as the next one
    "repo:read only",
    "other user",
    "reader",
    "writer",
    "team member",
    "repository admin",
    "organization admin",
    "session",  # of an administrator of the organization
    "session without CSRF",
    "superuser",
    "readonly superuser",
    "superuser with full access",
)
IDENTITIES = NOBODY + KNOWN
_CAPPED = {"no scope", "repo:read only"}
_BOSSES = {
    "organization admin",
    "session",
    "session without CSRF",
    "superuser with full access",
}
_VIEWER = {"readonly superuser"}

# Who is let in.
EVERYBODY = set(IDENTITIES)
SIGNED_IN = set(KNOWN)
ONESELF = SIGNED_IN - _CAPPED
READER = {"repo:read only", "reader", "writer", "repository admin", *_BOSSES, *_VIEWER}
WRITER = {"writer", "repository admin", *_BOSSES}
REPOSITORY_ADMIN = {"repository admin", *_BOSSES}
REPOSITORY_VIEWER = REPOSITORY_ADMIN | _VIEWER
ORGANIZATION_ADMIN = _BOSSES
ORGANIZATION_VIEWER = _BOSSES | _VIEWER
TEAM = {"reader", "writer", "team member", *ORGANIZATION_VIEWER}
SUPERUSER = {"superuser", "superuser with full access"}
SUPERVIEWER = SUPERUSER | _VIEWER
QUOTA_VIEWER = TEAM | SUPERUSER


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint, a call of it, who is let in, and what they find."""

    call: str  # verb and path
    allowed: set[str]
    status: int
    body: Any = None
    # What some find instead, where one of them has changed something before the others.
    found: Mapping[str, int] | None = None
    is_body_first: bool = False  # the body says what the right is to

    @property
    def verb(self) -> str:
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        return f"/api/v1{self.call.partition(' ')[2]}"


def _of(place: str, *rows: tuple[str, str, set[str], int, Any]) -> list[Row]:
    return [
        Row(f"{verb} {place}{path}", allowed, status, body)
        for verb, path, allowed, status, body in rows
    ]


WEB = "/repository/acme/web"
ACME = "/organization/acme"
BAD_EMAIL = {"email": 5}
BAD_NAME = {
    "namespace": "acme",
    "repository": "No Name",
    "visibility": "private",
    "description": "",
}
X: None = None  # no body

ROWS = [
    # For everybody.
    *_of(
        "",
        ("GET", "/messages", EVERYBODY, 200, X),
        ("GET", "/discovery", EVERYBODY, 200, X),
        ("GET", "/error/invalid_token", EVERYBODY, 200, X),
        ("GET", "/app/nope", EVERYBODY, 404, X),
        ("GET", "/users/boss", EVERYBODY, 200, X),
        ("GET", "/superuser/registrystatus", EVERYBODY, 200, X),
        ("GET", "/repository?public=true", EVERYBODY, 200, X),
        ("GET", "/repository/admin/open", EVERYBODY, 200, X),
        ("GET", ACME, EVERYBODY, 200, X),
        ("GET", "/entities/re", SIGNED_IN, 200, X),
        ("GET", "/find/repositories?query=web", EVERYBODY, 200, X),
        ("GET", "/find/all?query=web", EVERYBODY, 200, X),
        ("GET", "/repository?starred=true", SIGNED_IN, 200, X),
    ),
    # For oneself.
    *_of(
        "/user",
        ("GET", "/notifications", ONESELF, 200, X),
        ("GET", f"/notifications/{MISSING}", ONESELF, 404, X),
        ("PUT", f"/notifications/{MISSING}", ONESELF, 404, {}),
        ("GET", "/robots", ONESELF, 200, X),
        ("GET", "/robots/nope", ONESELF, 400, X),
        ("PUT", "/robots/No", ONESELF, 400, {}),
        ("DELETE", "/robots/nope", ONESELF, 400, X),
        ("POST", "/robots/nope/regenerate", ONESELF, 400, X),
        ("GET", "/robots/nope/permissions", ONESELF, 400, X),
        ("GET", "/namespacenotifications", ONESELF, 200, X),
        ("POST", "/namespacenotifications", ONESELF, 400, {}),
        ("GET", f"/namespacenotifications/{MISSING}", ONESELF, 404, X),
        ("POST", f"/namespacenotifications/{MISSING}", ONESELF, 404, X),
        ("DELETE", f"/namespacenotifications/{MISSING}", ONESELF, 404, X),
        ("POST", f"/namespacenotifications/{MISSING}/test", ONESELF, 404, X),
        ("PUT", "", ONESELF, 400, {"password": 5}),
        ("GET", "/authorizations", ONESELF, 200, X),
        ("GET", f"/authorizations/{MISSING}", ONESELF, 404, X),
        ("DELETE", f"/authorizations/{MISSING}", ONESELF, 404, X),
        ("GET", "/apptoken", ONESELF, 200, X),
        ("POST", "/apptoken", ONESELF, 400, {}),
        ("GET", f"/apptoken/{MISSING}", ONESELF, 404, X),
        ("DELETE", f"/apptoken/{MISSING}", ONESELF, 404, X),
        ("GET", "/logs", ONESELF, 200, X),
        ("GET", "/aggregatelogs", ONESELF, 200, X),
        ("GET", "/quota", ONESELF, 200, X),
        ("GET", "/quota/1", ONESELF, 404, X),
        ("GET", "/quota/1/limit", ONESELF, 404, X),
        ("GET", "/quota/1/limit/1", ONESELF, 404, X),
    ),
    *_of(
        "",
        ("POST", "/organization", ONESELF, 400, {}),
        ("PUT", "/teaminvite/nope", ONESELF, 400, X),
        ("DELETE", "/teaminvite/nope", ONESELF, 400, X),
    ),
    # For people of a repository that is private.
    *_of(
        WEB,
        ("GET", "", READER, 200, X),
        ("GET", "/build", READER, 200, X),
        ("GET", "/build/nope", READER, 404, X),
        ("GET", "/build/nope/status", READER, 404, X),
        ("GET", "/build/nope/logs", WRITER | _VIEWER, 404, X),
        ("GET", "/tag", READER, 200, X),
        ("PUT", "/tag/nope", WRITER, 400, {"expiration": "soon"}),
        ("DELETE", "/tag/nope", WRITER, 404, X),
        ("POST", "/tag/nope/restore", WRITER, 400, {"manifest_digest": 5}),
        ("GET", f"/manifest/{DIGEST}", READER, 404, X),
        ("GET", f"/manifest/{DIGEST}/security", READER, 404, X),
        ("GET", f"/manifest/{DIGEST}/labels", READER, 404, X),
        ("POST", f"/manifest/{DIGEST}/labels", WRITER, 400, {}),
        ("GET", f"/manifest/{DIGEST}/labels/{MISSING}", READER, 404, X),
        ("DELETE", f"/manifest/{DIGEST}/labels/{MISSING}", WRITER, 404, X),
        ("PUT", "", WRITER, 400, {}),
        ("POST", "/changevisibility", REPOSITORY_ADMIN, 400, {}),
        ("GET", "/notification", REPOSITORY_VIEWER, 200, X),
        ("POST", "/notification", REPOSITORY_ADMIN, 400, {}),
        ("GET", f"/notification/{MISSING}", REPOSITORY_VIEWER, 404, X),
        ("POST", f"/notification/{MISSING}", REPOSITORY_ADMIN, 400, X),
        ("POST", f"/notification/{MISSING}/reset", REPOSITORY_ADMIN, 400, X),
        ("POST", f"/notification/{MISSING}/test", REPOSITORY_ADMIN, 400, X),
        ("DELETE", f"/notification/{MISSING}", REPOSITORY_ADMIN, 400, X),
        ("GET", "/permissions/user", REPOSITORY_VIEWER, 200, X),
        ("GET", "/permissions/user/fresh", REPOSITORY_VIEWER, 400, X),
        ("GET", "/permissions/user/fresh/transitive", REPOSITORY_VIEWER, 404, X),
        ("PUT", "/permissions/user/fresh", REPOSITORY_ADMIN, 400, {}),
        ("DELETE", "/permissions/user/fresh", REPOSITORY_ADMIN, 400, X),
        ("GET", "/permissions/team", REPOSITORY_VIEWER, 200, X),
        ("GET", "/permissions/team/devs", REPOSITORY_VIEWER, 400, X),
        ("PUT", "/permissions/team/devs", REPOSITORY_ADMIN, 400, {}),
        ("DELETE", "/permissions/team/devs", REPOSITORY_ADMIN, 400, X),
        ("GET", "/authorizedemail/a@example.com", REPOSITORY_ADMIN, 404, X),
        ("POST", "/authorizedemail/nope", REPOSITORY_ADMIN, 400, X),
        ("PUT", "/changestate", REPOSITORY_ADMIN, 400, {}),
        ("GET", "/mirror", REPOSITORY_VIEWER, 404, X),
        ("POST", "/mirror", REPOSITORY_ADMIN, 400, {}),
        ("PUT", "/mirror", REPOSITORY_ADMIN, 400, {"is_enabled": 5}),
        ("POST", "/mirror/sync-now", REPOSITORY_ADMIN, 404, X),
        ("POST", "/mirror/sync-cancel", REPOSITORY_ADMIN, 404, X),
        ("GET", "/immutabilitypolicy", REPOSITORY_VIEWER, 200, X),
        ("POST", "/immutabilitypolicy", REPOSITORY_ADMIN, 400, {}),
        ("GET", f"/immutabilitypolicy/{MISSING}", REPOSITORY_VIEWER, 404, X),
        ("PUT", f"/immutabilitypolicy/{MISSING}", REPOSITORY_ADMIN, 400, {}),
        ("DELETE", f"/immutabilitypolicy/{MISSING}", REPOSITORY_ADMIN, 404, X),
        ("GET", "/logs", REPOSITORY_VIEWER, 200, X),
        ("GET", "/aggregatelogs", REPOSITORY_VIEWER, 200, X),
        # Quay: deleting what does not exist succeeds (Q31), which the organization's admins see here.
        ("DELETE", "", REPOSITORY_ADMIN, 204, X),
    ),
    # Of one that does not exist, only who administers its namespace hears that.
    *_of(
        "/repository/acme/nope",
        ("GET", "", ORGANIZATION_VIEWER | {"repo:read only"}, 404, X),
        ("GET", "/notification", ORGANIZATION_VIEWER, 404, X),
        ("POST", "/notification", ORGANIZATION_ADMIN, 404, {}),
        ("POST", f"/notification/{MISSING}/test", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/logs", ORGANIZATION_VIEWER, 404, X),
    ),
    # For people of an organization.
    Row("POST /repository", ORGANIZATION_ADMIN, 400, BAD_NAME, is_body_first=True),
    *_of(
        ACME,
        ("PUT", "", ORGANIZATION_ADMIN, 400, BAD_EMAIL),
        ("GET", "/members", ORGANIZATION_VIEWER, 200, X),
        ("GET", "/members/fresh", ORGANIZATION_VIEWER, 404, X),
        ("DELETE", "/members/nope", ORGANIZATION_ADMIN, 404, X),
        ("PUT", "/team/devs", ORGANIZATION_ADMIN, 400, {}),
        ("DELETE", "/team/nope", ORGANIZATION_ADMIN, 400, X),
        ("GET", "/team/devs/members", TEAM, 200, X),
        ("PUT", "/team/devs/members/nope", ORGANIZATION_ADMIN, 400, X),
        ("DELETE", "/team/devs/members/nope", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/team/devs/permissions", ORGANIZATION_VIEWER, 200, X),
        ("GET", "/robots", TEAM, 200, X),
        ("GET", "/robots/nope", ORGANIZATION_ADMIN, 400, X),
        ("PUT", "/robots/No", ORGANIZATION_ADMIN, 400, {}),
        ("DELETE", "/robots/nope", ORGANIZATION_ADMIN, 400, X),
        ("POST", "/robots/nope/regenerate", ORGANIZATION_ADMIN, 400, X),
        ("GET", "/robots/nope/permissions", ORGANIZATION_ADMIN, 400, X),
        ("GET", "/applications", ORGANIZATION_ADMIN, 200, X),
        ("POST", "/applications", ORGANIZATION_ADMIN, 400, {}),
        ("GET", "/applications/nope", ORGANIZATION_ADMIN, 404, X),
        ("PUT", "/applications/nope", ORGANIZATION_ADMIN, 404, {}),
        ("DELETE", "/applications/nope", ORGANIZATION_ADMIN, 404, X),
        ("POST", "/applications/nope/resetclientsecret", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/applications/nope/tokens", ORGANIZATION_ADMIN, 404, X),
        ("POST", "/applications/nope/tokens", ORGANIZATION_ADMIN, 404, {}),
        ("DELETE", f"/applications/nope/tokens/{MISSING}", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/prototypes", ORGANIZATION_VIEWER, 200, X),
        ("POST", "/prototypes", ORGANIZATION_ADMIN, 400, {}),
        ("PUT", f"/prototypes/{MISSING}", ORGANIZATION_ADMIN, 400, {}),
        ("DELETE", f"/prototypes/{MISSING}", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/immutabilitypolicy", ORGANIZATION_VIEWER, 200, X),
        ("POST", "/immutabilitypolicy", ORGANIZATION_ADMIN, 400, {}),
        ("GET", f"/immutabilitypolicy/{MISSING}", ORGANIZATION_VIEWER, 404, X),
        ("PUT", f"/immutabilitypolicy/{MISSING}", ORGANIZATION_ADMIN, 400, {}),
        ("DELETE", f"/immutabilitypolicy/{MISSING}", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/notifications", ORGANIZATION_VIEWER, 200, X),
        ("POST", "/notifications", ORGANIZATION_ADMIN, 400, {}),
        ("GET", f"/notifications/{MISSING}", ORGANIZATION_VIEWER, 404, X),
        ("POST", f"/notifications/{MISSING}", ORGANIZATION_ADMIN, 404, X),
        ("POST", f"/notifications/{MISSING}/test", ORGANIZATION_ADMIN, 404, X),
        ("DELETE", f"/notifications/{MISSING}", ORGANIZATION_ADMIN, 404, X),
        ("GET", "/logs", ORGANIZATION_VIEWER | SUPERUSER, 200, X),
        ("GET", "/aggregatelogs", ORGANIZATION_VIEWER | SUPERUSER, 200, X),
        ("GET", "/quota", QUOTA_VIEWER, 200, X),
        ("POST", "/quota", SUPERUSER, 400, {}),
        ("GET", "/quota/1", QUOTA_VIEWER, 404, X),
        ("PUT", "/quota/1", SUPERUSER, 404, {}),
        ("DELETE", "/quota/1", SUPERUSER, 404, X),
        ("GET", "/quota/1/limit", QUOTA_VIEWER, 404, X),
        ("POST", "/quota/1/limit", SUPERUSER, 400, {}),
        ("GET", "/quota/1/limit/1", QUOTA_VIEWER, 404, X),
        ("PUT", "/quota/1/limit/1", SUPERUSER, 404, {}),
        ("DELETE", "/quota/1/limit/1", SUPERUSER, 404, X),
    ),
    # One of the administrators deletes it, and then it is as one that was never there.
    Row(
        f"DELETE {ACME}",
        ORGANIZATION_ADMIN,
        204,
        found={"session": 403, "superuser with full access": 404},
    ),
    # For superusers.
    *_of(
        "/superuser",
        ("GET", "/users", SUPERVIEWER, 200, X),
        ("POST", "/users", SUPERUSER, 400, {}),
        ("GET", "/users/nope", SUPERVIEWER, 404, X),
        ("PUT", "/users/nope", SUPERUSER, 404, {}),
        ("DELETE", "/users/nope", SUPERUSER, 404, X),
        ("GET", "/organizations", SUPERVIEWER, 200, X),
        ("DELETE", "/organizations/nope", SUPERUSER, 404, X),
        ("POST", "/takeownership/nope", SUPERUSER, 404, X),
        ("GET", "/registrysize", SUPERVIEWER, 200, X),
        ("POST", "/registrysize", SUPERUSER, 201, X),
        ("GET", "/apptokens", SUPERVIEWER, 200, X),
        ("GET", "/logs", SUPERVIEWER, 200, X),
        ("GET", "/aggregatelogs", SUPERVIEWER, 200, X),
        ("GET", "/organization/acme/quota", SUPERVIEWER, 200, X),
        ("POST", "/organization/acme/quota", SUPERUSER, 400, {}),
        ("PUT", "/organization/acme/quota/1", SUPERUSER, 404, {}),
        ("DELETE", "/organization/acme/quota/1", SUPERUSER, 404, X),
        ("GET", "/users/boss/quota", SUPERVIEWER, 200, X),
        ("POST", "/users/boss/quota", SUPERUSER, 400, {}),
        ("PUT", "/users/boss/quota/1", SUPERUSER, 404, {}),
        ("DELETE", "/users/boss/quota/1", SUPERUSER, 404, X),
    ),
    *_of(
        "",
        ("POST", "/messages", SUPERUSER, 400, {}),
        ("DELETE", f"/message/{MISSING}", SUPERUSER, 204, X),
    ),
]

# Routes whose callers are a matter of their own, with the tests that tell of them. A star stands for anything.
ELSEWHERE = {
    "GET /user": "a token that may not read its user is told 401: test_users.py",
    "POST /user": "whoever has a CSRF token, while it is open: test_sign_up.py",
    "POST /user/initialize": "the set-up token is the right: test_initialize.py",
    "POST /signin": "test_sessions.py",
    "POST /signin/verify": "test_sessions.py",
    "POST /signout": "test_sessions.py",
}


def _grouped() -> dict[str, list[Row]]:
    """The rows by what they are about. Those of a group share a world, so one that changes something is alone."""
    groups: dict[str, list[Row]] = {}
    for row in ROWS:
        is_read = row.verb == "GET"
        area = re.split(r"[/?]", row.call)[1]
        is_change = not is_read and row.status < 300
        name = row.call if is_change else f"{'reading' if is_read else 'changing'} {area}"
        groups.setdefault(name, []).append(row)
    return groups


GROUPS = _grouped()


class Callers:
    """All identities of one world, each made when it is first asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cookie = ""
        self._made: dict[str, tuple[Client, Mapping[str, str]]] = {}

    async def call(self, identity: str, row: Row, *, broken: bool) -> Answer:
        """Make the row's call; with a body that is no JSON if it is to be broken."""
        if identity not in self._made:
            self._made[identity] = await self._of(identity)
        client, headers = self._made[identity]
        more: dict[str, Any] = {"headers": headers}
        if broken:
            more["body"] = b"{"
            more["headers"] = {**headers, "content-type": "application/json"}
        elif row.body is not None:
            more["value"] = row.body
        return await client.send(row.verb, row.path, **more)

    async def _of(self, identity: str) -> tuple[Client, Mapping[str, str]]:
        if identity in _NOBODYS_TOKENS:
            return self.world.anonymous.with_token(_NOBODYS_TOKENS[identity]), {}
        if identity in _TOKENS:
            return await self.world.client(*_TOKENS[identity]), {}
        return await self._of_other(identity)

    async def _of_other(self, identity: str) -> tuple[Client, Mapping[str, str]]:
        nobody, world = self.world.anonymous, self.world
        match identity:
            case "anonymous with a CSRF token":
                secret = sessions.fresh_secret()
                return nobody, _cookie(secret, csrf_token_of(secret))
            case "robot":
                return nobody.with_token(await self._make_robot()), {}
            case "expired token":
                async with world.store.read() as tx:
                    ended = tx.now - timedelta(seconds=1)
                return await world.client("boss", EVERY_SCOPE, expires_at=ended), {}
            case "superuser with full access":
                # The last to call: this sets the application itself, of which there is one.
                powers = replace(world.faces.powers, have_full_access=True)
                faces = replace(world.faces, powers=powers)
                powerful = replace(world, anonymous=Client(app_of(world.store, faces)))
                return await powerful.client("root", EVERY_SCOPE), {}
            case _:
                self.cookie = self.cookie or await self._begin_session()
                token = csrf_token_of(self.cookie) if identity == "session" else "nope"
                return nobody, _cookie(self.cookie, token)

    async def _make_robot(self) -> str:
        boss = await self.world.client("boss", EVERY_SCOPE)
        made = await boss.put("/api/v1/organization/acme/robots/ci")
        role = await boss.put(
            "/api/v1/repository/acme/web/permissions/user/acme+ci", {"role": "write"}
        )
        assert (made.status, role.status) == (201, 200)
        token: str = made.json()["token"]
        return token

    async def _begin_session(self) -> str:
        password_hash = "not looked at"
        async with self.world.store.begin() as tx:
            of_boss = t.users.c.namespace_id == "ns_boss"
            await tx.run(update(t.users).where(of_boss).values(password_hash=password_hash))
            session = await sessions.begin(
                tx,
                Actor(
                    kind=ActorKind.USER,
                    id="ns_boss",
                    name="boss",
                    credential=fingerprint_of(password_hash),
                ),
            )
        return session.secret


def _cookie(secret: str, csrf_token: str) -> Mapping[str, str]:
    return {"cookie": f"_csrf_token={secret}", "x-csrf-token": csrf_token}


_NOBODYS_TOKENS = {"anonymous": None, "wrong token": "x" * 40}
_TOKENS = {
    "no scope": ("boss", ""),
    "repo:read only": ("boss", "repo:read"),
    "other user": ("fresh", EVERY_SCOPE),
    "reader": ("reader", EVERY_SCOPE),
    "writer": ("writer", EVERY_SCOPE),
    "team member": ("mate", EVERY_SCOPE),
    "repository admin": ("admin", EVERY_SCOPE),
    "organization admin": ("boss", EVERY_SCOPE),
    "superuser": ("root", EVERY_SCOPE),
    "readonly superuser": ("eye", EVERY_SCOPE),
}


def expected(row: Row, identity: str) -> tuple[int, Any]:
    """The status, and the body of a refusal; None stands for whatever body the status comes with."""
    if identity == "session without CSRF" and row.verb != "GET":
        return 403, NO_CSRF
    if identity not in row.allowed:
        return (401, UNAUTHENTICATED) if identity in NOBODY else (403, FORBIDDEN)
    return (row.found or {}).get(identity, row.status), None


def is_refused(row: Row, identity: str) -> bool:
    return expected(row, identity)[1] is not None


@pytest.fixture
async def callers(store: Store) -> Callers:
    world = await open_world(store, Powers(frozenset({"root"}), frozenset({"eye"})))
    async with store.begin() as tx:
        for name in ("mate", "root", "eye"):
            await add_namespace(tx, name)
        team = await tx.first(select(t.teams.c.id).where(t.teams.c.name == "devs"))
        assert team is not None
        mate = {"user_id": "ns_mate", "member_id": "ns_mate"}
        await tx.run(insert(t.team_members).values(team_id=team.id, created_at=tx.now, **mate))
    return Callers(world)


@pytest.mark.parametrize("rows", GROUPS.values(), ids=GROUPS.keys())
async def test_every_caller_finds_what_is_tabled(callers: Callers, rows: list[Row]) -> None:
    found, wanted = {}, {}
    calls = [(identity, row) for identity in IDENTITIES for row in rows]
    # Who is refused goes first, with a body that would be refused too: the right is looked at before it.
    for identity, row in sorted(calls, key=lambda call: not is_refused(call[1], call[0])):
        refused = is_refused(row, identity)
        has_body = row.verb != "GET" and not row.is_body_first
        answer = await callers.call(identity, row, broken=refused and has_body)
        status, body = expected(row, identity)
        found[row.call, identity] = (
            answer.status,
            answer.json() if body is not None else None,
        )
        wanted[row.call, identity] = (status, body)

    assert found == wanted


def test_a_call_that_changes_something_is_alone_in_its_world() -> None:
    together = [row for rows in GROUPS.values() if len(rows) > 1 for row in rows]

    assert [row.call for row in together if row.verb != "GET" and row.status < 300] == []
    assert sorted(row.call for rows in GROUPS.values() for row in rows) == sorted(
        row.call for row in ROWS
    )


def test_every_route_has_a_row() -> None:
    """Whoever adds a route says in ROWS who may call it, or in ELSEWHERE which other test does."""
    routes = {
        f"{verb} {path}".replace(":str}", "}")
        for handler in HANDLERS
        for verb in handler.http_methods
        for path in handler.paths
    }

    without = [
        route
        for route in sorted(routes)
        if not _rows_of(route) and not any(fnmatchcase(route, one) for one in ELSEWHERE)
    ]

    assert without == []


async def test_the_scope_that_discovery_names_is_enough(callers: Callers) -> None:
    """And each call that takes a right names one, so that programs ask for no more than they need."""
    scopes = await _scopes(callers.world)
    found, wanted, without = {}, {}, []
    # What deletes something goes last.
    for row in sorted(ROWS, key=lambda one: one.status == 204):
        if row.allowed in (EVERYBODY, SIGNED_IN):
            continue
        route = next(one for one in scopes if row in _rows_of(one))
        if not scopes[route]:
            without.append(route)
        name = "boss" if "organization admin" in row.allowed else "root"
        client = await callers.world.client(name, scopes[route])
        more = {} if row.body is None else {"value": row.body}
        answer = await client.send(row.verb, row.path, **more)
        found[row.call], wanted[row.call] = answer.status, row.status

    assert (found, without) == (wanted, [])


async def _scopes(world: World) -> dict[str, str]:
    """The scopes of each route, as the Swagger document has them."""
    paths = (await world.anonymous.get("/api/v1/discovery")).json()["paths"]
    return {
        f"{verb.upper()} {path.removeprefix('/api/v1')}": " ".join(
            scope for one in operation.get("security", ()) for scope in one["oauth2_implicit"]
        )
        for path, operations in paths.items()
        for verb, operation in operations.items()
    }


def test_the_table_has_every_caller_and_is_as_large_as_it_says() -> None:
    calls = [row.call for row in ROWS]

    assert len(calls) == len(set(calls))
    assert {identity for row in ROWS for identity in row.allowed} == set(IDENTITIES)
    assert (len(IDENTITIES), len(ROWS), len(IDENTITIES) * len(ROWS)) == (18, 176, 3168)


def _rows_of(route: str) -> list[Row]:
    """The rows that call this route, and none that is more particular."""
    pattern = re.sub(r"\{repository\}", r"[^/?]+/[^/?]+", route)
    pattern = re.sub(r"\{\w+\}", r"[^/?]+", pattern)
    return [row for row in ROWS if re.fullmatch(pattern, row.call.partition("?")[0])]
