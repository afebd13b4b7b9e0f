"""One try: the message is made and handed to the method. No transaction is open while it runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

import structlog

from dockbell.domain.deliveries import Decision, Order, Result, State
from dockbell.domain.events import Event, EventKind
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.domain.methods import Message, Method
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.domain.values import value
from dockbell.engine import retry
from dockbell.engine.outages import Outages
from dockbell.engine.outlet import Outlet
from dockbell.engine.postponements import Postponements
from dockbell.engine.retry import Policy
from dockbell.observability import logs

_log = structlog.get_logger("dockbell.engine")

# Tries end by the guard's time. One that took so much longer is late because this process was frozen or blocked.
_STOOD_STILL = timedelta(seconds=2)
_OUTCOMES = (Delivered, Rejected, Failed)
_STOPPED = Failed(
    Code.INTERRUPTED,
    "The server was stopped during the try. It may have arrived.",
    fault=Fault.OURS,
)


@value()
class Job:
    """An order with what it is about.

    The event is None when it is no longer kept, the notification when it is there but cannot be read.
    """

    order: Order
    event: Event | None
    notification: Notification | None
    host: str | None = None  # that its tries go to


@dataclass(frozen=True, slots=True)
class Attempts:
    """How tries are made. A result always comes, whatever the method does.

    Who runs a try cancels it when the guard's time is over, or earlier to stop it.
    """

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    links: Links
    out: Outlet
    clock: Clock
    chance: Callable[[], float]
    policy: Policy
    guard: timedelta
    outages: Outages = field(default_factory=Outages)
    postponements: Postponements = field(default_factory=Postponements)

    async def make(self, job: Job) -> Result:
        """Make the try. If it is cancelled before the guard's time, the result hands the delivery back."""
        order = job.order
        started_at, began = self.clock(), perf_counter()
        try:
            outcome = await self._send(job, started_at)
        except asyncio.CancelledError:
            duration = timedelta(seconds=perf_counter() - began)
            if duration < self.guard:
                decision = retry.hand_back(self.clock())
                return Result(order, _STOPPED, decision, started_at, duration)
            limit = f"{self.guard.total_seconds():g}"
            outcome = Failed(Code.TOTAL_TIMEOUT, f"The try was not over after {limit} seconds.")
        duration = timedelta(0, perf_counter() - began)
        if duration > self.guard + _STOOD_STILL:
            outcome = _blame_us(outcome)
        outcome = self.outages.judge(job.host, outcome, began)
        if isinstance(outcome, Delivered):
            self.postponements.note(order, retry.DELIVERED)
            if logs.shows_debug():
                _say(job, outcome, retry.DELIVERED, duration)
            return Result(order, outcome, retry.DELIVERED, started_at, duration, job.host)
        decision = retry.decide(
            outcome,
            order.tries,
            self.clock(),
            self.chance(),
            self.policy,
            order.trigger,
            postponed=self.postponements.count(order),
        )
        self.postponements.note(order, decision)
        _say(job, outcome, decision, duration)
        return Result(order, outcome, decision, started_at, duration, job.host)

    async def _send(self, job: Job, now: datetime) -> Outcome:
        notification, event = job.notification, job.event
        if notification is None or event is None:
            return _UNREADABLE if notification is None else _EVENT_GONE
        kind = self.kinds.get(event.kind)
        method = self.methods.get(notification.method)
        if kind is None or method is None:
            return _not_installed(event, notification, has_kind=kind is not None)
        order = job.order
        message = Message(  # by position: keywords take as long as all the rest of it
            event,
            kind,
            self.links,
            order.delivery_id,
            notification.id,
            order.attempts + 1,
            order.trigger,
            now,
            notification.payload_form,
            notification.signatures,
            notification.live_secrets(now),
        )
        tls = notification.tls
        out = self.out if tls is None else self.out.secured_by(tls)
        try:
            outcome: object = await method.send(message, notification.config, out)
        except Exception as error:  # noqa: BLE001 -- one method's bug must not stop the others
            _log.exception(
                "a method failed", method=method.name, delivery=job.order.delivery_id
            )
            return _bug(method, type(error).__name__)
        # A method can come from elsewhere, and nothing that it says may get stuck on its way to the tables.
        if isinstance(outcome, _OUTCOMES):
            return outcome
        _log.error("a method gave no outcome", method=method.name, gave=type(outcome).__name__)
        return _bug(method, f"it returned {type(outcome).__name__}")


def _blame_us(outcome: Outcome) -> Outcome:
    """The outcome of a try during which this process stood still: silence says nothing about the target then."""
    is_silent = isinstance(outcome, Failed) and outcome.exchange.status is None
    if not is_silent or outcome.code is Code.INTERNAL_ERROR:
        return outcome
    return Failed(
        Code.INTERRUPTED,
        "This server stood still during the try. It may have arrived.",
        outcome.exchange,
        fault=Fault.OURS,
    )


_UNREADABLE = Failed(
    Code.INTERNAL_ERROR,
    "The notification cannot be read: it is damaged, or was written under another secret key.",
    fault=Fault.OURS,
)
_EVENT_GONE = Rejected(Code.EVENT_UNKNOWN, "The event is no longer kept.", fault=Fault.OURS)


def _not_installed(event: Event, notification: Notification, *, has_kind: bool) -> Rejected:
    if has_kind:
        code, what = Code.METHOD_UNKNOWN, f"method `{notification.method}`"
    else:
        code, what = Code.EVENT_UNKNOWN, f"event kind `{event.kind}`"
    return Rejected(code, f"No {what} is installed.", fault=Fault.CONFIG)


def _say(job: Job, outcome: Outcome, decision: Decision, duration: timedelta) -> None:
    """A line in the log for the try. What the target said stays in the attempt's row."""
    order = job.order
    line: dict[str, object] = {
        "delivery": order.delivery_id,
        "notification": order.notification_id,
        "event_id": order.event_id,  # `event` is the line's own text
        "attempt": order.attempts + 1,
        "method": None if job.notification is None else job.notification.method,
        "code": outcome.code.value,
        "status": outcome.exchange.status,
        "milliseconds": round(duration.total_seconds() * 1000, 1),
    }
    if isinstance(outcome, Delivered):
        _log.debug("delivered", **line)
        return
    is_dead = decision.state is State.DEAD
    (_log.warning if is_dead else _log.info)(
        "delivery is dead" if is_dead else "try failed",
        **line,
        fault=outcome.fault.value,
        next_try_at=None if decision.due_at is None else decision.due_at.isoformat(),
    )


def _bug(method: Method, what: str) -> Failed:
    return Failed(
        Code.INTERNAL_ERROR,
        f"The method `{method.name}` failed by a bug ({what}).",
        fault=Fault.OURS,
    )
