"""Benchmarks of the engine: how fast it delivers (P1, P2), and how soon when it is idle (P5)."""

import asyncio
import contextlib
import resource
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import uvloop
from sqlalchemy import func, make_url, select

from dockbell import bootstrap
from dockbell.cli import garbage
from dockbell.cli.bench_target import Target, on_processor, receiving, reference
from dockbell.domain.accounts import SYSTEM, Actor, ActorKind
from dockbell.domain.errors import SetupError
from dockbell.domain.events import Subject
from dockbell.domain.permissions import AdminOf
from dockbell.domain.repositories import Visibility
from dockbell.observability import logs
from dockbell.services import repositories, users
from dockbell.services.intake import Draft
from dockbell.services.notifications import NewNotification
from dockbell.settings import Settings
from dockbell.store.tables import attempts, deliveries, lanes
from dockbell.store.transactions import Store

_NOTIFICATIONS = 100
_ROUNDS = 3
_REFERENCE_SECONDS = 2.0
_PATIENCE_SECONDS = 300
_IDLE_EVENTS = 200
_IDLE_SECONDS = 0.03
# With Quay's own fields, a body of about 1 KiB, as the reference sends.
_DETAILS = {"updated_tags": [f"release-{number}" for number in range(60)]}


@dataclass(frozen=True, slots=True)
class Throughput:
    """P1 or P2: deliveries from the lease to the settled attempt, against plain POSTs to the same receiver."""

    rate: float  # deliveries a second, the median of the rounds
    reference_rate: float
    percent: float  # of the reference, the median of the rounds' own ratios
    cpu_microseconds: float  # of this process, for one delivery
    receiver: str
    compared_with: str


@dataclass(frozen=True, slots=True)
class Latency:
    """P5: from handing in an event to its first byte at the receiver, with nothing else to do."""

    p50_milliseconds: float
    p99_milliseconds: float


def measure_throughput(database_url: str | None = None, *, count: int = 20_000) -> Throughput:
    """On a fresh SQLite file, or on a database made on that PostgreSQL server and dropped afterwards.

    The engine and what it is compared with get the first processor, the receiver the second, if there are two.
    """
    with _place(database_url) as place, receiving(processor=1) as target, on_processor(0):
        rounds = []
        compared = reference(target, _REFERENCE_SECONDS)
        for number in range(_ROUNDS + 1):
            compared = reference(target, _REFERENCE_SECONDS)
            warming_up = number == 0
            rate, processor = uvloop.run(
                _deliver(place, target, count // 10 if warming_up else count)
            )
            if not warming_up:
                rounds.append((compared.rate, rate, processor))
    return Throughput(
        rate=statistics.median(rate for _, rate, _ in rounds),
        reference_rate=statistics.median(plain for plain, _, _ in rounds),
        percent=statistics.median(100 * rate / plain for plain, rate, _ in rounds),
        cpu_microseconds=statistics.median(processor for _, _, processor in rounds),
        receiver=target.about,
        compared_with=compared.about,
    )


def measure_latency(database_url: str | None = None) -> Latency:
    """The same places, with a receiver of our own that tells when the first byte came."""
    with _place(database_url) as place, receiving(tells_time=True) as target:
        times = sorted(uvloop.run(_time_events(place, target)))
    return Latency(
        p50_milliseconds=statistics.median(times) / 1e6,
        p99_milliseconds=times[int(len(times) * 0.99)] / 1e6,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the data are: gone when the benchmark is over."""

    folder: Path
    database_url: str | None


@contextlib.contextmanager
def _place(database_url: str | None) -> Iterator[_Place]:
    logs.configure(style="console", level="error")
    with tempfile.TemporaryDirectory(prefix="dockbell-bench-") as folder:
        if database_url is None:
            yield _Place(Path(folder), None)
            return
        name = f"dockbell_bench_{secrets.token_hex(4)}"
        asyncio.run(_administer(database_url, f'CREATE DATABASE "{name}"'))
        try:
            address = make_url(database_url).set(database=name)
            yield _Place(Path(folder), address.render_as_string(hide_password=False))
        finally:
            asyncio.run(_administer(database_url, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _administer(database_url: str, statement: str) -> None:
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
async def _application(place: _Place) -> AsyncIterator[bootstrap.Application]:
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


async def _furnish(application: bootstrap.Application, target: Target, count: int) -> AdminOf:
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


async def _record(application: bootstrap.Application, admin: AdminOf) -> None:
    repository = admin.repository
    async with application.store.begin() as tx:
        draft = Draft(
            kind="repo_push",
            subject=Subject(repository.namespace, repository.name, is_user=True),
            namespace_id=repository.namespace_id,
            repository_id=repository.id,
            details=_DETAILS,
            facts={},
            performer=None,
            occurred_at=tx.now,
        )
        await application.faces.intake.record(tx, draft)


async def _deliver(place: _Place, target: Target, count: int) -> tuple[float, float]:
    """Deliver so many; return how many a second, and the microseconds of processor time for each."""
    events_count = max(1, count // _NOTIFICATIONS)
    async with _application(place) as application:
        admin = await _furnish(application, target, _NOTIFICATIONS)
        for _ in range(events_count):
            await _record(application, admin)
        began, used = time.perf_counter(), _processor_seconds()
        await application.start()
        await _wait_until_idle(application.store)
        spent, used = time.perf_counter() - began, _processor_seconds() - used
        await _check(application.store)
    delivered = events_count * _NOTIFICATIONS
    return delivered / spent, used / delivered * 1e6


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _wait_until_idle(store: Store) -> None:
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


async def _check(store: Store) -> None:
    """Figures count only if everything was delivered at the first try."""
    states = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    async with store.read() as tx:
        found = dict(map(tuple, await tx.rows(states)))
        counted = await tx.rows(select(func.count()).select_from(attempts))
    if found != {"delivered": sum(one for (one,) in map(tuple, counted))}:
        raise SetupError(f"The benchmark did not deliver everything at once: {found}.")


async def _time_events(place: _Place, target: Target) -> list[int]:
    """For each event, the nanoseconds until its first byte."""
    times = []
    async with _application(place) as application:
        admin = await _furnish(application, target, 1)
        await application.start()
        for _ in range(_IDLE_EVENTS):
            await asyncio.sleep(_IDLE_SECONDS)
            began = time.monotonic_ns()
            await _record(application, admin)
            await _wait_until_idle(application.store)
            times.append(await _first_byte(application.store) - began)
        await _check(application.store)
    return times


async def _first_byte(store: Store) -> int:
    """When the last request's first byte came, as the receiver said in its answer."""
    newest = select(attempts.c.response_body).order_by(attempts.c.started_at.desc()).limit(1)
    async with store.read() as tx:
        row = await tx.first(newest)
    if row is None or not row.response_body:
        raise SetupError("The benchmark's receiver did not say when a request came.")
    return int(row.response_body)
