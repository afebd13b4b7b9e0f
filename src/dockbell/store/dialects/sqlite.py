"""What differs on SQLite: the hot statements by hand.

Many rows go in as one JSON document, which `json_each` takes apart: one call of the driver instead of hundreds.
There is one writer at a time, so nothing here locks a row.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy.dialects.sqlite import insert as _insert

NAME = "sqlite"
# The two databases share the words ON CONFLICT DO NOTHING, but SQLAlchemy keeps one construct for each.
insert = _insert

_ATTEMPTS_AT_ONCE = (64, 16, 4, 1)
_EVENTS_AT_ONCE = (256, 64, 16, 4, 1)


def packed(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The rows as the first parameters of a statement that takes many: here one, `?1`."""
    return (msgspec.json.encode(rows).decode(),)


ADD_DELIVERIES = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, "trigger", state, tries, attempts,
                        interruptions, due_at, created_at, repository_id)
SELECT value ->> 0, value ->> 1, value ->> 2, ?2, ?3, 'waiting', 0, 0, 0, ?4, ?4,
       (SELECT repository_id FROM events WHERE id = ?2)
FROM json_each(?1) WHERE true
ON CONFLICT (event_id, notification_id) WHERE "trigger" = 'event' DO NOTHING
"""

# The same for many events: delivery, notification, lane and event in each row.
FAN_OUT = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, "trigger", state, tries, attempts,
                        interruptions, due_at, created_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?2, 'waiting', 0, 0, 0, ?3, ?3
FROM json_each(?1) WHERE true
ON CONFLICT (event_id, notification_id) WHERE "trigger" = 'event' DO NOTHING
"""

# What `find_access` asks, for many callers and places at once.
FIND_ACCESS = """
SELECT asked.value ->> 0, n.id, n.name, n.kind, n.email, n.created_at,
       r.id, r.name, r.visibility, r.description, r.created_at,
  (SELECT max(CASE t.role WHEN 'admin' THEN 3 WHEN 'creator' THEN 2 ELSE 1 END)
   FROM teams AS t JOIN team_members AS m ON m.team_id = t.id
   WHERE t.namespace_id = n.id AND m.member_id = asked.value ->> 1 AND NOT m.is_invited),
  (SELECT max(CASE p.role WHEN 'admin' THEN 3 WHEN 'write' THEN 2 ELSE 1 END)
   FROM permissions AS p
   WHERE p.repository_id = r.id AND (p.holder_id = asked.value ->> 1 OR EXISTS (
     SELECT 1 FROM team_members AS m
     WHERE m.team_id = p.team_id AND m.member_id = asked.value ->> 1 AND NOT m.is_invited)))
FROM json_each(?1) AS asked
JOIN namespaces AS n ON n.name = asked.value ->> 2
LEFT JOIN repositories AS r ON r.namespace_id = n.id AND r.name = asked.value ->> 3
"""

# A lane that is not due earlier becomes due; one that is busy already is left alone.
ADD_LANES = """
INSERT INTO lanes (id, notification_id, is_paused, inflight, max_inflight, next_due_at, served_at)
SELECT value ->> 0, value ->> 1, value ->> 2, 0, ?3, ?2, 0
FROM json_each(?1) WHERE true
ON CONFLICT (id) DO UPDATE SET next_due_at = excluded.next_due_at
WHERE lanes.next_due_at IS NULL OR lanes.next_due_at > excluded.next_due_at
"""
HOLD_LANES = None  # only one transaction writes, so no lease can look away meanwhile
WAKE_LANES = None  # ADD_LANES did

HOLD_WORD = None  # only one transaction writes

FIND_VERSIONS = """
SELECT id, updated_at FROM notifications WHERE id IN (SELECT value ->> 0 FROM json_each(?1))
"""
LOAD_EVENTS = """
SELECT id, kind, namespace, repository, is_user, body, facts, performer_name, performer_kind, producer_key,
       occurred_at
FROM events WHERE id IN (SELECT value ->> 0 FROM json_each(?1))
"""

FIND_READY_LANES = """
SELECT id, max_inflight - inflight FROM lanes
WHERE next_due_at IS NOT NULL AND NOT is_paused AND next_due_at <= ?1 AND inflight < max_inflight
  AND (held_until IS NULL OR held_until <= ?1)
ORDER BY served_at LIMIT ?2
"""

# There is no LATERAL, but a correlated IN with a LIMIT walks the index of each lane just as well.
LEASE = """
UPDATE deliveries SET state = 'sending', leased_by = ?5, lease = ?6, leased_until = ?7
WHERE rowid IN (
  SELECT rowid FROM (
    SELECT d.rowid, ready.value ->> 1 AS room,
           row_number() OVER (PARTITION BY d.lane_id ORDER BY d.due_at, d.id) AS place
    FROM json_each(?1) AS ready JOIN deliveries AS d ON d.rowid IN (
      SELECT w.rowid FROM deliveries AS w
      WHERE w.lane_id = ready.value ->> 0 AND w.state = 'waiting' AND w.due_at <= ?2
      ORDER BY w.due_at, w.id LIMIT ?3
    )
  )
  WHERE place <= room ORDER BY place LIMIT ?4
)
RETURNING id, notification_id, event_id, lane_id, "trigger", tries, attempts, created_at, due_at
"""
FIND_QUIET_LANES = None  # all are: only one transaction writes
SERVE_LANES = """
UPDATE lanes SET inflight = inflight + served.taken, served_at = ?2, next_due_at = (
  SELECT min(d.due_at) FROM deliveries AS d WHERE d.lane_id = lanes.id AND d.state = 'waiting'
)
FROM (SELECT value ->> 0 AS id, value ->> 1 AS taken FROM json_each(?1)) AS served
WHERE lanes.id = served.id
"""

SETTLE = """
UPDATE deliveries SET
  state = ?2, due_at = coalesce(done.value ->> 2, deliveries.due_at), tries = tries + ?3,
  attempts = attempts + 1, interruptions = 0, code = ?4, finished_at = ?5,
  leased_by = NULL, lease = NULL, leased_until = NULL
FROM json_each(?1) AS done
WHERE deliveries.id = done.value ->> 0 AND deliveries.lease = done.value ->> 1
RETURNING deliveries.id, attempts
"""
SETTLE_LANES = """
UPDATE lanes SET inflight = inflight - done.ended,
  next_due_at = CASE WHEN lanes.next_due_at < done.due_at THEN lanes.next_due_at
                     ELSE coalesce(done.due_at, lanes.next_due_at) END
FROM (SELECT value ->> 0 AS id, value ->> 1 AS ended, value ->> 2 AS due_at FROM json_each(?1)) AS done
WHERE lanes.id = done.id
"""
FIND_FAILING = """
SELECT id FROM notifications
WHERE id IN (SELECT value ->> 0 FROM json_each(?1)) AND (failure_streak <> 0 OR failing_since IS NOT NULL)
"""


def add_attempts(
    rows: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements with their parameters that add these rows.

    Bodies are bytes, which JSON has not. So rows are bound one value at a time, in statements of a few fixed
    sizes that the driver keeps prepared.
    """
    first = 0
    for size in _ATTEMPTS_AT_ONCE:
        while len(rows) - first >= size:
            part = rows[first : first + size]
            yield _add_attempts(size), tuple(chain.from_iterable(part))
            first += size


@cache
def _add_attempts(count: int) -> str:
    one = f"({', '.join('?' * 15)})"
    return f"""
INSERT INTO attempts (delivery_id, number, outcome, code, detail, fault, status, address, started_at,
                      duration_micros, phases, request_headers, response_headers, response_body, worker)
VALUES {", ".join([one] * count)}
"""  # noqa: S608 -- made of question marks


def add_events(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements with their parameters that add these rows, but for those whose producer key is known.

    Bound as attempts are. One step of the database for many rows also gives the interpreter's lock away once
    and not for each row, and whoever wants it back may have to wait for milliseconds.
    """
    first = 0
    for size in _EVENTS_AT_ONCE:
        while len(rows) - first >= size:
            part = rows[first : first + size]
            yield _add_events(size), tuple(chain.from_iterable(part))
            first += size


@cache
def _add_events(count: int) -> str:
    one = f"({', '.join('?' * 14)})"
    return f"""
INSERT INTO events (id, kind, namespace, repository, is_user, namespace_id, repository_id, body, facts,
                    performer_name, performer_kind, producer_key, occurred_at, recorded_at)
VALUES {", ".join([one] * count)} ON CONFLICT (producer_key) DO NOTHING
"""  # noqa: S608 -- made of question marks
