"""Connections that are kept after a request, for the next one to the same place."""

import asyncio
from time import perf_counter

from dockbell.domain.tls import Tls
from dockbell.net.connections import Connection
from dockbell.net.urls import Place, Target

_IDLE_SECONDS = 60.0  # shorter than the patience of common servers
_LONGEST_LIFE_SECONDS = 600.0  # then a kept connection asks the name servers anew
_SWEEP_SECONDS = 15.0

Use = Place | tuple[Place, Tls]  # what a connection is good for


def use_of(target: Target, tls: Tls | None) -> Use:
    return target.place if tls is None else (target.place, tls)


class Kept:
    """Idle connections, so many at most. Whoever takes one owns it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[Use, list[Connection]] = {}  # the last one used at the end
        self._idle: dict[Connection, Use] = {}  # the same ones, in the order of their use
        self._sweep: asyncio.TimerHandle | None = None
        self.landing: Connection | None = None  # whose answer is being passed on

    def take(self, use: Use, now: float) -> Connection | None:
        """One that can be trusted: libraries that do not look take stray bytes for the next answer."""
        kept = self._of.get(use)
        while kept:
            connection = kept.pop()
            del self._idle[connection]
            if now - connection.opened_at < _LONGEST_LIFE_SECONDS and (
                # One that has just landed was read this very moment.
                connection is self.landing
                or (now - connection.idle_since < _IDLE_SECONDS and connection.is_quiet)
            ):
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection, use: Use, now: float) -> None:
        connection.idle_since = now
        kept = self._of.get(use)
        if kept is None:
            self._of[use] = [connection]
        else:
            kept.append(connection)
        self._idle[connection] = use
        if len(self._idle) > self._most:
            self._drop(next(iter(self._idle)))
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(_SWEEP_SECONDS, self._drop_old)

    def forget(self, connection: Connection) -> None:
        """It has ended by itself."""
        use = self._idle.pop(connection, None)
        if use is not None:
            self._of[use].remove(connection)

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        self._of.clear()

    def _drop(self, connection: Connection) -> None:
        self.forget(connection)
        connection.abort()

    def _drop_old(self) -> None:
        """Close what nobody needed for long, and forget the places that have nothing left."""
        since = perf_counter() - _IDLE_SECONDS
        for connection in list(self._idle):
            if connection.idle_since > since:
                break
            self._drop(connection)
        self._of = {use: kept for use, kept in self._of.items() if kept}
        self._sweep = None
        if self._idle:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(_SWEEP_SECONDS, self._drop_old)
