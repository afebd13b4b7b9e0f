"""What is counted, and under which labels."""

from datetime import UTC, datetime, timedelta

import pytest

from dockbell.domain.deliveries import Decision, Order, Result, State, Trigger
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Outcome, Rejected
from dockbell.observability.metrics import Metrics, route_class

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def result_of(outcome: Outcome, state: State, method: str | None = None) -> Result:
    order = Order("dlv_1", "ntf_1", "evt_1", "ntf_1", Trigger.EVENT, 0, 0, NOON, "lse_1")
    started_at = NOON + timedelta(seconds=2)
    duration = timedelta(milliseconds=30)
    return Result(order, outcome, Decision(state), started_at, duration, None, method)


def counted(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    (family,) = [one for one in metrics.families() if one.name == name]
    return {
        (*([one.suffix] if one.suffix else []), *one.labels.values()): one.value
        for one in family.samples
        if one.suffix != "_bucket" and one.value
    }


def test_tries_are_counted_by_method_outcome_code_and_status_class() -> None:
    metrics = Metrics()
    reply = Exchange(status=503, phases={"dns": 0.001, "first_byte": 0.02, "total": 0.03})

    metrics.note_tries(
        [
            result_of(Delivered(Exchange(status=204)), State.DELIVERED, "webhook"),
            result_of(Delivered(Exchange(status=204)), State.DELIVERED, "webhook"),
            result_of(Failed(Code.HTTP_5XX, "It said 503.", reply), State.WAITING, "slack"),
            result_of(Rejected(Code.METHOD_UNKNOWN, "No method."), State.DEAD),
        ]
    )

    assert counted(metrics, "dockbell_delivery_attempts_total") == {
        ("webhook", "delivered", "ok", "2xx"): 2,
        ("slack", "failed", "http_5xx", "5xx"): 1,
        ("unknown", "rejected", "method_unknown", "none"): 1,
    }
    assert counted(metrics, "dockbell_delivery_attempt_phase_seconds") == {
        ("_sum", "dns"): 0.001,
        ("_count", "dns"): 1,
        ("_sum", "first_byte"): 0.02,
        ("_count", "first_byte"): 1,
    }


def test_only_results_that_counted_finish_a_delivery() -> None:
    metrics = Metrics()
    arrived = result_of(Delivered(), State.DELIVERED)
    dead = result_of(Failed(Code.HTTP_4XX, "404"), State.DEAD)
    again = result_of(Failed(Code.HTTP_5XX, "503"), State.WAITING)
    late = result_of(Delivered(), State.DELIVERED)
    test = dead._replace(order=dead.order._replace(trigger=Trigger.TEST))

    metrics.note_settled([arrived, dead, again, late, test], [late])

    assert counted(metrics, "dockbell_deliveries_finished_total") == {
        ("delivered", "ok"): 1,
        ("dead", "http_4xx"): 2,
    }
    assert counted(metrics, "dockbell_delivery_dead_total") == {(): 1}
    assert counted(metrics, "dockbell_delivery_late_results_total") == {(): 1}
    assert counted(metrics, "dockbell_delivery_end_to_end_seconds") == {
        ("_sum",): 2.03,
        ("_count",): 1,
    }


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/v1/repository/acme/web/notification/", "api_v1"),
        ("/api/v2/events", "api_v2"),
        ("/v2", "registry"),
        ("/v2/acme/web/manifests/latest", "registry"),
        ("/readyz", "health"),
        ("/metrics", "metrics"),
        ("/acme/web", "other"),
        ("/api/v10/x", "other"),
    ],
)
def test_a_path_counts_as_a_class_of_routes(path: str, word: str) -> None:
    assert route_class(path) == word


def test_whatever_is_asked_for_the_labels_of_requests_are_few() -> None:
    metrics = Metrics()

    for number in range(1000):
        metrics.note_request(f"VERB{number}", f"/{number}/secret", 404, 0.001)

    assert counted(metrics, "dockbell_http_requests_total") == {("other", "other", "404"): 1000}
