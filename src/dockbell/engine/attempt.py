"""One try: the message is made and handed to the method. No transaction is open while it runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

import structlog

from dockbell.domain.deliveries import Order, Result
from dockbell.domain.events import Event, EventKind
from dockbell.domain.ids import Clock
from dockbell.domain.links import Links
from dockbell.domain.methods import Message, Method, Outbound
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Code, Failed, Fault, Outcome, Rejected
from dockbell.engine import retry
from dockbell.engine.retry import Policy

_log = structlog.get_logger("dockbell.engine")

_STOPPED = Failed(
    Code.INTERRUPTED,
    "The server was stopped during the try. It may have arrived.",
    fault=Fault.OURS,
)


@dataclass(frozen=True, slots=True)
class Job:
    """An order with what it is about. The event is None when it is no longer kept."""

    order: Order
    event: Event | None
    notification: Notification


@dataclass(frozen=True, slots=True)
class Attempts:
    """How tries are made. A result always comes, whatever the method does.

    Who runs a try cancels it when the guard's time is over, or earlier to stop it.
    """

    kinds: Mapping[str, EventKind]
    methods: Mapping[str, Method]
    links: Links
    out: Outbound
    clock: Clock
    chance: Callable[[], float]
    policy: Policy
    guard: timedelta

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
            seconds = f"{self.guard.total_seconds():g}"
            outcome = Failed(
                Code.TOTAL_TIMEOUT, f"The try was not over after {seconds} seconds."
            )
        duration = timedelta(seconds=perf_counter() - began)
        decision = retry.decide(
            outcome,
            order.tries,
            self.clock(),
            self.chance(),
            self.policy,
            order.trigger,
            postponed=order.attempts - order.tries,
        )
        return Result(order, outcome, decision, started_at, duration)

    async def _send(self, job: Job, now: datetime) -> Outcome:
        notification, event = job.notification, job.event
        if event is None:
            return Rejected(
                Code.EVENT_UNKNOWN, "The event is no longer kept.", fault=Fault.OURS
            )
        kind = self.kinds.get(event.kind)
        if kind is None:
            return Rejected(
                Code.EVENT_UNKNOWN,
                f"No event kind `{event.kind}` is installed.",
                fault=Fault.CONFIG,
            )
        method = self.methods.get(notification.method)
        if method is None:
            return Rejected(
                Code.METHOD_UNKNOWN,
                f"No method `{notification.method}` is installed.",
                fault=Fault.CONFIG,
            )
        message = Message(
            event=event,
            kind=kind,
            links=self.links,
            delivery_id=job.order.delivery_id,
            notification_id=notification.id,
            attempt=job.order.attempts + 1,
            trigger=job.order.trigger,
            now=now,
            secrets=notification.secrets,
        )
        try:
            return await method.send(message, notification.config, self.out)
        except Exception as error:  # noqa: BLE001 -- one method's bug must not stop the others
            _log.exception(
                "a method failed", method=method.name, delivery=job.order.delivery_id
            )
            return Failed(
                Code.INTERNAL_ERROR,
                f"The method `{method.name}` failed by a bug ({type(error).__name__}).",
                fault=Fault.OURS,
            )
