"""Running the application as a process: signals, the HTTP server, and an orderly end."""

import asyncio
import contextlib
import json
import os
import resource
import signal
import socket
from collections.abc import Coroutine, Iterator
from typing import NoReturn

import structlog
import uvloop
from uvicorn.config import Config
from uvicorn.server import Server

from dockbell import bootstrap
from dockbell.cli import garbage
from dockbell.cli.failures import say
from dockbell.domain.errors import TooOldError
from dockbell.observability import logs
from dockbell.observability.versions import version
from dockbell.settings import Settings
from dockbell.web.connections import BoundedProtocol

_log = structlog.get_logger("dockbell.serve")

_KEEP_ALIVE_SECONDS = 75  # longer than the proxies before us keep a connection
_GRACE_SECONDS = 10  # for requests that run when we are told to stop
_HAND_BACK_SECONDS = 2
_TICK_SECONDS = 1
_KILLED = 1


def run(settings: Settings, listener: socket.socket | None) -> None:
    """Serve until a signal comes; without a listener, only deliver. Raise SetupError if it cannot start."""
    logs.configure(style=settings.log_format, level=settings.log_level)
    _leave_no_core()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings, listener))


def _leave_no_core() -> None:
    """Should the process crash, its memory with all keys must not lie about in a file. Who looks for a bug may raise it again."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


async def _run(settings: Settings, listener: socket.socket | None) -> None:
    stop = asyncio.Event()
    application = bootstrap.build(settings)
    _stop_on_signals(stop, application)
    try:
        if not await _unless(stop, application.start()):
            # Nothing was acknowledged, and a thread that is still opening the database cannot be told to stop.
            os._exit(0)
        garbage.look_seldom()
        if listener is None:
            _log.info("delivering", database=_database(settings))
            too_old = await _until_told(stop, application)
            await application.drain()
        else:
            too_old = await _serve(application, listener, stop)
    finally:
        await application.close()
    if too_old is not None:
        raise too_old


async def _until_told(
    stop: asyncio.Event, application: bootstrap.Application
) -> TooOldError | None:
    """Wait for a signal, or until this program is too old for the tables; return why it is, then."""
    stopping = asyncio.create_task(stop.wait())
    ageing = asyncio.create_task(application.outgrown())
    try:
        await asyncio.wait({stopping, ageing}, return_when=asyncio.FIRST_COMPLETED)
        return ageing.result() if ageing.done() else None
    finally:
        stopping.cancel()
        ageing.cancel()


async def _serve(
    application: bootstrap.Application, listener: socket.socket, stop: asyncio.Event
) -> TooOldError | None:
    """Serve until it is told to stop or too old for the tables; return why it is, then."""
    server = _Server(
        Config(
            application.asgi,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    # Said before anybody is answered, so that whoever waits for /readyz finds it in the log. A client that is
    # quicker waits in the listener's queue.
    await _announce(application)
    serving = asyncio.create_task(server.serve([listener]))
    told = asyncio.create_task(_until_told(stop, application))
    await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
    too_old = told.result() if told.done() else None
    told.cancel()
    server.end()
    # Requests and tries that are under way end side by side, each within its own limit.
    await asyncio.gather(serving, application.drain())
    _log.info("stopped")
    return too_old


class _Server(Server):
    """uvicorn, but signals are ours: it would raise them again at the end, and the exit code would not be 0."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        # Its own asks ten times a second whether to end. We say so, and the second for the `Date` of answers is all
        # that is left to do.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._told.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _stop_on_signals(stop: asyncio.Event, application: bootstrap.Application) -> None:
    """The first ends it in order. The second waits for nobody, but hands back what is being sent; the third does nothing more."""
    loop = asyncio.get_running_loop()
    leaving: list[asyncio.Task[None]] = []

    def one_more() -> None:
        if not stop.is_set():
            stop.set()
        elif not leaving:
            leaving.append(loop.create_task(_leave(application)))
        else:
            # Nothing is lost: what was acknowledged is committed, what was being sent is tried again.
            os._exit(_KILLED)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, one_more)


async def _leave(application: bootstrap.Application) -> NoReturn:
    """End the process within a moment. Other processes take over at once what could be handed back."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_HAND_BACK_SECONDS):
            await application.hand_back()
    os._exit(_KILLED)


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, None]) -> bool:
    """Do the work; give up on it and return False when the signal comes first."""
    working, stopping = asyncio.ensure_future(work), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        working.result()
        return True
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return False


async def _announce(application: bootstrap.Application) -> None:
    """Say where it is and, while there is no user, how to make the first one."""
    settings = application.settings
    address = settings.public_address
    if settings.log_format == "json":
        _log.info(
            "ready", address=address, data=str(application.data), database=_database(settings)
        )
    else:
        say(f"dockbell {version()} is ready at {address}")
        say(f"  data      {application.data}")
        say(f"  database  {_database(settings)}")
    token = await application.set_up_token()
    if token is not None:
        first = {
            "username": "admin",
            "password": "…",
            "setup_token": token,
            "access_token": True,
        }
        say(f"There is no user yet. One-time set-up token: {token}")
        say(
            f"  curl {address}/api/v1/user/initialize -H 'Content-Type: application/json' "
            f"-d '{json.dumps(first, ensure_ascii=False)}'"
        )


def _database(settings: Settings) -> object:
    if settings.is_sqlite:
        return f"SQLite, {settings.sqlite_file}"
    return next(row.value for row in settings.rows() if row.name == "database_url")
