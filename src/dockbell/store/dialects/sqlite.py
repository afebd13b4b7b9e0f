"""What differs on SQLite: the hot statements by hand.

Many rows go in as one JSON document, which `json_each` takes apart: one call of the driver instead of hundreds.
There is one writer at a time, so nothing here locks a row.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy.dialects.sqlite import insert as _insert

from dockbell.store.dialects.statements import (
    Batch,
    Moved,
    Plan,
    ReadyLane,
    Statement,
    Terms,
)

NAME = "sqlite"
# The two databases share the words ON CONFLICT DO NOTHING, but SQLAlchemy keeps one construct for each.
insert = _insert

_ATTEMPT_WIDTH = 15  # columns
_ATTEMPTS_AT_ONCE = (256, 64, 16, 4, 1)
_EVENTS_AT_ONCE = (256, 64, 16, 4, 1)


_decode = msgspec.json.Decoder().decode


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def packed(rows: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The rows as the first parameters of a statement that takes many: here one, `?1`."""
    return (_encode(rows),)


# Delivery, notification, lane, event and the notification's place in each row.
ADD_DELIVERIES = """
INSERT INTO deliveries (id, notification_id, lane_id, event_id, repository_id, "trigger", state, tries,
                        attempts, interruptions, due_at, created_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?2, 'waiting', 0, 0, 0, ?3, ?3
FROM json_each(?1) WHERE true
ON CONFLICT (event_id, notification_id) WHERE "trigger" = 'event' DO NOTHING
"""

# What `find_access` asks, for many callers and places at once.
FIND_ACCESS = """
SELECT asked.value ->> 0, n.id, n.name, n.kind, n.email, n.created_at,
       r.id, r.name, r.visibility, r.description, r.created_at, r.state,
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

# Places are repositories, namespaces and the server. The second half is empty for most events: few notifications
# are for more than one kind in one repository.
FIND_CANDIDATES = """
SELECT asked.value ->> 0, n.created_at, n.id, n.event_config, n.filter, n.paused_at, asked.value ->> 1
FROM json_each(?1) AS asked
CROSS JOIN notifications AS n ON n.repository_id = asked.value ->> 1 AND n.kind = asked.value ->> 2
UNION ALL
SELECT asked.value ->> 0, n.created_at, n.id, n.event_config, n.filter, n.paused_at, asked.value ->> 1
FROM json_each(?1) AS asked
CROSS JOIN notification_kinds AS k ON k.place_id = asked.value ->> 1 AND k.kind = asked.value ->> 2
CROSS JOIN notifications AS n ON n.id = k.notification_id
"""

# A lane that is not due earlier becomes due; one that is busy already is left alone.
ADD_LANES = """
INSERT INTO lanes (id, notification_id, is_paused, inflight, max_inflight, next_due_at, served_at)
SELECT value ->> 0, value ->> 1, value ->> 2, 0, ?3, ?2, ?2 - 1
FROM json_each(?1) WHERE true
ON CONFLICT (id) DO UPDATE SET next_due_at = excluded.next_due_at
WHERE lanes.next_due_at IS NULL OR lanes.next_due_at > excluded.next_due_at
"""
HOLD_LANES = None  # only one transaction writes, so no lease can look away meanwhile
WAKE_LANES = None  # ADD_LANES did

SET_TURNS = """
UPDATE lanes SET served_at = made.value ->> 1 FROM json_each(?1) AS made WHERE lanes.id = made.value ->> 0
"""

OLDEST_TRANSACTION = None  # a reader holds up no writer, and nobody else has the file open
HOLD_WORD = None  # only one transaction writes
HOLD_OWNERS = None  # likewise
TAKE_LANES = None  # likewise
COUNT_LATE = "UPDATE deliveries SET attempts = attempts + 1 WHERE id = ?1 RETURNING attempts"

FIND_BEARERS = """
SELECT t.lookup, t.id, t.token_hash, t.scope, t.expires_at, t.user_id, n.name, u.is_superuser, u.is_enabled,
       a.client_id, a.name, t.last_used_at
FROM tokens AS t
JOIN namespaces AS n ON n.id = t.user_id
JOIN users AS u ON u.namespace_id = t.user_id
LEFT JOIN applications AS a ON a.id = t.application_id
WHERE t.lookup IN (SELECT value ->> 0 FROM json_each(?1))
"""
LIST_OUTLINES = """
SELECT uuid, title, kind, method, config_sealed, event_config, failure_streak, paused_at
FROM notifications WHERE repository_id = ?1 ORDER BY created_at, id
"""
LOAD_EVENTS = """
SELECT id, kind, namespace, repository, is_user, body, facts, performer_name, performer_kind, producer_key,
       occurred_at
FROM events WHERE id IN (SELECT value ->> 0 FROM json_each(?1))
"""

# Rows that come back as one JSON document: the driver gives the interpreter's lock away for each step of a
# statement, so that five hundred rows are five hundred chances to wait for it.
_FIND_READY = """
SELECT json_group_array(json_array(id, room, served_at)) FROM (
  SELECT id, max_inflight - inflight AS room, served_at FROM lanes
  WHERE next_due_at IS NOT NULL AND NOT is_paused AND next_due_at <= ?1 AND inflight < max_inflight
    AND (held_until IS NULL OR held_until <= ?1)
  ORDER BY served_at LIMIT ?2
)
"""


# The same with lanes that are wider for this once, unless they are narrower than others.
_FIND_READY_AHEAD = """
SELECT json_group_array(json_array(id, room, served_at)) FROM (
  SELECT lanes.id, max_inflight + coalesce(more.value, 0) - inflight AS room, served_at
  FROM lanes LEFT JOIN json_each(?3) AS more ON more.key = lanes.id AND max_inflight >= ?4
  WHERE next_due_at IS NOT NULL AND NOT is_paused AND next_due_at <= ?1
    AND inflight < max_inflight + coalesce(more.value, 0) AND (held_until IS NULL OR held_until <= ?1)
  ORDER BY served_at LIMIT ?2
)
"""


def find_ready(
    now: int, limit: int, ahead: Mapping[str, int], width: int
) -> Plan[tuple[Sequence[ReadyLane], int]]:
    """Lanes with something due, the one served longest ago first, and its turn (0 if there is none).

    All are quiet: only one transaction writes. Those of full width have as much more room as `ahead` says.
    """
    if ahead:
        (((found,),),) = yield ((_FIND_READY_AHEAD, (now, limit, _encode(ahead), width)),)
    else:
        (((found,),),) = yield ((_FIND_READY, (now, limit)),)
    rows = _decode(found)
    return [(lane_id, room, True) for lane_id, room, _ in rows], rows[0][2] if rows else 0


# There is no LATERAL, but a correlated IN with a LIMIT walks the index of each lane just as well.
_PICK = """
SELECT json_group_array(json_array(d.id, d.notification_id, d.event_id, d.lane_id, d."trigger", d.tries,
                                   d.attempts, d.created_at, d.due_at, d.rowid))
FROM json_each(?1) AS ready CROSS JOIN deliveries AS d ON d.rowid IN (
  SELECT w.rowid FROM deliveries AS w
  WHERE w.lane_id = ready.value AND w.state = 'waiting' AND w.due_at <= ?2
  ORDER BY w.due_at, w.id LIMIT ?3
)
"""
_LEASE = """
UPDATE deliveries SET state = 'sending', leased_by = ?2, lease = ?3, leased_until = ?4
WHERE rowid IN (SELECT value FROM json_each(?1))
"""
_SERVE = """
UPDATE lanes SET inflight = inflight + served.taken, served_at = ?2, next_due_at = (
  SELECT min(d.due_at) FROM deliveries AS d WHERE d.lane_id = lanes.id AND d.state = 'waiting'
)
FROM (SELECT value ->> 0 AS id, value ->> 1 AS taken FROM json_each(?1)) AS served
WHERE lanes.id = served.id
"""
_FIND_VERSIONS = """
SELECT id, updated_at FROM notifications WHERE id IN (SELECT value FROM json_each(?1))
"""
_in_turn = itemgetter(8, 0)  # by due time, then id


def lease(
    ready: Sequence[ReadyLane], terms: Terms
) -> Plan[tuple[Sequence[Sequence[Any]], Mapping[str, int]]]:
    """Lease what is due in these lanes; return the rows, and when each of their notifications was last changed."""
    lanes = _encode([lane_id for lane_id, _, _ in ready])
    share = terms.share(ready)
    (((found,),),) = yield ((_PICK, (lanes, terms.now, share)),)
    rows = _fitting(sorted(_decode(found), key=_in_turn), ready, terms)
    taken = Counter([row[3] for row in rows])
    served = _encode([(lane_id, taken[lane_id]) for lane_id, _, _ in ready])
    chosen = _encode([row[9] for row in rows])
    asked = _encode(list({row[1] for row in rows}))
    _, _, versions = yield (
        (_LEASE, (chosen, terms.worker, terms.token, terms.until)),
        (_SERVE, (served, terms.now)),
        (_FIND_VERSIONS, (asked,)),
    )
    return rows, dict(versions)


def _fitting(
    rows: Sequence[Sequence[Any]], ready: Sequence[ReadyLane], terms: Terms
) -> Sequence[Sequence[Any]]:
    """Those of the rows, which are in turn, that their lanes have room for: of each lane the first before the second."""
    room = {lane_id: room for lane_id, room, _ in ready}
    if len(rows) <= terms.limit and min(room.values()) >= terms.share(ready):
        return rows
    places: Counter[str] = Counter()
    fitting = []
    for row in rows:
        place = places[row[3]]
        if place < room[row[3]]:
            places[row[3]] = place + 1
            fitting.append((place, row))
    if len(fitting) > terms.limit:
        fitting.sort(key=itemgetter(0))
        del fitting[terms.limit :]
        return sorted([row for _, row in fitting], key=_in_turn)
    return [row for _, row in fitting]


_FIND_HELD = """
SELECT json_group_array(json_array(done.key, d.rowid, d.attempts + 1))
FROM json_each(?1) AS done CROSS JOIN deliveries AS d ON d.id = done.value ->> 0
WHERE d.lease = done.value ->> 1
"""
_WAIT_AGAIN = """
UPDATE deliveries SET
  state = 'waiting', due_at = coalesce(done.value ->> 1, deliveries.due_at), tries = tries + ?2,
  attempts = attempts + 1, interruptions = 0, code = ?3, finished_at = NULL,
  leased_by = NULL, lease = NULL, leased_until = NULL
FROM json_each(?1) AS done
WHERE deliveries.rowid = done.value ->> 0
"""
# Without a join, which nearly doubles the price.
_END = """
UPDATE deliveries SET
  state = ?4, tries = tries + ?2, attempts = attempts + 1, interruptions = 0, code = ?3, finished_at = ?5,
  leased_by = NULL, lease = NULL, leased_until = NULL
WHERE rowid IN (SELECT value FROM json_each(?1))
"""
SETTLE_LANES = """
UPDATE lanes SET inflight = inflight - done.ended,
  next_due_at = CASE WHEN lanes.next_due_at < done.due_at THEN lanes.next_due_at
                     ELSE coalesce(done.due_at, lanes.next_due_at) END
FROM (SELECT value ->> 0 AS id, value ->> 1 AS ended, value ->> 2 AS due_at FROM json_each(?1)) AS done
WHERE lanes.id = done.id
"""
_FIND_FAILING = """
SELECT id FROM notifications
WHERE id IN (SELECT value FROM json_each(?1)) AND (failure_streak <> 0 OR failing_since IS NOT NULL)
"""


def settle(batch: Batch) -> Plan[Moved]:
    """Move the deliveries whose lease still stands, and write down their attempts.

    Their lanes too, unless a notification has to be locked before them.
    """
    moves = batch.moves
    leases = _encode([(one.delivery_id, one.lease) for one in moves])
    (((found,),),) = yield ((_FIND_HELD, (leases,)),)
    held: Sequence[tuple[int, int, int]] = _decode(found)
    rows = [
        ((one := moves[place]).delivery_id, number, *one.attempt, batch.worker)
        for place, _, number in held
    ]
    statements = [*_changes(batch, held), *_attempts_of(list(chain.from_iterable(rows)))]
    statements.append((_FIND_FAILING, (_encode(list(batch.well)),)))
    failing = {row[0] for row in (yield statements)[-1]}
    if len(held) == len(moves):
        late: Sequence[int] = ()
    else:
        late = sorted(set(range(len(moves))) - {place for place, _, _ in held})
    settles_lanes = batch.settles_lanes and not failing
    if settles_lanes and held:
        ended = Counter([moves[place].lane_id for place, _, _ in held])
        dues: dict[str, int] = {}
        for place, _, _ in held:
            lane_id, due_at = moves[place].lane_id, moves[place].due_at
            if due_at is not None:
                dues[lane_id] = min(due_at, dues.get(lane_id, due_at))
        lanes = [(lane_id, count, dues.get(lane_id)) for lane_id, count in ended.items()]
        yield ((SETTLE_LANES, packed(lanes)),)
    return Moved(late, failing, has_settled_lanes=settles_lanes)


def _changes(batch: Batch, held: Sequence[tuple[int, int, int]]) -> Iterator[Statement]:
    """What moves these deliveries: one statement for all that end alike."""
    moves = batch.moves
    kinds = {(one.state, one.charge, one.code) for one in moves}
    for state, charge, code in kinds:
        alike = held
        if len(kinds) > 1:  # seldom
            kind = state, charge, code
            alike = [
                one
                for one in held
                if (moves[one[0]].state, moves[one[0]].charge, moves[one[0]].code) == kind
            ]
        if state == "waiting":
            rows = [(row_id, moves[place].due_at) for place, row_id, _ in alike]
            yield _WAIT_AGAIN, (_encode(rows), charge, code)
        else:
            ids = [row_id for _, row_id, _ in alike]
            yield _END, (_encode(ids), charge, code, state, batch.now)


def add_attempts(rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
    """Statements with their parameters that add these rows."""
    return _attempts_of(list(chain.from_iterable(rows)))


def _attempts_of(values: Sequence[Any]) -> Iterator[Statement]:
    """The same, given the values of one row after the other.

    Bodies are bytes, which JSON has not. So values are bound one at a time, in statements of a few fixed sizes
    that the driver keeps prepared.
    """
    first = 0
    for size in _ATTEMPTS_AT_ONCE:
        count = size * _ATTEMPT_WIDTH
        while len(values) - first >= count:
            yield _add_attempts(size), tuple(values[first : first + count])
            first += count


@cache
def _add_attempts(count: int) -> str:
    one = f"({', '.join('?' * _ATTEMPT_WIDTH)})"
    return f"""
INSERT INTO attempts (delivery_id, number, outcome, code, detail, fault, status, address, started_at,
                      duration_micros, phases, request_headers, response_headers, response_body, worker)
VALUES {", ".join([one] * count)}
"""  # noqa: S608 -- made of question marks


def add_events(rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
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
