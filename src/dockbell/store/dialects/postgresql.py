"""What differs on PostgreSQL: the hot statements by hand.

Many rows go in as one array for each column, which `unnest` puts together again. Several processes write at
once; whoever needs more than one lane takes them in the order of their ids, so that nobody waits in a circle.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy.dialects.postgresql import insert as _insert

from dockbell.store.dialects.statements import (
    Batch,
    Moved,
    Plan,
    ReadyLane,
    Statement,
    Terms,
)

NAME = "postgresql"
# The two databases share the words ON CONFLICT DO NOTHING, but SQLAlchemy keeps one construct for each.
insert = _insert


def packed(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The rows as the first parameters of a statement that takes many: one array for each column."""
    return tuple(list(column) for column in zip(*rows, strict=True))


# Delivery, notification, lane, event and the notification's place in each row.
ADD_DELIVERIES = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, repository_id, "trigger", state, tries,
                        attempts, interruptions, due_at, created_at)
SELECT id, notification_id, lane_id, event_id, repository_id, $6, 'waiting', 0, 0, 0, $7, $7
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     AS made (id, notification_id, lane_id, event_id, repository_id)
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
       r.id, r.name, r.visibility, r.description, r.created_at, r.state,
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

# Places are repositories, namespaces and the server. The second half is empty for most events: few notifications
# are for more than one kind in one repository.
FIND_CANDIDATES = """
SELECT asked.number, n.created_at, n.id, n.event_config, n.filter, n.paused_at, asked.place_id
FROM unnest($1::int[], $2::text[], $3::text[]) AS asked (number, place_id, kind)
JOIN notifications AS n ON n.repository_id = asked.place_id AND n.kind = asked.kind
UNION ALL
SELECT asked.number, n.created_at, n.id, n.event_config, n.filter, n.paused_at, asked.place_id
FROM unnest($1::int[], $2::text[], $3::text[]) AS asked (number, place_id, kind)
JOIN notification_kinds AS k ON k.place_id = asked.place_id AND k.kind = asked.kind
JOIN notifications AS n ON n.id = k.notification_id
"""

# Lanes of busy notifications are not written at all, or all producers of one notification would queue for
# its row and a lease, which passes over locked lanes, would never get it. Instead three steps:
# make what is missing; hold the rows with the weakest lock, which no lease and no other producer minds;
# and then, with fresh eyes, wake those that are idle. A lease that would put a lane to rest first asks for
# the strong lock (`quiet` in find_ready) and, if a producer holds the weak one, looks again at its next turn.
ADD_LANES = """
INSERT INTO lanes (id, notification_id, is_paused, inflight, max_inflight, next_due_at, served_at)
SELECT id, notification_id, is_paused, 0, $5, $4::bigint, $4::bigint - 1
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

# Whoever sets them has leased from these lanes, so that they are locked already.
SET_TURNS = """
UPDATE lanes SET served_at = made.turn FROM unnest($1::text[], $2::bigint[]) AS made (id, turn)
WHERE lanes.id = made.id
"""

FIND_BEARERS = """
SELECT t.lookup, t.id, t.token_hash, t.scope, t.expires_at, t.user_id, n.name, u.is_superuser, u.is_enabled,
       a.client_id, a.name, t.last_used_at
FROM tokens AS t
JOIN namespaces AS n ON n.id = t.user_id
JOIN users AS u ON u.namespace_id = t.user_id
LEFT JOIN applications AS a ON a.id = t.application_id
WHERE t.lookup = ANY($1::text[])
"""
LIST_OUTLINES = """
SELECT uuid, title, kind, method, config_sealed, event_config, failure_streak, paused_at
FROM notifications WHERE repository_id = $1 ORDER BY created_at, id
"""
LOAD_EVENTS = """
SELECT id, kind, namespace, repository, is_user, body, facts, performer_name, performer_kind, producer_key,
       occurred_at
FROM events WHERE id = ANY($1::text[])
"""

# A producer that adds to a lane just now holds it weakly, so that the strong lock is not to be had: then the lane
# is not quiet: what it waits for cannot be told, and it stays due. The lock comes before the lease, which sees all that came before it.
_FIND_READY = """
WITH ready AS MATERIALIZED (
  SELECT id, max_inflight - inflight AS room, served_at FROM lanes
  WHERE next_due_at IS NOT NULL AND NOT is_paused AND next_due_at <= $1 AND inflight < max_inflight
    AND (held_until IS NULL OR held_until <= $1)
  ORDER BY served_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), quiet AS MATERIALIZED (
  SELECT id FROM lanes WHERE id IN (SELECT id FROM ready) FOR UPDATE SKIP LOCKED
)
SELECT ready.id, ready.room, quiet.id IS NOT NULL, ready.served_at FROM ready LEFT JOIN quiet ON quiet.id = ready.id
ORDER BY ready.served_at
"""


def find_ready(
    now: int, limit: int, ahead: Mapping[str, int], width: int
) -> Plan[tuple[Sequence[ReadyLane], int]]:
    """Lanes with something due, the one served longest ago first, and its turn (0 if there is none).

    They are locked for this transaction; those that another process has locked are left out. None has more room than it
    has places: other processes count on that.
    """
    del ahead, width
    (rows,) = yield ((_FIND_READY, (now, limit)),)
    return [(row[0], row[1], row[2]) for row in rows], rows[0][3] if rows else 0


# MATERIALIZED, because a plan that runs the picking twice would lock twice as many. What was picked is found again by its
# place in the table: to look for each id, or to read all of a table that is not large, takes a quarter of the whole. One
# that somebody changed a moment ago has moved, so what counts is what was taken; the rest goes on waiting. One statement
# does not see what it changes itself, so what was taken is left out of what a lane waits for.
_LEASE = """
WITH ready AS MATERIALIZED (
  SELECT * FROM unnest(string_to_array($1, ' '), string_to_array($2, ' ')::int[], string_to_array($3, ' ')::bool[])
    AS ready (id, room, is_quiet)
), picked AS MATERIALIZED (
  SELECT w.spot FROM ready, LATERAL (
    SELECT d.spot, row_number() OVER () AS place FROM (
      SELECT ctid AS spot FROM deliveries
      WHERE lane_id = ready.id AND state = 'waiting' AND due_at <= $4
      ORDER BY due_at, id LIMIT least(ready.room, $5::int) FOR NO KEY UPDATE SKIP LOCKED
    ) AS d
  ) AS w
  ORDER BY w.place LIMIT $6
), taken AS (
  UPDATE deliveries SET state = 'sending', leased_by = $7, lease = $8, leased_until = $9
  WHERE ctid = ANY (ARRAY(SELECT spot FROM picked))
  RETURNING id, notification_id, event_id, lane_id, "trigger", tries, attempts, created_at, due_at
), served AS (
  UPDATE lanes SET inflight = inflight + few.taken, served_at = $4, next_due_at = CASE
    WHEN few.is_quiet THEN few.next_due_at ELSE least($4, few.next_due_at) END
  FROM (
    SELECT ready.id, ready.is_quiet, coalesce(counted.taken, 0) AS taken, (
      SELECT min(d.due_at) FROM deliveries AS d
      WHERE d.lane_id = ready.id AND d.state = 'waiting' AND d.id NOT IN (SELECT id FROM taken)
    ) AS next_due_at
    FROM ready LEFT JOIN (
      SELECT lane_id, count(*)::int AS taken FROM taken GROUP BY lane_id
    ) AS counted ON counted.lane_id = ready.id
  ) AS few
  WHERE lanes.id = few.id
)
SELECT taken.*, n.updated_at FROM taken LEFT JOIN notifications AS n ON n.id = taken.notification_id
"""
_in_turn = itemgetter(8, 0)  # by due time, then id


def lease(
    ready: Sequence[ReadyLane], terms: Terms
) -> Plan[tuple[Sequence[Sequence[Any]], Mapping[str, int]]]:
    """Lease what is due in these lanes; return the rows, and when each of their notifications was last changed."""
    ids, rooms, quiet = _joined(ready)
    parameters = (
        ids, rooms, quiet, terms.now, terms.share(ready), terms.limit, terms.worker, terms.token, terms.until,
    )  # fmt: skip
    (rows,) = yield ((_LEASE, parameters),)
    return sorted(rows, key=_in_turn), {row[1]: row[9] for row in rows if row[9] is not None}


def _joined(rows: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """The columns of the rows, each as one text with blanks between, for `string_to_array`.

    For ids and numbers, which have no blanks: the driver looks at every value of an array three times.
    """
    return tuple(" ".join(map(str, column)) for column in zip(*rows, strict=True))


# All that a batch changes, in the order of store.locks: its deliveries and then, if no notification comes
# between, their lanes. One document, because the driver takes it as it is. What is held is counted and not joined: nobody
# tells the planner how many lanes there are, and it would compare each with each.
_SETTLE = """
WITH done AS MATERIALIZED (
  SELECT a FROM jsonb_array_elements($1::jsonb) AS a
), moved AS (
  UPDATE deliveries SET
    state = a ->> 2, due_at = coalesce((a ->> 3)::bigint, due_at), tries = tries + (a ->> 4)::int,
    attempts = attempts + 1, interruptions = 0, code = a ->> 5,
    finished_at = CASE WHEN a ->> 2 <> 'waiting' THEN $2::bigint END,
    leased_by = NULL, lease = NULL, leased_until = NULL
  FROM done WHERE deliveries.id = a ->> 0 AND lease = a ->> 1
  RETURNING deliveries.id, attempts, lane_id, (a ->> 3)::bigint AS due_at, a
), added AS (
  INSERT INTO attempts (delivery_id, number, outcome, code, detail, fault, status, address, started_at,
                        duration_micros, phases, request_headers, response_headers, response_body, worker)
  SELECT id, attempts, a ->> 6, a ->> 7, a ->> 8, a ->> 9, (a ->> 10)::int, a ->> 11, (a ->> 12)::bigint,
         (a ->> 13)::bigint, a ->> 14, a ->> 15, a ->> 16, decode(a ->> 17, 'base64'), $3
  FROM moved
), failing AS MATERIALIZED (
  SELECT id FROM notifications
  WHERE id = ANY(string_to_array($4, ' ')) AND (failure_streak <> 0 OR failing_since IS NOT NULL)
), ended AS (
  SELECT lane_id, count(*)::int AS ended, min(due_at) AS due_at FROM moved GROUP BY lane_id
), held AS MATERIALIZED (
  SELECT id FROM lanes
  WHERE $5::bool AND NOT EXISTS (SELECT 1 FROM failing) AND id IN (SELECT lane_id FROM ended)
  ORDER BY id FOR NO KEY UPDATE
), settled AS (
  UPDATE lanes SET inflight = inflight - ended.ended, next_due_at = least(lanes.next_due_at, ended.due_at)
  FROM ended
  WHERE lanes.id = ended.lane_id AND (SELECT count(*) FROM held) > 0
)
SELECT true, id FROM failing
UNION ALL
SELECT false, a ->> 0 FROM done WHERE a ->> 0 NOT IN (SELECT id FROM moved)
"""


def settle(batch: Batch) -> Plan[Moved]:
    """Move the deliveries whose lease still stands, and write down their attempts.

    Their lanes too, unless a notification has to be locked before them.
    """
    moves = batch.moves
    document = [(*one[:6], *one.attempt) for one in moves]
    parameters = (
        msgspec.json.encode(document).decode(),
        batch.now,
        batch.worker,
        " ".join(batch.well),
        batch.settles_lanes,
    )
    (rows,) = yield ((_SETTLE, parameters),)
    failing = {row[1] for row in rows if row[0]}
    late = {row[1] for row in rows if not row[0]}
    return Moved(
        [place for place, one in enumerate(moves) if one.delivery_id in late] if late else (),
        failing,
        has_settled_lanes=batch.settles_lanes and not failing,
    )


SETTLE_LANES = """
WITH held AS MATERIALIZED (
  SELECT id FROM lanes WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE lanes SET inflight = inflight - done.ended, next_due_at = least(lanes.next_due_at, done.due_at)
FROM unnest($1::text[], $2::int[], $3::bigint[]) AS done (id, ended, due_at)
WHERE lanes.id = done.id AND (SELECT count(*) FROM held) > 0
"""
# What settling takes before it changes any of it, if standings may change.
HOLD_OWNERS = """
SELECT 1 FROM namespaces WHERE id IN (SELECT namespace_id FROM notifications WHERE id = ANY($1::text[]))
ORDER BY id FOR KEY SHARE
"""
TAKE_LANES = "SELECT 1 FROM lanes WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE"
# One that somebody holds is left for later: whoever counts a late try holds lanes, and must wait for nobody.
COUNT_LATE = """
UPDATE deliveries SET attempts = attempts + 1
WHERE id = (SELECT id FROM deliveries WHERE id = $1 FOR NO KEY UPDATE SKIP LOCKED)
RETURNING attempts
"""
# A session that stands still in a transaction makes a busy queue slower by and by.
OLDEST_TRANSACTION = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
"""
HOLD_WORD = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_ADD_ATTEMPTS = """
INSERT INTO attempts (delivery_id, number, outcome, code, detail, fault, status, address, started_at,
                      duration_micros, phases, request_headers, response_headers, response_body, worker)
SELECT a ->> 0, (a ->> 1)::int, a ->> 2, a ->> 3, a ->> 4, a ->> 5, (a ->> 6)::int, a ->> 7,
       (a ->> 8)::bigint, (a ->> 9)::bigint, a ->> 10, a ->> 11, a ->> 12, decode(a ->> 13, 'base64'), a ->> 14
FROM jsonb_array_elements($1::jsonb) AS a
"""


def add_attempts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
    """Statements with their parameters that add these rows.

    One document instead of an array for each of so many columns: the driver looks at every value of an array
    three times, which costs more than the whole insert. Bytes become base64 in it.
    """
    yield _ADD_ATTEMPTS, (msgspec.json.encode(rows).decode(),)


def add_events(rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
    """Statements with their parameters that add these rows, but for those whose producer key is known."""
    yield _ADD_EVENTS, (msgspec.json.encode(rows).decode(),)
