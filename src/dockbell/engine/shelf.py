"""What tries need again and again, kept in memory: opened notifications and events."""

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from dockbell.domain.deliveries import Order
from dockbell.domain.events import Event
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.methods import Method, UnreachableError
from dockbell.domain.notifications import Notification
from dockbell.domain.posts import Stencil, Stenciling
from dockbell.engine.attempt import Job
from dockbell.engine.outlet import Sender, Way
from dockbell.store import events, notifications
from dockbell.store.transactions import Tx

_log = structlog.get_logger("dockbell.engine")

_MOST_NOTIFICATIONS = 4096
_MOST_EVENTS = 2048
_MOST_EVENT_BYTES = 32 * 1024 * 1024
# A signing secret can end without a change of its notification's row.
_LONGEST_KEPT = timedelta(seconds=30)


_Prepared = tuple[Stencil, Way] | tuple[None, None]
_NOTHING_PREPARED = None, None


@dataclass(frozen=True, slots=True)
class _Kept:
    version: int
    loaded_at: datetime
    notification: Notification | None
    host: str | None
    method: str | None
    prepared: dict[str, _Prepared]  # by kind of event, as far as there were any


class Shelf:
    """Completes orders. A notification that was changed or deleted before the lease is seen as it is now."""

    def __init__(
        self, methods: Mapping[str, Method], kinds: Container[str], sender: Sender
    ) -> None:
        """Tries of kinds that are not among these are not prepared."""
        self._methods = methods
        self._kinds = kinds
        self._sender = sender
        self._notifications: dict[str, _Kept] = {}
        self._events: dict[str, Event] = {}
        self._event_bytes = 0
        self._events_since = datetime.min.replace(tzinfo=UTC)

    async def complete(
        self, tx: Tx, orders: Sequence[Order], versions: Mapping[str, int]
    ) -> tuple[Sequence[Job], Sequence[Order]]:
        """Return a job for each order, and the orders whose notification is gone: it has no version any more."""
        known = await self._load_notifications(tx, versions)
        kept = await self._load_events(
            tx, {order.event_id for order in orders if order.notification_id in known}
        )
        jobs, orphans = [], []
        for order in orders:
            one = known.get(order.notification_id)
            if one is not None:
                event = kept.get(order.event_id)
                prepared: _Prepared = _NOTHING_PREPARED
                if event is not None:
                    kind = event.kind
                    prepared = one.prepared.get(kind) or self._prepare(one, kind)
                jobs.append(
                    Job(order, event, one.notification, one.host, one.method, *prepared)
                )
            else:
                orphans.append(order)
        return jobs, orphans

    def _prepare(self, one: _Kept, kind: str) -> _Prepared:
        """What is the same in all tries of the notification for this kind of event, if its method can say it."""
        notification = one.notification
        prepared: _Prepared = _NOTHING_PREPARED
        if notification is not None and kind in self._kinds:
            method: object = self._methods.get(notification.method)
            if isinstance(method, Stenciling):
                try:
                    stencil = method.stencil(notification, kind)
                    if stencil is not None:
                        way = self._sender.way(stencil.url, stencil.form, notification.tls)
                        prepared = stencil, way
                except UnreachableError:
                    pass  # its tries will tell
                except Exception:  # noqa: BLE001 -- a method's bug: its tries will tell
                    _log.exception(
                        "a method cannot prepare its tries", method=notification.method
                    )
        one.prepared[kind] = prepared
        return prepared

    async def _load_notifications(
        self, tx: Tx, versions: Mapping[str, int]
    ) -> Mapping[str, "_Kept"]:
        """One that exists and cannot be read is kept as None: its try says so, and no other suffers."""
        stale = [
            notification_id
            for notification_id, version in versions.items()
            if not self._is_fresh(notification_id, version, tx.now)
        ]
        if stale:
            if len(self._notifications) + len(stale) > _MOST_NOTIFICATIONS:
                self._notifications.clear()
                stale = list(versions)
            sound = await notifications.load_sound(tx, stale)
            for notification_id in stale:
                found = sound.get(notification_id)
                name = None if found is None else found.method
                self._notifications[notification_id] = _Kept(
                    versions[notification_id],
                    tx.now,
                    found,
                    self._host_of(found),
                    name if name in self._methods else None,
                    {},
                )
        return {
            notification_id: self._notifications[notification_id]
            for notification_id in versions
        }

    def _host_of(self, notification: Notification | None) -> str | None:
        method = None if notification is None else self._methods.get(notification.method)
        if notification is None or method is None:
            return None
        try:
            return method.host(notification.config)
        except Exception:  # noqa: BLE001 -- a method's bug must not stop the lease of others
            _log.exception("a method cannot tell its host", method=method.name)
            return None

    def _is_fresh(self, notification_id: str, version: int, now: datetime) -> bool:
        kept = self._notifications.get(notification_id)
        return (
            kept is not None
            and kept.version == version
            and abs(now - kept.loaded_at) < _LONGEST_KEPT  # the clock can go back
        )

    async def _load_events(self, tx: Tx, ids: set[str]) -> dict[str, Event]:
        if abs(tx.now - self._events_since) > _LONGEST_KEPT:  # some may be expunged by now
            self._events.clear()
            self._event_bytes = 0
            self._events_since = tx.now
        missing = [event_id for event_id in ids if event_id not in self._events]
        if missing:
            if len(self._events) + len(missing) > _MOST_EVENTS or (
                self._event_bytes > _MOST_EVENT_BYTES
            ):
                self._events.clear()
                self._event_bytes = 0
                missing = list(ids)
            for event_id, event in (await events.load_many(tx, missing)).items():
                self._events[event_id] = event
                self._event_bytes += len(event.body)
        return {
            event_id: self._events[event_id] for event_id in ids if event_id in self._events
        }
