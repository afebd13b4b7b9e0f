"""The composition root: settings in, a running application out. The only file that knows every adapter."""

import asyncio
import contextlib
import os
import random
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from dockbell import events, methods
from dockbell.api.v1.handlers import HANDLERS
from dockbell.domain import ids
from dockbell.domain.errors import SetupError
from dockbell.domain.links import Links
from dockbell.engine.engine import Engine
from dockbell.engine.retry import Policy
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.observability.versions import version
from dockbell.registry.app import Registry
from dockbell.registry.files import Files
from dockbell.registry.uploads import purge_stale
from dockbell.services import first_users
from dockbell.services.intake import Intake
from dockbell.services.lookups import Lookups
from dockbell.services.notifications import Notifications
from dockbell.services.registry_tokens import open_tokens
from dockbell.settings import Settings
from dockbell.store import addresses, canary, seals
from dockbell.store.clocks import DatabaseClock
from dockbell.store.schema import migrate
from dockbell.store.transactions import Store, check_sqlite_file
from dockbell.web.app import build_app
from dockbell.web.edge import ASGIApp, Receive, Scope, Send
from dockbell.web.faces import Faces

_log = structlog.get_logger("dockbell.bootstrap")

_ID_BITS = 80
_CLOCK_CHECK_SECONDS = 60
_PURGE_SECONDS = 3600


def _now() -> datetime:
    return datetime.now(UTC)


def _key_of(settings: Settings, data: Path) -> bytes:
    """The secret key: the setting, or the file in the data directory, made on the first start."""
    if settings.secret_key:
        return seals.of_text(settings.secret_key)
    path = data / "secret.key"
    with contextlib.suppress(FileNotFoundError):
        return seals.of_text(path.read_text())
    key = seals.new_key()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process made it a moment ago
        return seals.of_text(path.read_text())
    with os.fdopen(descriptor, "w") as file:
        file.write(seals.to_text(key) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _data_of(settings: Settings) -> Path:
    data = Path(settings.data).expanduser().resolve()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"The data directory {data} cannot be used: {error.strerror}. "
            "Choose another with --data, or give this user the right to write there."
        ) from error
    return data


@dataclass(slots=True)
class Application:
    """Everything that runs in one process. `start`, then serve `asgi`, then `drain` and `close`."""

    settings: Settings
    data: Path
    store: Store
    clock: DatabaseClock
    resolver: Resolver
    sender: Sender
    engine: Engine | None
    faces: Faces
    files: Files
    asgi: ASGIApp
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _is_delivering: bool = False

    async def prepare(self) -> None:
        """Migrate the database and check that the secret key fits it. Enough for the command line."""
        await migrate(self.store)
        await self._set_clock()
        async with self.store.begin() as tx:
            await canary.check(tx)

    async def start(self) -> None:
        """Make the database ready and begin to deliver. Raise SetupError in plain words."""
        await self.prepare()
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
        )
        self.asgi = build_app(
            store=self.store,
            faces=self.faces,
            v1=HANDLERS,
            registry=registry,
            checks={"engine": self._engine_problem},
            max_body=self.settings.max_api_body,
        )
        self.sender.start()
        if self.engine is not None:
            self.store.bell = self.engine.ring
            await self.engine.start()
            self._is_delivering = True
        self._tasks = [
            asyncio.create_task(self._every(_CLOCK_CHECK_SECONDS, self._set_clock)),
            asyncio.create_task(self._every(_PURGE_SECONDS, self._purge)),
        ]

    async def drain(self) -> None:
        """Take no new deliveries; let running tries end, or hand them back."""
        self._is_delivering = False
        for task in self._tasks:
            task.cancel()
        if self.engine is not None:
            await self.engine.drain(within=self.settings.send_timeout.total_seconds() + 1)

    async def close(self) -> None:
        await self.sender.close()
        await self.resolver.close()
        await self.store.close()

    async def set_up_token(self) -> str | None:
        """A one-time token for making the first user, while there is none."""
        async with self.store.begin() as tx:
            return await first_users.set_up_token(tx)

    async def _engine_problem(self) -> str | None:
        if self.engine is None or self._is_delivering:
            return None
        return "The engine is stopping."

    async def _set_clock(self) -> None:
        await self.clock.set_by(self.store)

    async def _purge(self) -> None:
        await purge_stale(self.store.begin, self.files, self.clock())

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # noqa: BLE001 -- one failure must not end a chore for good
                _log.exception("chore failed", chore=getattr(work, "__name__", ""))


def build(settings: Settings) -> Application:
    """Put everything together; nothing runs yet. Raise SetupError for what cannot work."""
    data = _data_of(settings)
    clock = DatabaseClock(_now)
    if settings.sqlite_file is not None:
        check_sqlite_file(str(settings.sqlite_file))
    store = Store.open(
        settings.database_address,
        clock=clock,
        new_id=lambda prefix: ids.compose(prefix, clock(), secrets.randbits(_ID_BITS)),
        seal=seals.Seal(_key_of(settings, data)),
    )
    links = Links(settings.public_address)
    policy = EgressPolicy.of(
        ",".join(settings.egress_allow),
        own=[
            (settings.host, settings.port),
            *addresses.servers_of(settings.database_address),
        ],  # nobody may make us talk to these
    )
    timeout = settings.send_timeout
    resolver = Resolver()
    sender = Sender(
        policy,
        resolver,
        timeout=timeout.total_seconds(),
        max_inflight=settings.concurrency,
        ca_file=_ca_file(settings),
        user_agent=f"dockbell/{version()}",
    )
    kinds = events.catalog()
    ways = methods.catalog()
    intake = Intake(kinds=kinds, links=links)
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
        ),
        is_initialize_open=settings.user_initialize,
        requires_team_invite=settings.require_team_invite,
    )
    engine = None
    if settings.engine:
        engine = Engine(
            store,
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
            own_everything=settings.is_sqlite,
        )
    return Application(
        settings=settings,
        data=data,
        store=store,
        clock=clock,
        resolver=resolver,
        sender=sender,
        engine=engine,
        faces=faces,
        files=Files(data),
        asgi=_not_started,
    )


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
