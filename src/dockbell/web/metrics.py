"""`/metrics`: what Prometheus reads, and who may."""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import field
from datetime import timedelta
from typing import Any

import structlog
from litestar import Request, Response, get
from litestar.datastructures import State

from dockbell.domain.late_dataclasses import dataclass
from dockbell.observability import processes
from dockbell.observability.exposition import (
    CONTENT_TYPE,
    Family,
    Sample,
    gauge,
    gauges,
    text_of,
)
from dockbell.observability.metrics import Metrics
from dockbell.observability.versions import version
from dockbell.store import backlog
from dockbell.store.failures import is_passing
from dockbell.store.transactions import Store
from dockbell.web.calls import bearer_token

_log = structlog.get_logger("dockbell.metrics")

OFF, LOCAL, OPEN = "off", "local", "open"
_FRESH_SECONDS = 5.0  # the database is asked no more often, however many scrape
_QUERY_SECONDS = 3.0
_LOOPBACK = ("127.", "::1", "::ffff:127.")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@dataclass(slots=True)
class Scrapes:
    """Answers scrapers: what this process counts, and what the database says of the queue."""

    store: Store
    metrics: Metrics = field(default_factory=Metrics)
    access: str = LOCAL
    token: str = field(default="", repr=False)
    clock_offset: Callable[[], timedelta] = timedelta
    network_problem: Callable[[], str | None] = lambda: None
    engine_store: Store | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _queue: list[Family] = field(default_factory=list)
    _asked_at: float | None = None

    def may_read(self, request: Request[Any, Any, State]) -> bool:
        """Whether this caller may read: with the token, or as `access` says.

        A proxy on this machine speaks for people elsewhere, so what it hands on does not count as local.
        """
        if self.access == OFF:
            return False
        if self.token:
            shown = bearer_token(request.headers.get("authorization")) or ""
            return hmac.compare_digest(shown.encode(), self.token.encode())
        if self.access == OPEN:
            return True
        peer = request.client.host if request.client else ""
        is_handed_on = any(name in request.headers for name in _FORWARDED)
        return peer.startswith(_LOOPBACK) and not is_handed_on

    async def families(self) -> list[Family]:
        """All there is. What concerns the queue is a few seconds old at most, and missing while the database is away."""
        queue = await self._queue_families()
        return [
            gauges(
                "dockbell_build_info",
                "Always 1; the label says which version this is.",
                "version",
                {version(): 1},
            ),
            gauge(
                "dockbell_clock_offset_seconds",
                "How far the database's clock is ahead of this machine's.",
                self.clock_offset().total_seconds(),
            ),
            gauge("dockbell_database_up", "Whether the database answers.", bool(queue)),
            gauge(
                "dockbell_network_up",
                "Whether anything goes out, as far as this process has tried.",
                self.network_problem() is None,
            ),
            *queue,
            *self._pool_families(),
            *self.metrics.families(),
            *processes.families(),
        ]

    def _pool_families(self) -> list[Family]:
        stores = {"http": self.store}
        if self.engine_store is not None and self.engine_store is not self.store:
            stores["engine"] = self.engine_store
        pools = {name: store.pool() for name, store in stores.items()}
        return [
            Family(
                "dockbell_database_pool_connections",
                "gauge",
                "Connections to the database, by who uses them.",
                [
                    Sample(count, {"pool": name, "state": state})
                    for name, (in_use, idle, _) in pools.items()
                    for state, count in (("in_use", in_use), ("idle", idle))
                ],
                ("pool", "state"),
            ),
            gauges(
                "dockbell_database_pool_limit",
                "The most connections to the database that this process opens.",
                "pool",
                {name: most for name, (_, _, most) in pools.items()},
            ),
        ]

    async def _queue_families(self) -> list[Family]:
        async with self._lock:
            now = time.monotonic()
            if self._asked_at is None or now - self._asked_at >= _FRESH_SECONDS:
                self._queue = await self._ask()
                self._asked_at = now
            return self._queue

    async def _ask(self) -> list[Family]:
        try:
            async with asyncio.timeout(_QUERY_SECONDS), self.store.read() as tx:
                found, now = await backlog.count(tx), tx.now
                open_for = await backlog.oldest_transaction(tx)
        except Exception as error:
            if not is_passing(error):
                raise
            _log.warning("the queue could not be counted", error=str(error))
            return []
        oldest = found.oldest_due_at
        return [
            gauges(
                "dockbell_deliveries_pending",
                "Deliveries that are not final: due, later (a retry), held (its target is down, busy or asked for time), "
                f"parked (its notification is paused), sending. Counted up to {backlog.MOST_COUNTED}.",
                "state",
                found.pending,
            ),
            gauge(
                "dockbell_delivery_oldest_pending_seconds",
                "How long the oldest delivery that could be sent is due.",
                0 if oldest is None else (now - oldest).total_seconds(),
            ),
            gauge(
                "dockbell_breakers_open", "Hosts left alone for a while.", found.breakers_open
            ),
            gauges(
                "dockbell_lanes",
                "Lanes of notifications that are not served: held (their target) or paused.",
                "state",
                {"held": found.lanes_held, "paused": found.lanes_paused},
            ),
            gauge(
                "dockbell_database_oldest_transaction_seconds",
                "How long the oldest transaction in the database is open, whoever's it is.",
                open_for.total_seconds(),
            ),
        ]


@get("/metrics", include_in_schema=False)
async def metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    """What Prometheus reads. Who may is said by the settings `metrics` and `metrics_token`."""
    scrapes: Scrapes = request.app.state.scrapes
    if scrapes.access == OFF:
        return _plain(404, "There are no metrics here: the setting `metrics` is `off`.\n")
    if not scrapes.may_read(request):
        return _plain(
            403,
            "Metrics are for this machine alone, or for whoever shows the right token. "
            "See the settings `metrics` and `metrics_token`.\n",
        )
    return _plain(200, text_of(await scrapes.families()), CONTENT_TYPE)


def _plain(status: int, text: str, media_type: str = "text/plain") -> Response[bytes]:
    return Response(content=text.encode(), status_code=status, media_type=media_type)


HANDLERS = [metrics]
