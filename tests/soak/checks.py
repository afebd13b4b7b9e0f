"""What must hold at the end of a soak, from the tables and from what the targets got."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.receiver import Answer, Received
from tests.soak.targets import tag_of

# What the program says of its own mistakes.
_COMPLAINTS = (
    "Traceback",
    "a turn failed",
    "a try broke",
    "a method failed",
    "cannot be written",
    "listening for bells broke",
    "chore failed",
)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Report:
    """What a soak came to. It passed if there are no `problems` and nothing is unsettled."""

    seed: int = 0
    seconds: float = 0.0
    kills: int = 0
    ends: int = 0
    freezes: int = 0
    pushes: int = 0
    failed_pushes: int = 0
    deliveries: int = 0
    requests: int = 0
    duplicates: int = 0  # complete 2xx answers beyond the first of each delivery
    most_duplicates: int = 0
    interrupted: int = 0  # tries of which nothing was heard
    late: int = 0  # results that came after their lease
    memory: int = 0  # the most that one of the processes held, in bytes
    descriptors: int = 0  # the most that one has open when all is done
    unsettled: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def has_passed(self) -> bool:
        return not self.problems and not self.unsettled

    def text(self) -> str:
        hits = f"{self.kills} kills, {self.ends} orderly ends, {self.freezes} freezes"
        pushes = (
            f"{self.pushes} pushes acknowledged ({self.failed_pushes} had to be made again)"
        )
        verdict = "lost 0" if self.has_passed else "FAILED"
        sends = f"duplicates {self.duplicates} (at most {self.most_duplicates})"
        ends = f"interrupted {self.interrupted}, late {self.late}"
        usage = f"memory {self.memory >> 20} MiB and descriptors {self.descriptors} at most"
        lines = [
            f"seed {self.seed}, {self.seconds:.0f} s: {hits}",
            f"  {pushes}, {self.deliveries} deliveries, {self.requests} requests",
            f"  {verdict}, {sends}, {ends}",
            f"  {usage}",
        ]
        if self.unsettled:
            lines.append(f"  never settled: {dict(self.unsettled)}")
        return "\n".join([*lines, *(f"  problem: {text}" for text in self.problems[:20])])


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    notification_id: str
    state: str
    attempts: int
    interruptions: int
    code: str | None
    tag: str


async def look(
    store: Store,
    *,
    answered: Sequence[tuple[Received, Answer]],
    requests: Sequence[Received],
    silences: Mapping[str | None, int],
    acknowledged: Sequence[str],
    paths: Sequence[str],
) -> Report:
    """Hold the tables, the acknowledgements and what came against each other."""
    rows = await _rows(store)
    report = Report(pushes=len(acknowledged), deliveries=len(rows), requests=len(requests))
    _every_push_became_deliveries(report, rows, acknowledged, len(paths))
    _everything_ended(report, rows)
    _what_is_delivered_arrived(report, rows, answered, acknowledged, paths)
    _one_id_has_one_body(report, requests)
    await _every_request_is_explained(report, store, rows, requests, silences)
    try:
        await queues.assert_lanes_are_right(store)
    except AssertionError as error:
        report.problems.append(f"lanes differ from a recount: {error}")
    return report


async def _rows(store: Store) -> list[_Row]:
    columns = t.deliveries.c
    found = await queues.rows(
        store,
        select(
            columns.id,
            columns.notification_id,
            columns.state,
            columns.attempts,
            columns.interruptions,
            columns.code,
            t.events.c.body,
        ).join(t.events, t.events.c.id == columns.event_id),
    )
    return [_Row(*row[:6], tag=json.loads(row[6])["updated_tags"][0]) for row in found]


def _every_push_became_deliveries(
    report: Report, rows: Sequence[_Row], acknowledged: Sequence[str], targets: int
) -> None:
    reached: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        reached[row.tag].add(row.notification_id)
    report.problems += [
        f"LOST: the push of {tag} was acknowledged, but has {len(reached[tag])} deliveries"
        for tag in acknowledged
        if len(reached[tag]) != targets
    ]


def _everything_ended(report: Report, rows: Sequence[_Row]) -> None:
    report.problems += [
        f"{row.id} is {row.state} ({row.code}) after {row.interruptions} interruptions"
        for row in rows
        if row.state != "delivered"
    ]


def _what_is_delivered_arrived(
    report: Report,
    rows: Sequence[_Row],
    answered: Sequence[tuple[Received, Answer]],
    acknowledged: Sequence[str],
    paths: Sequence[str],
) -> None:
    taken = [received for received, answer in answered if 200 <= answer.status < 300]
    per_id = Counter(one.header("webhook-id") for one in taken)
    report.duplicates = sum(per_id.values()) - len(per_id)
    ids = {row.id for row in rows if row.state == "delivered"}
    report.problems += [
        f"LOST: {one} counts as delivered, but no target took it whole"
        for one in sorted(ids - set(per_id))
    ]
    arrived = {(one.path, tag_of(one)) for one in taken}
    missing = {(path, tag) for tag in acknowledged for path in paths} - arrived
    report.problems += [f"LOST: {tag} never came to {path}" for path, tag in sorted(missing)]


def _one_id_has_one_body(report: Report, requests: Sequence[Received]) -> None:
    bodies: defaultdict[str | None, set[bytes]] = defaultdict(set)
    for one in requests:
        bodies[one.header("webhook-id")].add(one.body)
    report.problems += [
        f"{one} came with {len(different)} different bodies"
        for one, different in bodies.items()
        if len(different) > 1
    ]


async def _every_request_is_explained(
    report: Report,
    store: Store,
    rows: Sequence[_Row],
    requests: Sequence[Received],
    silences: Mapping[str | None, int],
) -> None:
    """Each request is a try in the log, those of killed processes too."""
    came = Counter(one.header("webhook-id") for one in requests)
    written: Counter[str] = Counter()
    for delivery_id, outcome, code in await queues.rows(
        store, select(t.attempts.c.delivery_id, t.attempts.c.outcome, t.attempts.c.code)
    ):
        written[delivery_id] += 1
        report.late += outcome == "late"
        report.interrupted += code == "interrupted"
    for row in rows:
        if row.attempts != written[row.id]:
            report.problems.append(
                f"{row.id} counts {row.attempts} tries, its log {written[row.id]}"
            )
        if came[row.id] - silences.get(row.id, 0) > written[row.id]:
            report.problems.append(
                f"{row.id} came {came[row.id]} times, its log has {written[row.id]} tries"
            )


def complaints_of(logs: Sequence[Path]) -> list[str]:
    """Lines in which the program tells of a mistake of its own."""
    return [
        line.strip()[:300]
        for log in logs
        for line in log.read_text(errors="replace").splitlines()
        if any(text in line for text in _COMPLAINTS)
    ]
