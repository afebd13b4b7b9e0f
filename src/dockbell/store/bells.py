"""Hearing the bells that other processes ring on PostgreSQL."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import structlog

from dockbell.store.transactions import NOTIFY_CHANNEL, Store

_log = structlog.get_logger("dockbell.store.bells")

_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0


async def listen(store: Store, ring: Callable[[], None]) -> None:
    """Ring whenever any process rings, until cancelled; on SQLite there is no other process.

    It holds a connection of its own and makes a new one when that breaks. After each connect it rings once,
    because a bell may have gone unheard. A lost bell costs one poll interval, nothing more.
    """
    if store.is_sqlite:
        return
    import asyncpg  # noqa: PLC0415 -- SQLite has no use for it, and it takes memory

    wait = _FIRST_WAIT
    while True:
        try:
            connection = await asyncpg.connect(store.address, timeout=10)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _log.warning("cannot listen for bells", error=str(error), again_in_seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            continue
        wait = _FIRST_WAIT
        try:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await _hear(connection, ring)
        finally:
            with contextlib.suppress(Exception):
                connection.terminate()


async def _hear(connection: Any, ring: Callable[[], None]) -> None:
    """Ring for each bell, until the connection breaks."""
    broken = asyncio.Event()
    connection.add_termination_listener(lambda _: broken.set())
    await connection.add_listener(NOTIFY_CHANNEL, lambda *_: ring())
    ring()
    await broken.wait()
