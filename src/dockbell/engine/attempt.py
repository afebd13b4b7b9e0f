"""One try: the message is made and handed to the method. No transaction is open while it runs."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from time import perf_counter

import structlog

from dockbell.domain.deliveries import Decision, Order, Result, State
from dockbell.domain.events import Event, EventKind
from dockbell.domain.ids import Clock
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.links import Links
from dockbell.domain.methods import Message, Method, Reply, UnreachableError
from dockbell.domain.notifications import Notification
from dockbell.domain.outcomes import Code, Delivered, Failed, Fault, Outcome, Rejected
from dockbell.domain.posts import OnItsWay, Post, Posting, Stencil
from dockbell.domain.values import maker, value
from dockbell.engine import retry
from dockbell.engine.outages import Outages
from dockbell.engine.outlet import Outlet, Way
from dockbell.engine.retry import Policy
from dockbell.observability import logs

_log = structlog.get_logger("dockbell.engine")

# Tries end by the guard's time. One that took so much longer is late because this process was frozen or blocked.
_STOOD_STILL = timedelta(seconds=2)
_new_result = maker(Result)
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
    method: str | None = (
        None  # by which they are made, if that is installed: other names are not ours to count by
    )
    # What its tries have in common, and the way that they go; both or neither.
    stencil: Stencil | None = None
    way: Way | None = None


class Try:
    """One try. `ended` is called once, with its result, and never from within `Attempts.begin`."""

    __slots__ = (
        "_attempts", "_began", "_ended", "_flight", "_task", "is_slow", "job", "started_at",
    )  # fmt: skip

    def __init__(
        self,
        attempts: "Attempts",
        job: Job,
        ended: "Callable[[Try, Result | None], None]",
        started_at: datetime,
    ) -> None:
        self.job = job
        self.started_at = started_at
        self.is_slow = False  # set by the dispatcher
        self._began = perf_counter()
        self._attempts = attempts
        self._ended = ended
        self._flight: OnItsWay | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> float:
        """How long it lasts already."""
        return perf_counter() - self._began

    def stop(self) -> None:
        """Break it off. Before the guard's time is over, the result hands the delivery back.

        A method that waits for something can take its time, or never end: then there is no result either.
        """
        if self._task is not None:
            self._task.cancel()
        elif self._flight is not None:
            self._flight.cancel()
            self._break_off()

    def begin(self) -> None:
        job = self.job
        stencil, way, event = job.stencil, job.way, job.event
        if stencil is None or way is None or event is None:
            self._begin_unprepared()
            return
        try:
            body = event.body
            values = stencil.values(job.order, body, self.started_at)
            self._flight = way.begin(values, body, self._land)
        except Exception as error:  # noqa: BLE001 -- one method's bug must not stop the others
            self._end_soon(self._judged(error))

    def _begin_unprepared(self) -> None:
        attempts, job = self._attempts, self.job
        notification, event = job.notification, job.event
        if notification is None or event is None:
            self._end_soon(_UNREADABLE if notification is None else _EVENT_GONE)
            return
        method = attempts.methods.get(notification.method)
        if event.kind not in attempts.kinds or method is None:
            has_kind = event.kind in attempts.kinds
            self._end_soon(_not_installed(event, notification, has_kind=has_kind))
            return
        message = self._written(event, notification)
        posting = attempts.posting.get(notification.method)
        if posting is None:
            send = self._send(method, message, notification)
            self._task = asyncio.get_running_loop().create_task(send)
            return
        try:
            post = posting.post(message, notification.config)
            if isinstance(post, Post):
                sender = attempts.out.sender
                self._flight = sender.begin(post, self._land, notification.tls)
                return
        except Exception as error:  # noqa: BLE001 -- as above
            self._end_soon(self._judged(error))
        else:
            self._end_soon(self._checked(post))

    def _written(self, event: Event, notification: Notification) -> Message:
        attempts, order, now = self._attempts, self.job.order, self.started_at
        return Message(  # by position: keywords take as long as all the rest of it
            event,
            attempts.kinds[event.kind],
            attempts.links,
            order.delivery_id,
            notification.id,
            order.attempts + 1,
            order.trigger,
            now,
            notification.payload_form,
            notification.signatures,
            notification.live_secrets(now),
        )

    def _land(self, answer: Reply | Exception) -> None:
        """The answer is there, or it is clear that none will come."""
        stencil = self.job.stencil
        outcome: Outcome | None = None
        if stencil is not None and type(answer) is Reply:
            try:
                outcome = stencil.judge(answer)
            except Exception as error:  # noqa: BLE001 -- as above
                outcome = self._bug(error)
        if type(outcome) is Delivered and self._attempts.has_no_doubt():
            job = self.job  # as nearly always
            duration = timedelta(0, perf_counter() - self._began)
            self._ended(
                self,
                _new_result(
                    (
                        job.order,
                        outcome,
                        retry.DELIVERED,
                        self.started_at,
                        duration,
                        job.host,
                        job.method,
                    )
                ),
            )
            return
        self._end(self._judged(answer) if outcome is None else self._checked(outcome))

    def _judged(self, answer: Reply | Exception) -> Outcome:
        """What the method says of it. Whatever else went wrong is a bug: the request did not go out, or made no sense."""
        notification, event = self.job.notification, self.job.event
        if not isinstance(answer, Reply | UnreachableError):
            return self._bug(answer)
        if notification is None or event is None:
            return _UNREADABLE
        try:
            method = self._attempts.posting[notification.method]
            return self._checked(method.judge(self._written(event, notification), answer))
        except Exception as error:  # noqa: BLE001 -- as above
            return self._bug(error)

    async def _send(self, method: Method, message: Message, notification: Notification) -> None:
        tls, out = notification.tls, self._attempts.out
        if tls is not None:
            out = out.secured_by(tls)
        try:
            outcome = self._checked(await method.send(message, notification.config, out))
        except asyncio.CancelledError:
            self._break_off()
            return
        except Exception as error:  # noqa: BLE001 -- as above
            outcome = self._bug(error)
        self._end(outcome)

    def _checked(self, outcome: object) -> Outcome:
        """A method can come from elsewhere, and nothing that it says may get stuck on its way to the tables."""
        if isinstance(outcome, _OUTCOMES):
            return outcome
        name = self._name_of_method()
        _log.error("a method gave no outcome", method=name, gave=type(outcome).__name__)
        return _bug(name, f"it returned {type(outcome).__name__}")

    def _bug(self, error: Exception) -> Outcome:
        name = self._name_of_method()
        _log.error(
            "a method failed", method=name, delivery=self.job.order.delivery_id, exc_info=error
        )
        return _bug(name, type(error).__name__)

    def _name_of_method(self) -> str:
        notification = self.job.notification
        return "" if notification is None else notification.method

    def _end_soon(self, outcome: Outcome) -> None:
        asyncio.get_running_loop().call_soon(self._end, outcome)

    def _break_off(self) -> None:
        attempts = self._attempts
        duration = timedelta(seconds=self.seconds)
        if duration < attempts.guard:
            decision = retry.hand_back(attempts.clock())
            job = self.job
            self._ended(
                self,
                Result(
                    job.order, _STOPPED, decision, self.started_at, duration, None, job.method
                ),
            )
            return
        limit = f"{attempts.guard.total_seconds():g}"
        self._end(Failed(Code.TOTAL_TIMEOUT, f"The try was not over after {limit} seconds."))

    def _end(self, outcome: Outcome) -> None:
        result: Result | None = None
        try:
            result = self._attempts.weigh(self.job, outcome, self.started_at, self._began)
        except Exception:  # noqa: BLE001 -- one try that breaks must not stop the others
            # It is rescued when its lease runs out.
            _log.exception("a try broke", delivery=self.job.order.delivery_id)
        self._ended(self, result)


@dataclass(frozen=True, slots=True)
class Attempts:
    """How tries are made. A result always comes, whatever the method does.

    Who runs a try stops it when the guard's time is over, or earlier.
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
    posting: Mapping[str, Posting] = field(init=False)  # the methods that need no task
    longest: timedelta = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", self.guard + _STOOD_STILL)
        posting = {name: one for name, one in self.methods.items() if isinstance(one, Posting)}
        object.__setattr__(self, "posting", posting)

    def has_no_doubt(self) -> bool:
        """Whether nothing has to be asked or said about a try that was delivered."""
        return self.outages.is_calm and not logs.shows_debug()

    def weigh(self, job: Job, outcome: Outcome, started_at: datetime, began: float) -> Result:
        """The result of a try that is over; `began` is by `perf_counter`."""
        order = job.order
        duration = timedelta(0, perf_counter() - began)
        if duration > self.longest:
            outcome = _blame_us(outcome)
        outcome = self.outages.judge(job.host, outcome, began)
        if isinstance(outcome, Delivered):
            if logs.shows_debug():
                _say(job, outcome, retry.DELIVERED, duration)
            return Result(
                order, outcome, retry.DELIVERED, started_at, duration, job.host, job.method
            )
        decision = retry.decide(
            outcome,
            order.tries,
            self.clock(),
            self.chance(),
            self.policy,
            order.trigger,
            postponed=order.postponed,
        )
        _say(job, outcome, decision, duration)
        return Result(order, outcome, decision, started_at, duration, job.host, job.method)


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


def _bug(method: str, what: str) -> Failed:
    return Failed(
        Code.INTERNAL_ERROR,
        f"The method `{method}` failed by a bug ({what}).",
        fault=Fault.OURS,
    )
