"""What differs on PostgreSQL: the hot statements by hand.

Many rows go in as one array for each column, which `unnest` puts together again. Several processes write at
once; whoever needs more than one lane takes them in the order of their ids, so that nobody waits in a circle.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy.dialects.postgresql import insert as _insert

NAME = "postgresql"
# The two databases share the words ON CONFLICT DO NOTHING, but SQLAlchemy keeps one construct for each.
insert = _insert


def packed(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The rows as the first parameters of a statement that takes many: one array for each column."""
    return tuple(list(column) for column in zip(*rows, strict=True))


ADD_DELIVERIES = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, "trigger", state, tries, attempts,
                        interruptions, due_at, created_at, repository_id)
SELECT id, notification_id, lane_id, $4::text, $5, 'waiting', 0, 0, 0, $6, $6,
       (SELECT repository_id FROM events WHERE id = $4::text)
FROM unnest($1::text[], $2::text[], $3::text[]) AS made (id, notification_id, lane_id)
ON CONFLICT (event_id, notification_id) WHERE "trigger" = 'event' DO NOTHING
"""

# The same for many events: delivery, notification, lane and event in each row.
FAN_OUT = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, "trigger", state, tries, attempts,
                        interruptions, due_at, created_at)
SELECT id, notification_id, lane_id, event_id, $5, 'waiting', 0, 0, 0, $6, $6
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS made (id, notification_id, lane_id, event_id)
ON CONFLICT (event_id, notification_id) WHERE "trigger" = 'event' DO NOTHING
"""
# In the order of the keys, so that two transactions with the same keys do not wait for each other in a circle.
_ADD_EVENTS = """
INSERT INTO events (id, kind, namespace, repository, is_user, namespace_id, repository_id, body, facts,
                    performer_name, performer_kind, producer_key, occurred_at, recorded_at)
SELECT e ->> 0, e ->> 1, e ->> 2, e ->> 3, (e ->> 4)::bool, e ->> 5, e ->> 6, decode(e ->> 7, 'base64'), e ->> 8,
       e ->> 9, e ->> 10, e ->> 11, (e ->> 12)::bigint, (e ->> 13)::bigint
FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS made (e, place) ORDER BY e ->> 11, place
ON CONFLICT (producer_key) DO NOTHING
"""

# What `find_access` asks, for many callers and places at once.
FIND_ACCESS = """
SELECT asked.place, n.id, n.name, n.kind, n.email, n.created_at,
       r.id, r.name, r.visibility, r.description, r.created_at,
  (SELECT max(CASE t.role WHEN 'admin' THEN 3 WHEN 'creator' THEN 2 ELSE 1 END)
   FROM teams AS t JOIN team_members AS m ON m.team_id = t.id
   WHERE t.namespace_id = n.id AND m.member_id = asked.actor AND NOT m.is_invited),
  (SELECT max(CASE p.role WHEN 'admin' THEN 3 WHEN 'write' THEN 2 ELSE 1 END)
   FROM permissions AS p
   WHERE p.repository_id = r.id AND (p.holder_id = asked.actor OR EXISTS (
     SELECT 1 FROM team_members AS m
     WHERE m.team_id = p.team_id AND m.member_id = asked.actor AND NOT m.is_invited)))
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS asked (place, actor, namespace, name)
JOIN namespaces AS n ON n.name = asked.namespace
LEFT JOIN repositories AS r ON r.namespace_id = n.id AND r.name = asked.name
"""

# Lanes of busy notifications are not written at all, or all producers of one notification would queue for
# its row and a lease, which passes over locked lanes, would never get it. Instead three steps:
# make what is missing; hold the rows with the weakest lock, which no lease and no other producer minds;
# and then, with fresh eyes, wake those that are idle. A lease that would put a lane to rest first asks for
# the strong lock (FIND_QUIET_LANES) and, if a producer holds the weak one, looks again a little later.
ADD_LANES = """
INSERT INTO lanes (id, notification_id, is_paused, inflight, max_inflight, next_due_at, served_at)
SELECT id, notification_id, is_paused, 0, $5, $4, 0
FROM unnest($1::text[], $2::text[], $3::bool[]) AS made (id, notification_id, is_paused) ORDER BY id
ON CONFLICT (id) DO NOTHING
"""
HOLD_LANES = "SELECT 1 FROM lanes WHERE id = ANY($1::text[]) ORDER BY id FOR KEY SHARE"
WAKE_LANES = """
WITH idle AS MATERIALIZED (
  SELECT id FROM lanes WHERE id = ANY($1::text[]) AND (next_due_at IS NULL OR next_due_at > $2)
  ORDER BY id FOR NO KEY UPDATE
)
UPDATE lanes SET next_due_at = $2 FROM idle WHERE lanes.id = idle.id
"""

FIND_VERSIONS = "SELECT id, updated_at FROM notifications WHERE id = ANY($1::text[])"
LOAD_EVENTS = """
SELECT id, kind, namespace, repository, is_user, body, facts, performer_name, performer_kind, producer_key,
       occurred_at
FROM events WHERE id = ANY($1::text[])
"""

FIND_READY_LANES = """
SELECT id, max_inflight - inflight FROM lanes
WHERE next_due_at IS NOT NULL AND NOT is_paused AND next_due_at <= $1 AND inflight < max_inflight
  AND (held_until IS NULL OR held_until <= $1)
ORDER BY served_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
"""
# MATERIALIZED, because a plan that runs the picking twice would lock twice as many.
LEASE = """
WITH picked AS MATERIALIZED (
  SELECT w.id FROM unnest($1::text[], $2::int[]) AS ready (id, room), LATERAL (
    SELECT d.id, row_number() OVER () AS place FROM (
      SELECT id FROM deliveries
      WHERE lane_id = ready.id AND state = 'waiting' AND due_at <= $3
      ORDER BY due_at, id LIMIT least(ready.room, $4::int) FOR NO KEY UPDATE SKIP LOCKED
    ) AS d
  ) AS w
  ORDER BY w.place LIMIT $5
)
UPDATE deliveries SET state = 'sending', leased_by = $6, lease = $7, leased_until = $8
FROM picked WHERE deliveries.id = picked.id
RETURNING deliveries.id, notification_id, event_id, lane_id, "trigger", tries, attempts, created_at, due_at
"""
FIND_QUIET_LANES = "SELECT id FROM lanes WHERE id = ANY($1::text[]) FOR UPDATE SKIP LOCKED"
SERVE_LANES = """
UPDATE lanes SET inflight = inflight + served.taken, served_at = $4::bigint, next_due_at = CASE
  WHEN served.is_quiet THEN (
    SELECT min(d.due_at) FROM deliveries AS d WHERE d.lane_id = lanes.id AND d.state = 'waiting'
  )
  ELSE least($4::bigint + 20000, (
    SELECT min(d.due_at) FROM deliveries AS d WHERE d.lane_id = lanes.id AND d.state = 'waiting'
  )) END
FROM unnest($1::text[], $2::int[], $3::bool[]) AS served (id, taken, is_quiet)
WHERE lanes.id = served.id
"""

SETTLE = """
UPDATE deliveries SET
  state = $4, due_at = coalesce(done.due_at, deliveries.due_at), tries = tries + $5,
  attempts = attempts + 1, interruptions = 0, code = $6, finished_at = $7,
  leased_by = NULL, lease = NULL, leased_until = NULL
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS done (id, lease, due_at)
WHERE deliveries.id = done.id AND deliveries.lease = done.lease
RETURNING deliveries.id, attempts
"""
SETTLE_LANES = """
WITH held AS MATERIALIZED (
  SELECT id FROM lanes WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE lanes SET inflight = inflight - done.ended, next_due_at = least(lanes.next_due_at, done.due_at)
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS done (id, ended, due_at)
JOIN held ON held.id = done.id
WHERE lanes.id = done.id
"""
FIND_FAILING = """
SELECT id FROM notifications
WHERE id = ANY($1::text[]) AND (failure_streak <> 0 OR failing_since IS NOT NULL)
"""
HOLD_WORD = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_ADD_ATTEMPTS = """
INSERT INTO attempts (delivery_id, number, outcome, code, detail, fault, status, address, started_at,
                      duration_micros, phases, request_headers, response_headers, response_body, worker)
SELECT a ->> 0, (a ->> 1)::int, a ->> 2, a ->> 3, a ->> 4, a ->> 5, (a ->> 6)::int, a ->> 7,
       (a ->> 8)::bigint, (a ->> 9)::bigint, a ->> 10, a ->> 11, a ->> 12, decode(a ->> 13, 'base64'), a ->> 14
FROM jsonb_array_elements($1::jsonb) AS a
"""


def add_attempts(
    rows: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements with their parameters that add these rows.

    One document instead of an array for each of so many columns: the driver looks at every value of an array
    three times, which costs more than the whole insert. Bytes become base64 in it.
    """
    yield _ADD_ATTEMPTS, (msgspec.json.encode(rows).decode(),)


def add_events(rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements with their parameters that add these rows, but for those whose producer key is known."""
    yield _ADD_EVENTS, (msgspec.json.encode(rows).decode(),)
