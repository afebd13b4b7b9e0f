"""The composition root: settings in, a running application out. The only file that knows every adapter."""

import asyncio
import contextlib
import ipaddress
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import OperationalError

from dockbell import events, methods
from dockbell.api.intake.app import EventIntake, Limits
from dockbell.api.intake.clair import HANDLERS as CLAIR_HANDLERS
from dockbell.api.intake.clair import ClairWorker
from dockbell.api.intake.clair_indexing import ClairIndexer
from dockbell.api.intake.wire import Reader
from dockbell.api.v1.handlers import HANDLERS
from dockbell.api.v1.handlers import PUBLIC_HANDLERS as V1_PUBLIC_HANDLERS
from dockbell.api.v2.handlers import HANDLERS as V2_HANDLERS
from dockbell.api.v2.handlers import PUBLIC_HANDLERS
from dockbell.domain import clair
from dockbell.domain.accounts import SYSTEM, Powers
from dockbell.domain.errors import SetupError, TooOldError, UnavailableError
from dockbell.domain.ids import IdMaker
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.mailboxes import Sender as MailSender
from dockbell.domain.methods import Method
from dockbell.engine.engine import Engine, most_tries
from dockbell.engine.pruner import Keep
from dockbell.engine.retry import Policy
from dockbell.methods.email import Email
from dockbell.methods.flowdock import Flowdock
from dockbell.methods.hipchat import HipChat
from dockbell.net import object_stores
from dockbell.net.clair import INDEX_SECONDS, ClairClient
from dockbell.net.fetching import Fetcher
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.proxies import Proxy
from dockbell.net.registries import Registries
from dockbell.net.resolver import Resolver
from dockbell.observability import pulse
from dockbell.observability.metrics import Metrics
from dockbell.observability.versions import version
from dockbell.registry.app import Registry
from dockbell.registry.buckets import Bucket
from dockbell.registry.files import Files
from dockbell.registry.garbage import Collector
from dockbell.registry.mirroring import Mirroring
from dockbell.registry.parts import Pulls
from dockbell.registry.uploads import purge_stale
from dockbell.services import expectations, expirations, first_users, quotas, redelivery_jobs
from dockbell.services.authorized_emails import AuthorizedEmails
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups
from dockbell.services.mirrors import Mirrors
from dockbell.services.notifications import Notifications
from dockbell.services.quotas import Quotas
from dockbell.services.registry_tokens import RegistryTokens, open_tokens
from dockbell.services.reports import Reports
from dockbell.settings import Settings
from dockbell.sources import scanners
from dockbell.store import addresses, canary, data_folders, key_files, seals
from dockbell.store.clocks import DatabaseClock
from dockbell.store.schema import check as check_schema
from dockbell.store.schema import is_settled, migrate
from dockbell.store.transactions import Store, check_sqlite_file
from dockbell.ui.handlers import HANDLERS as UI_HANDLERS
from dockbell.web.app import build_app
from dockbell.web.edge import ASGIApp, Receive, Scope, Send
from dockbell.web.faces import ClairCalls, Faces
from dockbell.web.live import Hub
from dockbell.web.metrics import Scrapes
from dockbell.web.receiving import Receiving

if TYPE_CHECKING:
    from dockbell.net.mail import Mailer
    from dockbell.net.quay import Quay
    from dockbell.services.move_ins import MoveIns

_log = structlog.get_logger("dockbell.bootstrap")

KEY_FILE = "secret.key"  # in the data folder
_CLOCK_CHECK_SECONDS = 10
_PURGE_SECONDS = 3600
_ENGINE_POOL = 3  # one connection takes turns, the others are for the rescuer and for notices
_KEY_CHECK_SECONDS = 60  # `keys retire` counts on it
_JOB_SECONDS = 5  # when no bell rings
_LEAST_SECONDS = 1  # between two looks, however often bells ring
_EXPIRY_SECONDS = 30
_QUOTA_SECONDS = 300
_CLAIR_SECONDS = 5
_CLAIR_AT_ONCE = 2  # images of one process that Clair indexes
_SCHEMA_SECONDS = 3


def _now() -> datetime:
    return datetime.now(UTC)


def _steady() -> float:
    """Seconds that only ever grow, on Linux also while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


_Keys = tuple[bytes, ...] | Path  # the newest first, or where the first is still to be made


def key_file_of(settings: Settings) -> Path | None:
    """The file of the secret key; None if a setting holds it."""
    return None if settings.secret_key else _folder_of(settings) / KEY_FILE


def _keys_of(settings: Settings) -> _Keys:
    """The secret keys: the setting, or the file in the data folder."""
    path = key_file_of(settings)
    return seals.of_texts(settings.secret_key) if path is None else key_files.read(path) or path


def _seal_of(settings: Settings, keys: _Keys) -> seals.Seal:
    path = key_file_of(settings)
    reread = None if path is None else partial(key_files.read, path)
    # A key that is still to be made is made by `prepare`, which sees whether that is right.
    return seals.Seal(*((seals.new_key(),) if isinstance(keys, Path) else keys), reread=reread)


async def _check_keys(
    settings: Settings, store: Store, keys: _Keys, *, may_make: bool
) -> tuple[bytes, ...]:
    """The keys that fit the database; the very first start makes both. Raise SetupError."""
    if isinstance(keys, Path):
        async with store.read() as tx:
            if await canary.is_there(tx) or not may_make:
                raise key_files.MissingKeyError(keys)
        keys = key_files.make(keys)
        store.seal = _seal_of(settings, keys)
    async with store.begin() as tx:
        await canary.check(tx)
    return keys


@contextlib.contextmanager
def _usable_database() -> Iterator[None]:
    """Turn what an operator can mend (a full disk, a file that is read-only) into words."""
    try:
        yield
    except OperationalError as error:
        raise SetupError(f"The database cannot be used: {error.orig}.") from error


def _folder_of(settings: Settings) -> Path:
    return Path(settings.data).expanduser().resolve()


def _data_of(settings: Settings) -> Path:
    """The data folder, ready to be used."""
    data = _folder_of(settings)
    data_folders.open_or_make(data)
    private = [data / name for name in (KEY_FILE, "blobs", "uploads")]
    if settings.sqlite_file is not None:
        name = str(settings.sqlite_file)
        private += [Path(name + ending) for ending in ("", "-wal", "-shm", ".lock")]
    data_folders.narrow(private)
    return data


@dataclass(slots=True)
class Application:
    """Everything that runs in one process. `start`, then serve `asgi`, then `drain` and `close`."""

    settings: Settings
    data: Path
    keys: _Keys
    store: Store
    clock: DatabaseClock
    resolver: Resolver
    sender: Sender
    engine: Engine | None
    engine_store: (
        Store  # the engine's own connections: a flood of calls must not stop deliveries
    )
    faces: Faces
    files: Files
    scrapes: Scrapes
    hub: Hub
    clair_fetcher: Fetcher | None
    fetcher: Fetcher
    mirroring: Mirroring | None
    asgi: ASGIApp
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _is_delivering: bool = False
    _tokens: RegistryTokens | None = None  # once the database has been opened
    # Why this program is too old for the tables, once a newer one has migrated them.
    _too_old: TooOldError | None = None
    _is_outgrown: asyncio.Event = field(default_factory=asyncio.Event)
    _has_rung: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self) -> None:
        """Migrate the database and check that the secret key fits it, or make that on the very first start."""
        with _usable_database():
            await migrate(self.store)
            await self._set_clock()
            self.keys = await _check_keys(self.settings, self.store, self.keys, may_make=True)
        # One for both: it may be new, and it learns of a new key while we run.
        self.engine_store.seal = self.store.seal

    async def start(self) -> None:
        """Make the database ready and begin to deliver. Raise SetupError in plain words."""
        await self.assemble()
        await self.deliver()

    async def assemble(self) -> None:
        """All of a start but that anything is delivered."""
        await self.prepare()
        with _usable_database():
            async with self.store.begin() as tx:
                tokens = await open_tokens(tx, audience=self.faces.links.host)
        registry = Registry(
            store_begin=self.store.begin,
            store_read=self.store.read,
            files=self.files,
            links=self.faces.links,
            intake=self.faces.intake,
            clock=self.clock,
            tokens=tokens,
            pulls=Pulls(self.settings.pull_events, random.random),
            powers=self.faces.powers,
            allows_anonymous=self.faces.allows_anonymous,
            is_readonly=self.faces.is_readonly,
            default_quota=self.faces.default_quota,
            are_indexed=self.faces.clair.indexes,
        )
        self._tokens = tokens
        self.asgi = build_app(
            store=self.store,
            faces=self.faces,
            v1=HANDLERS,
            v2=V2_HANDLERS,
            others=[*V1_PUBLIC_HANDLERS, *PUBLIC_HANDLERS, *UI_HANDLERS, *CLAIR_HANDLERS],
            registry=registry,
            intake=self._event_intake(),
            checks={"engine": self._engine_problem, "schema": self._schema_problem},
            warnings={"network": self._network_problem},
            scrapes=self.scrapes,
            hub=self.hub,
            max_body=self.settings.max_api_body,
        )
        self.sender.start()

    async def deliver(self) -> None:
        if self.engine is not None:
            await self.engine.start()
            self.store.bell = self._ring
            self._is_delivering = True
        self._tasks = [
            asyncio.create_task(self._every(_CLOCK_CHECK_SECONDS, self._set_clock)),
            asyncio.create_task(self._every(_KEY_CHECK_SECONDS, self._look_at_key)),
            asyncio.create_task(self._every(_SCHEMA_SECONDS, self._look_at_schema)),
            asyncio.create_task(pulse.feel(self.scrapes.metrics)),
        ]
        if not self.faces.is_readonly:
            self._tasks += self._chores_that_change()
        if self.engine is not None:
            self._tasks.append(
                asyncio.create_task(
                    self._every(_JOB_SECONDS, self._redeliver, bell=self._has_rung)
                )
            )
            self._tasks.append(
                asyncio.create_task(self._every(_EXPIRY_SECONDS, self._look_at_silence))
            )
            self._tasks.append(
                asyncio.create_task(self._every(_QUOTA_SECONDS, self._watch_quotas))
            )
        if self.mirroring is not None:
            if self.settings.is_sqlite:  # no other process uses this database
                async with self.store.begin() as tx:
                    await self.faces.mirrors.take_back(tx, SYSTEM)
            self.mirroring.start()

    def _ring(self) -> None:
        """Look for work now: a commit of this process has made some."""
        if self.engine is not None:
            self.engine.ring()
        if self.mirroring is not None:
            self.mirroring.ring()
        self._has_rung.set()

    def _chores_that_change(self) -> list[asyncio.Task[None]]:
        """What a server that is set to change nothing leaves undone."""
        chores = [asyncio.create_task(self._every(_PURGE_SECONDS, self._purge))]
        if self.engine is not None:
            chores.append(
                asyncio.create_task(self._every(_EXPIRY_SECONDS, self._look_at_expiry))
            )
            if self.clair_fetcher is not None:
                client = ClairClient(
                    self.clair_fetcher,
                    self.settings.clair_url,
                    self.faces.clair.key,
                    self.clock,
                )
                works = [self._clair_worker(client).work_off]
                if self.faces.clair.indexes and self._tokens is not None:
                    indexer = self._clair_indexer(client, self._tokens)
                    works += [indexer.work_off] * _CLAIR_AT_ONCE
                chores += [
                    asyncio.create_task(self._every(_CLAIR_SECONDS, work)) for work in works
                ]
        return chores

    def _event_intake(self) -> EventIntake:
        faces = self.faces
        return EventIntake(
            Receiving(
                self.store,
                Reports(faces.intake, faces.links),
                most_waiting=self.settings.intake_queue,
            ),
            Reader(faces.kinds, faces.links, self.clock),
            faces.links,
            Limits(body=self.settings.max_intake_body),
        )

    async def drain(self) -> None:
        """Take no new deliveries; let running tries end, or hand them back."""
        self._is_delivering = False
        for task in self._tasks:
            task.cancel()
        # To their very end: one may be in a transaction, and undoes it.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.hub.drain()
        if self.mirroring is not None:
            await self.mirroring.stop()
        if self.engine is not None:
            await self.engine.drain(within=self.settings.send_timeout.total_seconds() + 1)

    async def hand_back(self) -> None:
        """Have `drain` wait for no try, and return when what was being sent is anybody's again."""
        if self.engine is not None:
            await self.engine.hand_back()

    async def close(self) -> None:
        if self.clair_fetcher is not None:
            await self.clair_fetcher.close()
        await self.sender.close()
        await self.fetcher.close()
        await self.resolver.close()
        await self.engine_store.close()
        await self.store.close()

    async def set_up_token(self) -> str | None:
        """A one-time token for making the first user, while there is none."""
        async with self.store.begin() as tx:
            return await first_users.set_up_token(tx)

    async def _engine_problem(self) -> str | None:
        if self.engine is None or self._is_delivering:
            return None
        return "The engine is stopping."

    async def _schema_problem(self) -> str | None:
        return None if self._too_old is None else self._too_old.detail

    async def outgrown(self) -> TooOldError | None:
        """Wait until this program is too old for the tables, because a newer one has migrated them; return why."""
        await self._is_outgrown.wait()
        return self._too_old

    async def _look_at_schema(self) -> None:
        """Learn that the tables no longer take this program, which it may not know while it runs."""
        if self._too_old is not None:
            return
        try:
            async with self.store.read() as tx:
                await check_schema(tx)
        except TooOldError as error:
            _log.error("this version is too old for the tables, and stops", reason=error.detail)
            self._too_old = error
            self._is_outgrown.set()

    async def _network_problem(self) -> str | None:
        return None if self.engine is None else self.engine.network_problem()

    async def _set_clock(self) -> None:
        await self.clock.set_by(self.store)
        if self.engine is not None and self._is_delivering:
            await self.engine.look_at_clock()

    async def _look_at_key(self) -> None:
        """Learn of a new secret key, so that from now on we close with it too."""
        async with self.store.read() as tx:
            await canary.look(tx)

    async def _redeliver(self) -> None:
        """Work off the jobs that send many deliveries again, in short transactions."""
        async with self.store.read() as tx:
            is_needed = await redelivery_jobs.has_running(tx, SYSTEM)
        while is_needed:
            async with self.store.begin() as tx:
                is_needed = await redelivery_jobs.step(tx, SYSTEM)

    async def _look_at_expiry(self) -> None:
        """Tell of tags that expire soon, and end those whose time is over, in short transactions."""
        after: str | None = ""
        while after is not None:
            async with self.store.read() as tx:
                watchers = await expirations.list_watchers(tx, SYSTEM, after=after)
                news = [one for one in watchers if await expirations.has_news(tx, SYSTEM, one)]
            for watcher in news:
                has_more = True
                while has_more:
                    async with self.store.begin() as tx:
                        has_more = await expirations.tell(
                            tx, SYSTEM, self.faces.intake, watcher
                        )
            after = watchers[-1].id if watchers else None
        async with self.store.read() as tx:
            is_needed = await expirations.has_expired(tx, SYSTEM)
        while is_needed:
            async with self.store.begin() as tx:
                is_needed = await expirations.end_expired(tx, SYSTEM, self.faces.intake)

    async def _look_at_silence(self) -> None:
        """Tell of events that were expected and did not come."""
        after: str | None = ""
        while after is not None:
            async with self.store.read() as tx:
                watchers = await expectations.list_watchers(tx, SYSTEM, after=after)
                silent = [
                    one for one in watchers if await expectations.is_missing(tx, SYSTEM, one)
                ]
            for watcher in silent:
                async with self.store.begin() as tx:
                    await expectations.tell(tx, SYSTEM, self.faces.intake, watcher)
            after = watchers[-1].id if watchers else None

    def _clair_worker(self, client: ClairClient) -> ClairWorker:
        return ClairWorker(
            self.store.begin,
            self.store.read,
            client,
            self.faces.scans,
            scanners()["clair"],
        )

    def _clair_indexer(self, client: ClairClient, tokens: RegistryTokens) -> ClairIndexer:
        return ClairIndexer(
            self.store.begin,
            self.store.read,
            client,
            scans=self.faces.scans,
            scanner=scanners()["clair"],
            tokens=tokens,
            links=self.faces.links,
            clock=self.clock,
        )

    async def _watch_quotas(self) -> None:
        async with self.store.read() as tx:
            limited = await quotas.list_limited(tx, SYSTEM)
        for namespace_id in limited:
            async with self.store.begin() as tx:
                await self.faces.quotas.look(tx, SYSTEM, namespace_id)

    async def _purge(self) -> None:
        await purge_stale(self.store.begin, self.files, self.clock())
        if self.engine is not None:
            collected = await collector_of(self.settings, self.store, self.files).run(
                self.clock()
            )
            if collected.blobs or collected.manifests or collected.orphans:
                _log.info(
                    "garbage collected",
                    manifests=collected.manifests,
                    blobs=collected.blobs,
                    bytes=collected.size,
                    files=collected.orphans,
                )

    async def _every(
        self,
        seconds: float,
        work: Callable[[], Awaitable[None]],
        *,
        bell: asyncio.Event | None = None,
    ) -> None:
        """Do the work every so many seconds, or soon after the bell was rung."""
        while True:
            if bell is None:
                await asyncio.sleep(seconds)
            else:
                await asyncio.sleep(_LEAST_SECONDS)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds - _LEAST_SECONDS):
                        await bell.wait()
                bell.clear()
            try:
                await work()
            except UnavailableError as error:
                _log.warning("chore postponed", chore=_name_of(work), reason=error.detail)
            except Exception:  # noqa: BLE001 -- one failure must not end a chore for good
                _log.exception("chore failed", chore=_name_of(work))


def _name_of(work: Callable[[], Awaitable[None]]) -> str:
    return str(getattr(work, "__name__", ""))


def build(settings: Settings) -> Application:
    """Put everything together; nothing runs yet. Raise SetupError for what cannot work."""
    data = _data_of(settings)
    clock = DatabaseClock(_now, _steady)
    keys = _keys_of(settings)
    store = _open_store(settings, clock, keys)
    links = Links(settings.public_address, settings.registry_title)
    timeout = settings.send_timeout
    resolver = Resolver()
    sender = _sender_of(settings, resolver)
    mailer = mailer_of(settings, resolver)
    kinds = events.catalog()
    ways = methods_of(settings)
    metrics = Metrics()
    intake = Intake(kinds=kinds, links=links, metrics=metrics)
    faces = Faces(
        kinds=kinds,
        methods=ways,
        links=links,
        intake=intake,
        notifications=Notifications(
            kinds=kinds,
            methods=ways,
            intake=intake,
            lookups=Lookups(refusal=sender.address_error),
            chance=secrets.token_bytes,
            most=settings.most_notifications,
            tests_per_minute=settings.tests_per_minute,
        ),
        emails=AuthorizedEmails(
            links, secrets.token_bytes, None if mailer is None else mailer.send
        ),
        is_initialize_open=settings.user_initialize,
        allows_sign_up=settings.user_creation,
        requires_team_invite=settings.require_team_invite,
        allows_anonymous=settings.anonymous_access,
        default_quota=settings.default_quota,
        is_readonly=settings.registry_state == "readonly",
        powers=Powers(
            frozenset(settings.superusers),
            frozenset(settings.readonly_superusers),
            have_full_access=settings.superusers_full_access,
            hide_internal_answers=settings.internal_answers == "superusers",
        ),
        clair=ClairCalls(
            bool(settings.clair_url),
            clair.key_of(settings.clair_psk),
            indexes=bool(settings.clair_url) and settings.clair_index,
        ),
    )
    engine = None
    engine_store = store.beside(_ENGINE_POOL)
    if settings.engine:
        engine = Engine(
            engine_store,
            kinds=kinds,
            methods=ways,
            links=links,
            outbound=sender,
            clock=clock,
            chance=random.random,
            worker=f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}",
            timeout=timeout,
            policy=Policy(waits=settings.retry_waits),
            concurrency=settings.concurrency,
            most_of_host=settings.host_concurrency,
            own_everything=settings.is_sqlite,
            metrics=metrics,
            keep=_keep_of(settings),
            steady=_steady,
            mailer=mailer,
        )
    files = files_of(settings, data)
    fetcher = _fetcher_of(settings, ",".join(settings.egress_allow), resolver)
    mirroring = None
    if settings.engine and not faces.is_readonly:
        mirroring = Mirroring(
            store.begin,
            store.read,
            files,
            faces.mirrors,
            faces.quotas,
            Registries(fetcher),
        )
    return Application(
        settings=settings,
        data=data,
        keys=keys,
        store=store,
        clock=clock,
        resolver=resolver,
        sender=sender,
        engine=engine,
        engine_store=engine_store,
        faces=faces,
        files=files,
        scrapes=Scrapes(
            store,
            metrics,
            access=settings.metrics,
            token=settings.metrics_token,
            clock_offset=lambda: clock.offset,
            network_problem=(lambda: None) if engine is None else engine.network_problem,
            engine_store=engine_store,
        ),
        hub=Hub(store),
        clair_fetcher=_clair_fetcher_of(settings, resolver) if settings.clair_url else None,
        fetcher=fetcher,
        mirroring=mirroring,
        asgi=_not_started,
    )


def _sender_of(settings: Settings, resolver: Resolver) -> Sender:
    return Sender(
        EgressPolicy.of(",".join(settings.egress_allow), own=_own_places(settings)),
        resolver,
        timeout=settings.send_timeout.total_seconds(),
        max_inflight=most_tries(settings.concurrency),
        ca_file=_ca_file(settings),
        proxy=_proxy_of(settings),
        user_agent=_user_agent(),
    )


def _fetcher_of(settings: Settings, allowed: str, resolver: Resolver) -> Fetcher:
    return Fetcher(
        EgressPolicy.of(allowed, own=_own_places(settings)),
        resolver,
        ca_file=_ca_file(settings),
        proxy=_proxy_of(settings),
        user_agent=_user_agent(),
    )


def _proxy_of(settings: Settings) -> Proxy | None:
    return Proxy.of(settings.egress_proxy) if settings.egress_proxy else None


def _user_agent() -> str:
    return f"dockbell/{version()}"


@dataclass(frozen=True, slots=True)
class MovingIn:
    """What it takes to move in from another server: that one, and this one's database."""

    store: Store
    quay: "Quay"
    moves: "MoveIns"


@contextlib.asynccontextmanager
async def moving_in(
    settings: Settings, url: str, token: str, *, rate: float, say: Callable[[str], None]
) -> AsyncIterator[MovingIn]:
    """The database that is here, and the Quay at `url` to move in from. Raise SetupError for what cannot work.

    `say` hears of waits for that Quay.
    """
    # No server needs these.
    from dockbell.net.quay import Quay, address_of, host_of_url  # noqa: PLC0415 -- see above
    from dockbell.services.move_ins import MoveIns  # noqa: PLC0415 -- see above

    address = address_of(url)
    resolver = Resolver()
    sender = _sender_of(settings, resolver)
    # As with the mail server: the operator names it, so that very host is allowed, private or not, and no other.
    fetcher = _fetcher_of(settings, host_of_url(address), resolver)
    kinds = events.catalog()
    links = Links(settings.public_address)
    intake = Intake(kinds=kinds, links=links, metrics=Metrics())
    notifications = Notifications(
        kinds=kinds,
        methods=methods_of(settings),
        intake=intake,
        lookups=Lookups(refusal=sender.address_error),
        chance=secrets.token_bytes,
        most=settings.most_notifications,
    )
    async with existing(settings) as store:
        try:
            yield MovingIn(
                store,
                Quay(fetcher, address, token, rate=rate, say=say),
                MoveIns(notifications, Mirrors(intake), Quotas(intake), own_host=links.host),
            )
        finally:
            await fetcher.close()
            await sender.close()
            await resolver.close()


def files_of(settings: Settings, folder: Path) -> Files:
    """The content of images: in the folder, or in the object store that the settings name."""
    if not settings.blob_store:
        return Files(folder)
    address = object_stores.Address(
        settings.blob_store,
        settings.blob_store_endpoint,
        settings.blob_store_region,
        settings.blob_store_access_key,
        settings.blob_store_secret_key,
    )
    store = object_stores.open_store(address, settings.send_timeout.total_seconds())
    return Files(folder, Bucket(store))


def collector_of(settings: Settings, store: Store, files: Files) -> Collector:
    """What collects the garbage of a database and of its folder."""
    days = settings.keep_deleted_tags
    return Collector(store.begin, store.read, files, timedelta(days=days) if days else None)


@contextlib.asynccontextmanager
async def existing_collector(settings: Settings) -> AsyncIterator[tuple[Collector, datetime]]:
    """What collects the garbage of a dockbell that is there, and its time. A server may run at the same time."""
    folder = _folder_of(settings)
    async with existing(settings) as store:
        if not settings.blob_store and not (folder / "blobs").is_dir():
            raise SetupError(f"There are no blobs in {folder}. Name their folder with --data.")
        async with store.read() as tx:
            now = tx.now
        yield collector_of(settings, store, files_of(settings, folder)), now


def methods_of(settings: Settings) -> Mapping[str, Method]:
    """All methods, those that depend on settings made for these."""
    fitted: tuple[Method, ...] = (
        Email(has_server=bool(settings.smtp_host)),
        Flowdock(settings.flowdock_url, settings.mail_from),
        HipChat(settings.hipchat_url),
    )
    return {**methods.catalog(), **{method.name: method for method in fitted}}


def _clair_fetcher_of(settings: Settings, resolver: Resolver) -> Fetcher:
    from dockbell.net.quay import host_of_url  # noqa: PLC0415 -- most servers have no Clair

    # As with the mail server: the operator names it, so that very host is allowed, private or not, and no other.
    return Fetcher(
        EgressPolicy.of(host_of_url(settings.clair_url), own=_own_places(settings)),
        resolver,
        patience=INDEX_SECONDS,
        ca_file=_ca_file(settings),
        proxy=_proxy_of(settings),
        user_agent=_user_agent(),
    )


def mailer_of(settings: Settings, resolver: Resolver) -> "Mailer | None":
    """The way out for mail; None while no mail server is set. Raise SetupError for settings that do not go together."""
    if not settings.smtp_host:
        return None
    if settings.mail_problem is not None:
        raise SetupError(settings.mail_problem)
    from dockbell.net.mail import Mailer, Relay, Security  # noqa: PLC0415 -- many send no mail

    relay = Relay(
        settings.smtp_host,
        settings.smtp_port,
        MailSender.of(settings.mail_from),
        security=Security(settings.smtp_tls),
        username=settings.smtp_username,
        password=settings.smtp_password,
        own_name=_own_name(Links(settings.public_address).hostname),
        ca_file=_ca_file(settings),
    )
    # The operator names their mail server, so that very host is allowed, private or not, and no other.
    policy = EgressPolicy.of(settings.smtp_host, own=_own_places(settings))
    return Mailer(relay, policy, resolver, timeout=settings.send_timeout.total_seconds())


def _own_places(settings: Settings) -> list[tuple[str, int]]:
    """Where this server and its database listen: nobody may make us talk to these."""
    return [
        (settings.host, settings.port),
        *addresses.servers_of(settings.database_address),
    ]


def _own_name(host: str) -> str:
    """How we greet a mail server: a name, or an address in brackets as RFC 5321 wants it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"  # noqa: PLR2004 -- IPv6


def _keep_of(settings: Settings) -> Keep:
    def span(days: int) -> timedelta | None:
        return timedelta(days=days) if days else None

    return Keep(
        attempts=span(settings.keep_attempts),
        events=span(settings.keep_events),
        notices=span(settings.keep_notices),
        audit_entries=span(settings.keep_audit_entries),
        tokens=span(settings.keep_tokens),
    )


def _open_store(settings: Settings, clock: DatabaseClock, keys: _Keys) -> Store:
    if settings.sqlite_file is not None:
        check_sqlite_file(str(settings.sqlite_file))
    return Store.open(
        settings.database_address,
        clock=clock,
        new_id=IdMaker(clock, secrets.token_bytes),
        seal=_seal_of(settings, keys),
    )


@contextlib.asynccontextmanager
async def existing(settings: Settings) -> AsyncIterator[Store]:
    """The database of a dockbell that is there, for the command line. It makes nothing, or raises SetupError.

    A server may run on it at the same time.
    """
    file = settings.sqlite_file
    if file is not None:
        _must_exist(file)
    keys = _keys_of(settings)
    clock = DatabaseClock(_now, _steady)
    store = _open_store(settings, clock, keys)
    try:
        with _usable_database():
            if not await is_settled(store):
                raise SetupError(
                    "The database has no tables yet or an older schema. "
                    "`dockbell db migrate` brings it to the newest."
                )
            await clock.set_by(store)
            await _check_keys(settings, store, keys, may_make=False)
            yield store
    finally:
        await store.close()


def unchecked(settings: Settings) -> tuple[Store, DatabaseClock]:
    """The database as it is, for whoever looks for what is wrong. Raise SetupError for a key that is none."""
    clock = DatabaseClock(_now, _steady)
    return _open_store(settings, clock, _keys_of(settings)), clock


async def check_key(settings: Settings, store: Store) -> None:
    """Raise SetupError if the secret key is missing or is not the one the database was written with."""
    await _check_keys(settings, store, _keys_of(settings), may_make=False)


def _must_exist(file: Path) -> None:
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SetupError(
            f"There is no dockbell in {file.parent}: it holds no {file.name}. "
            "Name its folder with --data, or make one with `dockbell serve` or `dockbell db migrate`."
        ) from error
    except OSError as error:
        raise SetupError(f"The database {file} cannot be opened: {error.strerror}.") from error


async def _not_started(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise SetupError("The application was not started.")


def _ca_file(settings: Settings) -> str | None:
    if not settings.ca_file:
        return None
    path = Path(settings.ca_file).expanduser()
    if not path.is_file():
        raise SetupError(f"The setting ca_file names {path}, but there is no such file.")
    return str(path)
