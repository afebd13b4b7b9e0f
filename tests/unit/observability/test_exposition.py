"""The text for Prometheus, read back by Prometheus's own parser."""

from prometheus_client.parser import text_string_to_metric_families

from dockbell.observability.exposition import (
    Counter,
    Family,
    Histogram,
    Sample,
    gauge,
    gauges,
    text_of,
)


def read(*families: Family) -> list[tuple[str, str, list[tuple[str, dict[str, str], float]]]]:
    return [
        (one.name, one.type, [(line.name, line.labels, line.value) for line in one.samples])
        for one in text_string_to_metric_families(text_of(families))
    ]


def test_a_counter_counts_apart_for_each_set_of_labels() -> None:
    counter = Counter("tries_total", "Tries.", "method", "code")
    counter.add("webhook", "ok")
    counter.add("webhook", "ok", count=2)
    counter.add("slack", "http_5xx")

    assert read(counter.family()) == [
        (
            "tries",
            "counter",
            [
                ("tries_total", {"method": "webhook", "code": "ok"}, 3.0),
                ("tries_total", {"method": "slack", "code": "http_5xx"}, 1.0),
            ],
        )
    ]


def test_many_observed_at_once_count_as_each_of_them() -> None:
    one_by_one = Histogram("way_seconds", "Way.", bounds=(0.1, 1.0, 5.0))
    at_once = Histogram("way_seconds", "Way.", bounds=(0.1, 1.0, 5.0))
    for seconds in (0.5, 7.0, 0.1, 0.0625, 1.0, 0.5):
        one_by_one.observe(seconds)

    at_once.observe_all((0.5, 7.0, 0.1, 0.0625, 1.0, 0.5))

    assert text_of([at_once.family()]) == text_of([one_by_one.family()])


def test_a_counter_without_labels_begins_at_zero() -> None:
    assert text_of([Counter("dead_total", "Given up.").family()]) == (
        "# HELP dead_total Given up.\n# TYPE dead_total counter\ndead_total 0\n"
    )


def test_the_buckets_of_a_histogram_hold_all_that_is_not_above_them() -> None:
    histogram = Histogram("way_seconds", "Way.", "phase", bounds=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds, "dns")

    assert read(histogram.family()) == [
        (
            "way_seconds",
            "histogram",
            [
                ("way_seconds_bucket", {"phase": "dns", "le": "0.1"}, 2.0),
                ("way_seconds_bucket", {"phase": "dns", "le": "1"}, 3.0),
                ("way_seconds_bucket", {"phase": "dns", "le": "+Inf"}, 4.0),
                ("way_seconds_sum", {"phase": "dns"}, 7.65),
                ("way_seconds_count", {"phase": "dns"}, 4.0),
            ],
        )
    ]


def test_what_a_label_or_a_help_holds_cannot_begin_a_line() -> None:
    odd = 'a"b\\c\nd'
    family = Family("odd", "gauge", "One\\two\nthree", [Sample(1, {"word": odd})])

    ((_, _, lines),) = read(family)

    assert lines == [("odd", {"word": odd}, 1.0)]
    assert text_of([family]).count("\n") == 3


def test_gauges_hold_fractions_and_infinity() -> None:
    assert read(gauge("a", "A.", 0.25), gauges("b", "B.", "k", {"x": float("inf")})) == [
        ("a", "gauge", [("a", {}, 0.25)]),
        ("b", "gauge", [("b", {"k": "x"}, float("inf"))]),
    ]
