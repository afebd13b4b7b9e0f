"""What this process counts and times. No label holds a name that users choose, so their number stays small."""

from collections import Counter as Tally
from collections.abc import Collection, Sequence
from functools import lru_cache

from dockbell.domain.deliveries import Result, State, Trigger
from dockbell.domain.outcomes import Delivered, Outcome, Rejected
from dockbell.observability.exposition import Counter, Family, Histogram

_REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TRY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_DELAY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# From a fraction of a second to the longest that news can be under way.
_WAY_BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0, 120.0, 600.0, 3600.0, 21_600.0, 86_400.0)  # fmt: skip
_PHASES = frozenset({"dns", "connect", "tls", "first_byte"})
_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNKNOWN = "unknown"


class Metrics:
    """The counters of one process. Made once by the composition root and handed to whoever counts."""

    def __init__(self) -> None:
        self._received = Counter(
            "dockbell_events_received_total",
            "Events taken in, by where they came from and their kind.",
            "source",
            "event",
        )
        self._repeated = Counter(
            "dockbell_events_deduplicated_total",
            "Events that were a repeat of one with the same producer key.",
            "source",
        )
        self._attempts = Counter(
            "dockbell_delivery_attempts_total",
            "Tries to deliver, by method, outcome, code and class of the answer's status.",
            "method",
            "outcome",
            "code",
            "status_class",
        )
        self._duration = Histogram(
            "dockbell_delivery_attempt_duration_seconds",
            "How long a try took.",
            "method",
            bounds=_TRY_BOUNDS,
        )
        self._phase = Histogram(
            "dockbell_delivery_attempt_phase_seconds",
            "When a phase of a try was over, from the start of the try.",
            "phase",
            bounds=_TRY_BOUNDS,
        )
        self._finished = Counter(
            "dockbell_deliveries_finished_total",
            "Deliveries that ended, by final state and the code of the last try.",
            "state",
            "code",
        )
        self._dead = Counter(
            "dockbell_delivery_dead_total", "Deliveries that were given up after a try."
        )
        self._way = Histogram(
            "dockbell_delivery_end_to_end_seconds",
            "From the event to the delivery, for what was delivered.",
            bounds=_WAY_BOUNDS,
        )
        self._late = Counter(
            "dockbell_delivery_late_results_total",
            "Results of tries that came after their lease had ended.",
        )
        self._rescued = Counter(
            "dockbell_engine_leases_taken_back_total",
            "Leases whose process stopped before it could say what came of the try.",
        )
        self._paused = Counter(
            "dockbell_notifications_paused_total",
            "Notifications that the engine paused, by reason.",
            "reason",
        )
        self._pruned = Counter(
            "dockbell_pruned_rows_total", "Rows deleted because they were too old.", "kind"
        )
        self._requests = Counter(
            "dockbell_http_requests_total",
            "HTTP requests answered, by verb, class of route and status.",
            "method",
            "route",
            "status",
        )
        self._request_time = Histogram(
            "dockbell_http_request_duration_seconds",
            "How long HTTP requests took, by class of route.",
            "route",
            bounds=_REQUEST_BOUNDS,
        )

        self._loop_delay = Histogram(
            "dockbell_event_loop_delay_seconds",
            "How late the event loop came back when it was asked to, once a second.",
            bounds=_DELAY_BOUNDS,
        )

    def note_event(self, source: str, kind: str, count: int = 1) -> None:
        self._received.add(source, kind, count=count)

    def note_repeat(self, source: str, count: int = 1) -> None:
        self._repeated.add(source, count=count)

    def note_tries(self, tries: Sequence[Result]) -> None:
        """These tries are over. Thousands a second are: all is counted in as few steps as can be."""
        kinds = Tally(
            [
                (one.method, type(one.outcome), one.outcome.code, one.outcome.exchange.status)
                for one in tries
            ]
        )
        names = set()
        for (method, outcome_type, code, status), count in kinds.items():
            name = method or _UNKNOWN
            names.add(method)
            group = "none" if status is None else f"{status // 100}xx"
            self._attempts.add(name, _word(outcome_type), code.value, group, count=count)
        for method in names:
            own = tries if len(names) == 1 else [one for one in tries if one.method == method]
            spans = [one.duration.total_seconds() for one in own]
            self._duration.observe_all(spans, method or _UNKNOWN)
        phases = [one.outcome.exchange.phases for one in tries]
        for phase in _PHASES:
            seconds = [one[phase] for one in phases if phase in one]
            if seconds:
                self._phase.observe_all(seconds, phase)

    def note_settled(self, results: Sequence[Result], late: Sequence[Result]) -> None:
        """These results are written down; those that came too late changed nothing."""
        self._late.add(count=len(late))
        if late:
            too_late = {id(result) for result in late}
            results = [one for one in results if id(one) not in too_late]
        ended = Tally([(one.decision.state, one.outcome.code) for one in results])
        states = {state for state, _ in ended}
        ways = [
            (one.started_at + one.duration - one.order.created_at).total_seconds()
            for one in _in_state(State.DELIVERED, results, states)
        ]
        for (state, code), count in ended.items():
            if state is State.WAITING:
                continue
            self._finished.add(state.value, code.value, count=count)
        # A test that fails is no news that was given up.
        dead = [
            one
            for one in _in_state(State.DEAD, results, states)
            if one.order.trigger is not Trigger.TEST
        ]
        self._dead.add(count=len(dead))
        if ways:
            self._way.observe_all([max(0.0, one) for one in ways])

    def note_ended(self, state: State, count: int) -> None:
        """So many deliveries ended without a try."""
        if count:
            self._finished.add(state.value, "none", count=count)

    def note_pause(self, reason: str) -> None:
        self._paused.add(reason)

    def note_rescue(self, taken_back: int, dead: int) -> None:
        self._rescued.add(count=taken_back)
        if dead:
            self._finished.add(State.DEAD.value, "interrupted", count=dead)
            self._dead.add(count=dead)

    def note_pruned(self, kind: str, count: int) -> None:
        if count:
            self._pruned.add(kind, count=count)

    def note_request(self, verb: str, path: str, status: int, seconds: float) -> None:
        route = route_class(path)
        self._requests.add(verb if verb in _VERBS else "other", route, str(status))
        self._request_time.observe(seconds, route)

    def note_requests(
        self, verb: str, path: str, status: int, seconds: Sequence[float]
    ) -> None:
        """As `note_request` for many that differ in nothing but the seconds they took."""
        route = route_class(path)
        self._requests.add(
            verb if verb in _VERBS else "other", route, str(status), count=len(seconds)
        )
        self._request_time.observe_all(seconds, route)

    def note_loop_delay(self, seconds: float) -> None:
        self._loop_delay.observe(seconds)

    def families(self) -> list[Family]:
        return [
            one.family()
            for one in (
                self._received,
                self._repeated,
                self._attempts,
                self._duration,
                self._phase,
                self._finished,
                self._dead,
                self._way,
                self._late,
                self._rescued,
                self._paused,
                self._pruned,
                self._requests,
                self._request_time,
                self._loop_delay,
            )
        ]


_CLASSES = (
    ("/api/v1/", "api_v1"),
    ("/api/v2/", "api_v2"),
    ("/v2/", "registry"),
)
_OWN = {
    "/livez": "health",
    "/readyz": "health",
    "/healthz": "health",
    "/health/instance": "health",
    "/health/endtoend": "health",
    "/metrics": "metrics",
    "/v2": "registry",
}


@lru_cache(maxsize=1024)
def route_class(path: str) -> str:
    """Which part of the server a path belongs to: one of a handful of words, whatever is asked for."""
    known = _OWN.get(path)
    if known is not None:
        return known
    return next((word for prefix, word in _CLASSES if path.startswith(prefix)), "other")


def _word(outcome_type: type[Outcome]) -> str:
    if issubclass(outcome_type, Delivered):
        return "delivered"
    return "rejected" if issubclass(outcome_type, Rejected) else "failed"


def _in_state(
    state: State, results: Sequence[Result], states: Collection[State]
) -> Sequence[Result]:
    """Those that ended in this state, given all states there are among them: mostly one."""
    if state not in states:
        return ()
    if len(states) == 1:
        return results
    return [one for one in results if one.decision.state is state]
