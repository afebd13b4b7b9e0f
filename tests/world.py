"""A small world for tests of the API: people, an organization, repositories, tokens, and the application itself.

`boss` owns the organization `acme`. On `acme/web` (private), `admin`, `writer` and `reader` hold those roles;
`fresh` holds none anywhere. `acme/team/app` has a nested name, `admin/open` is public and the admin's own.
"""

import itertools
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy import Table, insert

from dockbell.domain.accounts import NamespaceKind, Powers
from dockbell.domain.letters import Letter
from dockbell.domain.links import Links
from dockbell.domain.methods import MailReply, UnreachableError
from dockbell.domain.secrets import hash_of, lookup_of
from dockbell.services.authorized_emails import AuthorizedEmails
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups
from dockbell.services.notifications import Notifications
from dockbell.store.tables import (
    namespaces,
    permissions,
    repositories,
    team_members,
    teams,
    tokens,
    users,
)
from dockbell.store.transactions import Store, Tx
from dockbell.web.faces import ClairCalls, Faces
from tests.apps import app_of
from tests.asgi import Client
from tests.factories import KINDS, METHODS
from tests.fakes import mail_reply_of

PUBLIC_URL = "https://dockbell.test"


@dataclass(slots=True)
class Guard:
    """Stands for the address guard: refuses loopback and what a test says, and keeps what it was asked."""

    refused: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    allows_loopback: bool = False
    letters: list[Letter] = field(default_factory=list)
    mail_answer: MailReply | UnreachableError = field(
        default_factory=lambda: mail_reply_of(250)
    )

    async def mail(self, letter: Letter) -> MailReply:
        """Stands for the mail server."""
        self.letters.append(letter)
        if isinstance(self.mail_answer, UnreachableError):
            raise self.mail_answer
        return self.mail_answer

    async def __call__(self, url: str) -> str | None:
        self.asked.append(url)
        if not self.allows_loopback and urlsplit(url).hostname in {"localhost", "127.0.0.1"}:
            return "The address is loopback."
        return self.refused.get(url)


@dataclass(slots=True)
class World:
    store: Store
    guard: Guard
    faces: Faces
    anonymous: Client
    _count: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def client(
        self,
        name: str,
        scope: str = "repo:admin user:admin",
        *,
        expires_at: datetime | None = None,
    ) -> Client:
        """The application as this user calls it, with a new token of this scope."""
        token = f"{next(self._count):020d}{name:x<20}"
        async with self.store.begin() as tx:
            await tx.run(
                insert(tokens).values(
                    id=tx.new_id("tok"),
                    uuid=tx.new_id("uuid"),
                    user_id=f"ns_{name}",
                    name="",
                    lookup=lookup_of(token),
                    token_hash=hash_of(token),
                    scope=scope,
                    created_at=tx.now,
                    expires_at=expires_at,
                )
            )
        return self.anonymous.with_token(token)


class Rows:
    """Rows of people and places, to be written all at once: that is several times as quick as one by one."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        # In the order in which one needs the other.
        self._of: dict[Table, list[dict[str, object]]] = {
            table: []
            for table in (namespaces, users, teams, team_members, repositories, permissions)
        }

    def add_namespace(self, name: str, kind: NamespaceKind = NamespaceKind.USER) -> str:
        namespace_id = f"ns_{name}"
        self._of[namespaces].append(
            {
                "id": namespace_id,
                "name": name,
                "kind": kind.value,
                "email": None,
                "created_at": self._tx.now,
            }
        )
        if kind is NamespaceKind.USER:
            self._of[users].append({"namespace_id": namespace_id})
        return namespace_id

    def add_team(self, namespace_id: str, name: str, role: str, *members: str) -> str:
        team_id = self._tx.new_id("team")
        self._of[teams].append(
            {
                "id": team_id,
                "namespace_id": namespace_id,
                "name": name,
                "role": role,
                "created_at": self._tx.now,
            }
        )
        self._of[team_members] += [
            {
                "team_id": team_id,
                "user_id": f"ns_{member}",
                "member_id": f"ns_{member}",
                "created_at": self._tx.now,
            }
            for member in members
        ]
        return team_id

    def add_repository(
        self, namespace: str, name: str, *, is_public: bool = False, **roles: str
    ) -> str:
        """`roles` maps user names to the role they hold."""
        repository_id = self._tx.new_id("rep")
        self._of[repositories].append(
            {
                "id": repository_id,
                "namespace_id": f"ns_{namespace}",
                "name": name,
                "visibility": "public" if is_public else "private",
                "created_at": self._tx.now,
            }
        )
        self._of[permissions] += [
            {
                "repository_id": repository_id,
                "holder_id": f"ns_{user}",
                "user_id": f"ns_{user}",
                "role": role,
            }
            for user, role in roles.items()
        ]
        return repository_id

    async def write(self) -> None:
        for table, rows in self._of.items():
            if rows:
                await self._tx.run(insert(table), rows)


async def add_namespace(tx: Tx, name: str, kind: NamespaceKind = NamespaceKind.USER) -> str:
    rows = Rows(tx)
    namespace_id = rows.add_namespace(name, kind)
    await rows.write()
    return namespace_id


async def add_team(tx: Tx, namespace_id: str, name: str, role: str, *members: str) -> str:
    rows = Rows(tx)
    team_id = rows.add_team(namespace_id, name, role, *members)
    await rows.write()
    return team_id


async def add_repository(
    tx: Tx, namespace: str, name: str, *, is_public: bool = False, **roles: str
) -> str:
    """`roles` maps user names to the role they hold."""
    rows = Rows(tx)
    repository_id = rows.add_repository(namespace, name, is_public=is_public, **roles)
    await rows.write()
    return repository_id


async def open_world(store: Store, powers: Powers | None = None) -> World:
    """Fill the database, and build the application on it. Nothing delivers: there is no engine."""
    async with store.begin() as tx:
        rows = Rows(tx)
        for name in ("boss", "admin", "writer", "reader", "fresh"):
            rows.add_namespace(name)
        acme = rows.add_namespace("acme", NamespaceKind.ORGANIZATION)
        other = rows.add_namespace("other", NamespaceKind.ORGANIZATION)
        rows.add_team(acme, "owners", "admin", "boss")
        rows.add_team(acme, "devs", "member", "writer", "reader")
        rows.add_team(other, "owners", "admin", "fresh")
        roles = {"admin": "admin", "writer": "write", "reader": "read"}
        rows.add_repository("acme", "web", **roles)
        rows.add_repository("acme", "api", **roles)
        rows.add_repository("acme", "team/app", **roles)
        rows.add_repository("admin", "open", is_public=True, reader="read")
        await rows.write()
    guard = Guard()
    return world_on(store, guard, powers)


def world_on(
    store: Store,
    guard: Guard,
    powers: Powers | None = None,
    clair: ClairCalls | None = None,
) -> World:
    """The application on a database that somebody else filled."""
    kinds, installed, links = KINDS, METHODS, Links(PUBLIC_URL)
    intake = Intake(kinds=kinds, links=links)
    chance = itertools.count(1)
    faces = Faces(
        kinds=kinds,
        methods=installed,
        links=links,
        intake=intake,
        notifications=Notifications(
            kinds=kinds,
            methods=installed,
            intake=intake,
            lookups=Lookups(refusal=guard),
            chance=lambda size: next(chance).to_bytes(size, "big"),
        ),
        emails=AuthorizedEmails(
            links, lambda size: next(chance).to_bytes(size, "big"), guard.mail
        ),
        powers=powers or Powers(),
        clair=clair or ClairCalls(),
    )
    return World(store=store, guard=guard, faces=faces, anonymous=Client(app_of(store, faces)))
