"""Where benchmarks run: a server of their own on a fresh database, with notifications and events in it."""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import asyncpg
from sqlalchemy import func, make_url, select

from dockbell import bootstrap
from dockbell.cli import garbage
from dockbell.cli.bench_target import Target
from dockbell.domain.accounts import SYSTEM, Actor, ActorKind
from dockbell.domain.errors import SetupError
from dockbell.domain.events import Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import AdminOf
from dockbell.domain.repositories import Visibility
from dockbell.observability import logs
from dockbell.services import repositories, users
from dockbell.services.intake import Draft
from dockbell.services.notifications import NewNotification
from dockbell.settings import Settings
from dockbell.store.tables import attempts, deliveries, lanes
from dockbell.store.transactions import Store

_PATIENCE_SECONDS = 300
_EVENTS_AT_ONCE = 500
# With Quay's own fields, a body of about 1 KiB, as the reference sends.
_DETAILS = {"updated_tags": [f"release-{number}" for number in range(60)]}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data are: gone when the benchmark is over."""

    folder: Path
    database_url: str | None


@contextlib.contextmanager
def place_for(database_url: str | None) -> Iterator[Place]:
    logs.configure(style="console", level="error")
    with tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder:
        if database_url is None:
            yield Place(Path(folder), None)
            return
        name = f"dockbell_bench_{secrets.token_hex(4)}"
        asyncio.run(administer(database_url, f'CREATE DATABASE "{name}"'))
        try:
            address = make_url(database_url).set(database=name)
            yield Place(Path(folder), address.render_as_string(hide_password=False))
        finally:
            asyncio.run(administer(database_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def administer(database_url: str, statement: str) -> None:
    """Execute one statement outside of any transaction. Raise SetupError in plain words."""
    try:
        connection = await asyncpg.connect(database_url, timeout=10)
    except (OSError, TimeoutError, ValueError, asyncpg.PostgresError) as error:
        raise SetupError(f"The PostgreSQL server cannot be reached: {error}") from error
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        raise SetupError(f"PostgreSQL refused `{statement}`: {error}") from error
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def application_in(place: Place) -> AsyncIterator[bootstrap.Application]:
    """The whole server but its port, not started yet, with the settings that users start with."""
    flags: dict[str, object] = {"data": str(place.folder), "egress_allow": "loopback"}
    if place.database_url is not None:
        flags["database_url"] = place.database_url
    settings = Settings.load(environment={}, folder=place.folder, flags=flags)
    application = bootstrap.build(settings)
    try:
        await application.prepare()
        garbage.look_seldom()  # as the server does
        yield application
    finally:
        await application.drain()
        await application.close()


async def furnish(application: bootstrap.Application, target: Target, count: int) -> AdminOf:
    """A new user's repository with so many signed webhooks, each with an address of its own."""
    name = f"bench{secrets.token_hex(4)}"
    async with application.store.begin() as tx:
        user = await users.create(
            tx,
            SYSTEM,
            username=name,
            email=f"{name}@example.org",
            password=secrets.token_urlsafe(),
        )
        actor = Actor(kind=ActorKind.USER, id=user.id, name=user.name)
        creator = await repositories.creator_in(tx, actor, name)
        await repositories.create(tx, creator, "web", visibility=Visibility.PRIVATE)
        admin = await repositories.admin_of(tx, actor, f"{name}/web")
        for number in range(count):
            await application.faces.notifications.create(
                tx,
                admin,
                NewNotification(
                    kind="repo_push",
                    method="webhook",
                    config={"url": f"{target.url}/{number}"},
                    event_config={},
                ),
            )
    return admin


async def record(application: bootstrap.Application, admin: AdminOf) -> None:
    """One event, in a transaction of its own."""
    async with application.store.begin() as tx:
        await application.faces.intake.record(tx, _draft(admin, tx.now))


async def record_many(application: bootstrap.Application, admin: AdminOf, count: int) -> None:
    """So many events, a few hundred in each transaction."""
    left = count
    while left:
        async with application.store.begin() as tx:
            drafts = [_draft(admin, tx.now)] * min(left, _EVENTS_AT_ONCE)
            left -= len(await application.faces.intake.record_many(tx, drafts))


def _draft(admin: AdminOf, now: datetime) -> Draft:
    repository = admin.repository
    return Draft(
        kind="repo_push",
        subject=Subject(repository.namespace, repository.name, is_user=True),
        namespace_id=repository.namespace_id,
        repository_id=repository.id,
        details=_DETAILS,
        facts={},
        performer=None,
        occurred_at=now,
    )


async def wait_until_idle(store: Store) -> None:
    """Return when nothing waits and nothing is under way."""
    busy = lanes.c.next_due_at.is_not(None) | (lanes.c.inflight > 0)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            await asyncio.sleep(
                0.02
            )  # first, so that asking is not in the way of what is measured
            async with store.read() as tx:
                if await tx.first(select(lanes.c.id).where(busy).limit(1)) is None:
                    return


async def check(store: Store) -> None:
    """Figures count only if everything was delivered at the first try."""
    states = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    async with store.read() as tx:
        found = dict(map(tuple, await tx.rows(states)))
        counted = await tx.rows(select(func.count()).select_from(attempts))
    if found != {"delivered": sum(one for (one,) in map(tuple, counted))}:
        raise SetupError(f"The benchmark did not deliver everything at once: {found}.")
