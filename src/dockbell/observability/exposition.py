"""The text that Prometheus reads: counters, histograms and single values, without a library.

Everything runs on one event loop, so nothing here locks.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from dockbell.domain.late_dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4"  # the framework adds the character set


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: what comes after the family's name, the labels, the value."""

    value: float
    labels: Mapping[str, str]
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Family:
    """All lines of one name."""

    name: str
    kind: str  # counter, gauge, histogram
    about: str
    samples: Sequence[Sample]
    labels: tuple[str, ...] = ()  # without a histogram's `le`


class Counter:
    """Counts up, apart for each set of label values. Label values must come from a small fixed set."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self._counts: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, count: float = 1) -> None:
        self._counts[values] = self._counts.get(values, 0.0) + count

    def family(self) -> Family:
        samples = [
            Sample(count, dict(zip(self._labels, values, strict=True)))
            for values, count in self._counts.items()
        ]
        return Family(self._name, "counter", self._about, samples, self._labels)


class Histogram:
    """How long things took, in buckets, apart for each set of label values."""

    def __init__(self, name: str, about: str, *labels: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self._bounds = bounds
        self._words = [*(number(bound) for bound in bounds), "+Inf"]
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        self._buckets(values)[bisect_left(self._bounds, value)] += 1
        self._sums[values] += value

    def observe_all(self, observed: Sequence[float], *values: str) -> None:
        """The same for many at once: sorted, they cost one search for each bucket and not for each value."""
        counts, below = self._buckets(values), 0
        in_order = sorted(observed)
        for place, bound in enumerate(self._bounds):
            so_far = bisect_right(in_order, bound)
            counts[place] += so_far - below
            below = so_far
        counts[-1] += len(in_order) - below
        self._sums[values] += sum(in_order)

    def _buckets(self, values: tuple[str, ...]) -> list[int]:
        counts = self._counts.get(values)
        if counts is None:
            counts = self._counts[values] = [0] * (len(self._bounds) + 1)
            self._sums[values] = 0.0
        return counts

    def family(self) -> Family:
        samples = []
        for values, counts in self._counts.items():
            labels = dict(zip(self._labels, values, strict=True))
            total = 0
            for word, count in zip(self._words, counts, strict=True):
                total += count
                samples.append(Sample(total, {**labels, "le": word}, "_bucket"))
            samples.append(Sample(self._sums[values], labels, "_sum"))
            samples.append(Sample(total, labels, "_count"))
        return Family(self._name, "histogram", self._about, samples, self._labels)


def gauge(name: str, about: str, value: float) -> Family:
    """A value that goes up and down, without labels."""
    return Family(name, "gauge", about, [Sample(value, {})])


def gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Family:
    """Values that go up and down, told apart by one label."""
    samples = [Sample(value, {label: word}) for word, value in values.items()]
    return Family(name, "gauge", about, samples, (label,))


def text_of(families: Iterable[Family]) -> str:
    """The families as text, each with its help and its type."""
    lines = []
    for family in families:
        about = family.about.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"# HELP {family.name} {about}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [
            f"{family.name}{one.suffix}{_labels(one.labels)} {number(one.value)}"
            for one in family.samples
        ]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """The number as the format writes it; whole ones without a point."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
