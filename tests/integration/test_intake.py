"""Taking in events that programs report, over HTTP, on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import delete, select, text

from dockbell.api.intake.app import Limits
from dockbell.domain.errors import UnavailableError, UndoneError
from dockbell.store.tables import deliveries, events, tokens
from dockbell.store.transactions import Store, Tx
from tests.apps import alone, intake_of
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import World, add_repository, open_world

EVENTS = "/api/v2/events"
HOOK = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "https://example.org/hook"},
    "eventConfig": {},
}
PUSH = {"event": "repo_push", "repository": "acme/web", "data": {"updated_tags": ["v1"]}}
UNKNOWN = "There is no such repository, or you may not see it."
NO_WRITE = "You may not push to this repository, and so not report its events."
NO_SCOPE = "The token needs the scope repo:write to report events."


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def writer(world: World) -> Client:
    return await world.client("writer", "repo:write")


async def rows_of(store: Store, *columns: Any) -> list[tuple[Any, ...]]:
    async with store.read() as tx:
        return [tuple(row) for row in await tx.rows(select(*columns).order_by(*columns))]


async def ids_in(store: Store) -> list[str]:
    return [row[0] for row in await rows_of(store, events.c.id)]


async def listen(world: World, *, event: str = "repo_push", **config: object) -> None:
    """A notification on acme/web."""
    admin = await world.client("admin")
    hook = {**HOOK, "event": event, "eventConfig": config}
    answer = await admin.post("/api/v1/repository/acme/web/notification", hook)
    assert answer.status == 201, answer.body


def problem(status: int, kind: str, detail: str, *, field: str | None = None) -> object:
    """The problem object of API v2."""
    errors = {} if field is None else {"errors": [{"field": field, "message": detail}]}
    return {
        "type": f"https://dockbell.test/api/v1/error/{kind}",
        "title": kind.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        **errors,
    }


def field_of(told: Any) -> str:
    (error,) = told["errors"]
    assert error["message"] == told["detail"]
    field: str = error["field"]
    return field


def statuses(answer: Any) -> list[str]:
    assert answer.status == 202, answer.body
    return [one["status"] for one in answer.json()["events"]]


async def test_a_single_event_is_recorded_with_its_delivery(
    world: World, writer: Client, clock: SetClock
) -> None:
    await listen(world)

    answer = await writer.post(EVENTS, {**PUSH, "facts": {"digest": "sha256:1"}})

    (event_id,) = await ids_in(world.store)
    assert (answer.status, answer.json()) == (
        202,
        {"id": event_id, "status": "accepted", "deliveries": 1},
    )
    assert await rows_of(world.store, deliveries.c.event_id, deliveries.c.state) == [
        (event_id, "waiting")
    ]
    stored = await rows_of(
        world.store,
        events.c.kind,
        events.c.body,
        events.c.facts,
        events.c.performer_name,
        events.c.producer_key,
        events.c.occurred_at,
    )
    body = (
        b'{"repository": "acme/web", "namespace": "acme", "name": "web", "docker_url": "dockbell.test/acme/web", '
        b'"homepage": "https://dockbell.test/repository/acme/web", "updated_tags": ["v1"]}'
    )
    assert stored == [("repo_push", body, {"digest": "sha256:1"}, "writer", None, clock())]


async def test_an_event_says_who_and_when_and_shows_its_own_page(
    world: World, writer: Client
) -> None:
    answer = await writer.post(
        EVENTS,
        {
            "event": "build_failure",
            "repository": "acme/web",
            "occurred_at": "2026-03-14T12:30:00+01:00",
            "actor": {"name": "acme+ci", "kind": "robot"},
            "data": {
                "homepage": "https://ci.example.org/7",
                "build_id": "b7",
                "trigger_id": None,
            },
        },
    )

    assert answer.status == 202
    ((performer, kind, moment, body),) = await rows_of(
        world.store,
        events.c.performer_name,
        events.c.performer_kind,
        events.c.occurred_at,
        events.c.body,
    )
    assert (performer, kind, moment.isoformat()) == (
        "acme+ci",
        "robot",
        "2026-03-14T11:30:00+00:00",
    )
    assert list(json.loads(body).items())[4:] == [
        ("homepage", "https://ci.example.org/7"),
        ("build_id", "b7"),
        ("trigger_id", None),
    ]


async def test_the_body_is_kept_to_the_byte(world: World, writer: Client) -> None:
    """Reliability 17: order of keys, other scripts, large and broken numbers, NUL."""
    details = (
        '{"updated_tags": ["v1"], "z": 1, "a": "\\u00e4\\ud83d\\ude00\\u0000", "n": 9007199254740993, '
        '"m": 123456789012345678901234567890, "f": 1.10, "e": {"y": [], "b": {}}}'
    )
    sent = f'{{"event":"repo_push","repository":"acme/web","data":{details}}}'

    answer = await writer.post(
        EVENTS, body=sent.encode(), headers={"content-type": "application/json"}
    )

    assert answer.status == 202, answer.body
    ((body,),) = await rows_of(world.store, events.c.body)
    assert body.endswith(b", " + details[1:].replace("1.10", "1.1").encode())


async def test_filters_decide_who_gets_a_reported_event(world: World, writer: Client) -> None:
    await listen(world, event="build_success", **{"ref-regex": "refs/heads/main$"})
    build = {"event": "build_success", "repository": "acme/web"}

    answer = await writer.post(
        EVENTS,
        {
            "events": [
                {
                    **build,
                    "data": {"build_id": "1", "trigger_metadata": {"ref": "refs/heads/main"}},
                },
                {
                    **build,
                    "data": {"build_id": "2", "trigger_metadata": {"ref": "refs/heads/x"}},
                },
            ]
        },
    )

    assert [one["deliveries"] for one in answer.json()["events"]] == [1, 0]


async def test_a_batch_answers_each_event_in_order(world: World, writer: Client) -> None:
    await writer.post(EVENTS, {**PUSH, "id": "one"})
    (first,) = await ids_in(world.store)

    answer = await writer.post(
        EVENTS,
        {
            "events": [
                {**PUSH, "id": "one"},
                {**PUSH, "id": "two"},
                {**PUSH, "id": "two"},
                {**PUSH, "id": "one", "data": {"updated_tags": ["v2"]}},
                {**PUSH, "repository": "acme/nowhere"},
                {**PUSH, "repository": "admin/open"},
                {**PUSH, "event": "repo_pus"},
                7,
                PUSH,
            ]
        },
    )

    assert answer.status == 202
    told = answer.json()
    assert {name: told[name] for name in ("accepted", "duplicate", "refused")} == {
        "accepted": 2,
        "duplicate": 2,
        "refused": 5,
    }
    second, third = (one for one in await ids_in(world.store) if one != first)
    assert [(one["status"], one["id"]) for one in told["events"]] == [
        ("duplicate", first),
        ("accepted", second),
        ("duplicate", second),
        ("refused", None),
        ("refused", None),
        ("refused", None),
        ("refused", None),
        ("refused", None),
        ("accepted", third),
    ]
    assert [one["error"]["field"] for one in told["events"] if "error" in one] == [
        "id",
        "repository",
        "repository",
        "event",
        "body",
    ]
    assert [one["error"]["message"] for one in told["events"][4:6]] == [UNKNOWN, NO_WRITE]


async def test_five_hundred_events_are_taken_and_one_more_is_refused(
    world: World, writer: Client
) -> None:
    await listen(world)

    taken = await writer.post(EVENTS, {"events": [PUSH] * 500})
    refused = await writer.post(EVENTS, {"events": [PUSH] * 501})

    assert (taken.status, taken.json()["accepted"]) == (202, 500)
    assert len(await rows_of(world.store, deliveries.c.id)) == 500
    assert (refused.status, refused.json()) == (
        400,
        problem(
            400,
            "invalid_request",
            "events must hold 1 to 500 events, and holds 501",
            field="events",
        ),
    )
    assert len(await ids_in(world.store)) == 500


async def test_the_same_id_fifty_times_at_once_is_one_event(
    world: World, writer: Client
) -> None:
    """Reliability 10."""
    await listen(world)

    answers = await asyncio.gather(
        *(writer.post(EVENTS, {**PUSH, "id": "run-7"}) for _ in range(50))
    )

    (event_id,) = await ids_in(world.store)
    assert {answer.json()["id"] for answer in answers} == {event_id}
    assert sorted(answer.json()["status"] for answer in answers) == [
        "accepted",
        *["duplicate"] * 49,
    ]
    assert len(await rows_of(world.store, deliveries.c.id)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"updated_tags": ["v2"]}},
        {"data": {"updated_tags": ["v1", "v2"]}},
        {"facts": {"digest": "sha256:2"}},
        {"actor": "somebody"},
        {"repository": "acme/api"},
    ],
)
async def test_an_id_with_something_else_is_a_conflict(
    world: World, writer: Client, change: dict[str, object]
) -> None:
    """Reliability 11."""
    await writer.post(EVENTS, {**PUSH, "id": "run-7"})
    (event_id,) = await ids_in(world.store)

    answer = await writer.post(EVENTS, {**PUSH, "id": "run-7", **change})

    detail = (
        f"The event {event_id} has this id and tells something else. "
        "Send another event under an id of its own."
    )
    assert (answer.status, answer.json()) == (
        409,
        problem(409, "conflict", detail, field="id"),
    )
    assert await ids_in(world.store) == [event_id]


async def test_a_repeat_may_be_sent_with_another_time(world: World, writer: Client) -> None:
    await writer.post(EVENTS, {**PUSH, "id": "a"})

    answer = await writer.post(
        EVENTS, {**PUSH, "id": "a", "occurred_at": "2026-03-14T11:00:00Z"}
    )

    assert answer.json()["status"] == "duplicate"


async def test_an_id_is_free_again_when_its_event_is_gone(world: World, writer: Client) -> None:
    """Reliability 12."""
    await writer.post(EVENTS, {**PUSH, "id": "a"})
    async with world.store.begin() as tx:
        await tx.run(delete(events))

    answer = await writer.post(EVENTS, {**PUSH, "id": "a", "data": {"updated_tags": ["v9"]}})

    assert answer.json()["status"] == "accepted"


async def test_ids_of_different_namespaces_do_not_meet(world: World, writer: Client) -> None:
    admin = await world.client("admin")

    answers = [
        await writer.post(EVENTS, {**PUSH, "id": "same"}),
        await admin.post(EVENTS, {**PUSH, "id": "same", "repository": "admin/open"}),
    ]

    assert [answer.json()["status"] for answer in answers] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("name", "scope", "repository", "expected"),
    [
        ("writer", "repo:write", "acme/web", (202, None)),
        ("writer", "repo:admin", "acme/web", (202, None)),
        ("admin", "repo:write", "acme/web", (202, None)),
        ("boss", "repo:write", "acme/web", (202, None)),
        ("writer", "repo:read user:admin org:admin", "acme/web", (403, NO_SCOPE)),
        ("reader", "repo:admin", "acme/web", (403, NO_WRITE)),
        ("fresh", "repo:admin", "admin/open", (403, NO_WRITE)),
        ("fresh", "repo:admin", "acme/web", (404, UNKNOWN)),
        ("fresh", "repo:admin", "acme/nowhere", (404, UNKNOWN)),
        ("fresh", "repo:admin", "nobody/nowhere", (404, UNKNOWN)),
        ("boss", "repo:admin", "acme/nowhere", (404, UNKNOWN)),
    ],
)
async def test_reporting_takes_the_right_to_push(
    world: World, name: str, scope: str, repository: str, expected: tuple[int, str | None]
) -> None:
    client = await world.client(name, scope)

    answer = await client.post(EVENTS, {**PUSH, "repository": repository})

    assert (answer.status, answer.json().get("detail")) == expected
    assert len(await ids_in(world.store)) == (answer.status == 202)


QUOTA = {
    "event": "quota_warning",
    "data": {
        "threshold_percent": 80,
        "usage_bytes": 858993459,
        "limit_bytes": 1073741824,
        "usage_percent": 80,
        "usage_bytes_formatted": "819.20 MB",
        "limit_bytes_formatted": "1.00 GB",
    },
}


@pytest.mark.parametrize(
    ("name", "namespace", "status", "page"),
    [
        ("boss", "acme", 202, "https://dockbell.test/organization/acme"),
        ("boss", "boss", 202, "https://dockbell.test/user/boss"),
        ("admin", "acme", 404, None),
        ("fresh", "acme", 404, None),
        ("fresh", "nobody", 404, None),
    ],
)
async def test_an_event_of_a_namespace_takes_its_admin(
    world: World, name: str, namespace: str, status: int, page: str | None
) -> None:
    client = await world.client(name, "repo:write")

    answer = await client.post(EVENTS, {**QUOTA, "namespace": namespace})

    assert answer.status == status, answer.body
    pages = [
        json.loads(row[0])["homepage"] for row in await rows_of(world.store, events.c.body)
    ]
    assert pages == ([page] if page else [])


@pytest.mark.parametrize("token", [None, "short", "Z" * 40, "é" * 40])
async def test_nobody_reports_without_a_good_token(world: World, token: str | None) -> None:
    stranger = world.anonymous.with_token(token)

    answers = [
        await stranger.post(EVENTS, PUSH),
        await stranger.post(EVENTS, {"events": [PUSH, PUSH]}),
        await stranger.post(EVENTS, {"events": [7]}),
        await stranger.post(EVENTS, {**PUSH, "data": {"updated_tags": ["v" * 70_000]}}),
    ]

    expected = (401, problem(401, "invalid_token", "Requires authentication"), "Bearer")
    assert [
        (answer.status, answer.json(), answer.headers["www-authenticate"]) for answer in answers
    ] == [expected] * 4
    assert await ids_in(world.store) == []


async def test_a_token_that_ended_reports_nothing_more(
    world: World, writer: Client, clock: SetClock
) -> None:
    async with world.store.begin() as tx:
        await tx.run(tokens.update().values(expires_at=tx.now))
    clock.move(seconds=1)

    answer = await writer.post(EVENTS, PUSH)

    assert answer.status == 401


async def test_using_a_token_is_noted(world: World, writer: Client, clock: SetClock) -> None:
    await writer.post(EVENTS, PUSH)

    assert await rows_of(world.store, tokens.c.last_used_at) == [(clock(),)]


async def test_rights_of_a_batch_are_asked_in_the_same_number_of_statements(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.store.begin() as tx:
        for number in range(20):
            await add_repository(tx, "acme", f"r{number}", writer="write")
    counts = []
    hot = Tx.hot

    async def counted(self: Tx, sql: str, parameters: tuple[Any, ...] = ()) -> Any:
        counts.append(sql)
        return await hot(self, sql, parameters)

    monkeypatch.setattr(Tx, "hot", counted)

    await writer.post(EVENTS, PUSH)
    one = len(counts)
    many = await writer.post(
        EVENTS, {"events": [{**PUSH, "repository": f"acme/r{number}"} for number in range(20)]}
    )

    assert many.json()["accepted"] == 20
    # Who asks, what they may, and who wants to hear of it.
    assert (one, len(counts) - one) == (3, 3)


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        (b"", "body", "must be JSON in UTF-8"),
        (b"{", "body", "must be JSON in UTF-8"),
        (b"\xff", "body", "must be JSON in UTF-8"),
        (b'{"event": "\xff"}', "body", "must be JSON in UTF-8"),
        (b"[]", "body", "is not right: expected `object`, got `array`"),
        (b"null", "body", "is not right: expected `object`, got `null`"),
        (b"{}", "event", "is missing: one of build_cancelled"),
        (b'{"events": []}', "events", "must hold 1 to 500 events, and holds 0"),
        (b'{"events": {}}', "events", "is not right: expected `array`, got `object`"),
        (b'{"events": [1], "id": "a"}', "events", "stands alone"),
        (b'{"event": 1}', "event", "is not right: expected `str`, got `int`"),
        (b'{"evnt": "a"}', "evnt", "is not known here (did you mean event?)"),
    ],
)
async def test_a_body_that_is_not_right_names_what_is_wrong(
    world: World, writer: Client, sent: bytes, field: str, said: str
) -> None:
    answer = await writer.post(
        EVENTS, body=sent, headers={"content-type": "application/json", "content-length": "9"}
    )

    told = answer.json()
    assert (answer.status, field_of(told), told["detail"].startswith(f"{field} {said}")) == (
        400,
        field,
        True,
    ), told
    assert await ids_in(world.store) == []


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"event": "repo_pus"}, "event", "`repo_pus` is not a kind of event (did you mean"),
        ({"repository": "web"}, "repository", "`web` is not the name of one"),
        ({"repository": "acme/"}, "repository", "`acme/` is not the name of one"),
        ({"repository": "Acme/web"}, "repository", "`Acme/web` is not the name of one"),
        ({"repository": "acme/a\0b"}, "repository", "`acme/a\0b` is not the name of one"),
        ({"repository": None}, "repository", "is not right: expected `str`, got `null`"),
        ({"namespace": "acme"}, "repository", "must be given as `namespace/name`, and"),
        ({"id": ""}, "id", "must have 1 to 200 characters"),
        ({"id": "x" * 201}, "id", "must have 1 to 200 characters"),
        ({"id": "a\nb"}, "id", "must have 1 to 200 characters"),
        ({"id": 7}, "id", "is not right: expected `str | null`, got `int`"),
        ({"occurred_at": "yesterday"}, "occurred_at", "is not right: invalid RFC3339"),
        ({"occurred_at": "2026-03-14T11:00:00"}, "occurred_at", "is not right: expected `date"),
        ({"occurred_at": "1999-12-31T23:59:59Z"}, "occurred_at", "must lie between"),
        ({"occurred_at": "2026-03-15T12:00:01Z"}, "occurred_at", "must lie between"),
        ({"occurred_at": "0001-01-01T00:00:00+23:59"}, "occurred_at", "must lie between"),
        ({"actor": ""}, "actor", "must have 1 to 255 characters"),
        ({"actor": "a\0"}, "actor", "must have 1 to 255 characters"),
        ({"actor": {"name": "a", "kind": "team"}}, "actor.kind", "is not right: invalid enum"),
        ({"actor": {"kind": "user"}}, "actor.name", "is missing"),
        ({"actor": {"name": "a", "mail": ""}}, "actor.mail", "is not known here"),
        ({"data": []}, "data", "must be an object"),
        ({"data": None}, "data", "must be an object"),
        ({"data": {}}, "data.updated_tags", "is missing: repo_push needs a list of strings"),
        ({"data": {"updated_tags": []}}, "data.updated_tags", "must be a list of strings"),
        ({"data": {"updated_tags": None}}, "data.updated_tags", "must be a list of strings"),
        ({"data": {"updated_tags": [1]}}, "data.updated_tags", "must be a list of strings"),
        (
            {"data": {"updated_tags": ["a"], "pruned_image_count": "3"}},
            "data.pruned_image_count",
            "must be a number",
        ),
        (
            {"data": {"updated_tags": ["a"], "repository": "other/thing"}},
            "data.repository",
            "must be left out, or be `acme/web`",
        ),
        (
            {"data": {"updated_tags": ["a"], "homepage": "javascript:alert(1)"}},
            "data.homepage",
            "must be an http or https address",
        ),
        (
            {"data": {"updated_tags": ["x" * (256 << 10)]}},
            "data",
            "must not be larger than 262144 bytes",
        ),
        (
            {"data": {"updated_tags": ["é" * (60 << 10)]}},
            "data",
            "must not be larger than 262144 bytes",
        ),
        ({"facts": {"a": "x" * (16 << 10)}}, "facts", "must not be larger than 16384 bytes"),
        ({"facts": {"sample": True}}, "facts.sample", "is dockbell's own"),
        ({"facts": "x"}, "facts", "must be an object"),
    ],
)
async def test_an_event_that_is_not_right_names_the_field_and_what_would_be(
    world: World, writer: Client, change: dict[str, object], field: str, said: str
) -> None:
    single = await writer.post(EVENTS, {**PUSH, **change})
    batch = await writer.post(EVENTS, {"events": [PUSH, {**PUSH, **change}]})

    told = single.json()
    assert (single.status, field_of(told), told["detail"].startswith(f"{field} {said}")) == (
        400,
        field,
        True,
    ), told
    assert statuses(batch) == ["accepted", "refused"]
    assert batch.json()["events"][1]["error"] == {"field": field, "message": told["detail"]}


@pytest.mark.parametrize("levels", [33, 900, 100_000])
async def test_what_is_nested_too_deeply_is_refused(
    world: World, writer: Client, levels: int
) -> None:
    deep = "[" * levels + "]" * levels
    sent = (
        '{"event":"repo_push","repository":"acme/web","data":{"updated_tags":["a"],"x":'
        + deep
        + "}}"
    )

    answer = await writer.post(
        EVENTS, body=sent.encode(), headers={"content-type": "application/json"}
    )

    assert answer.status == 400
    assert field_of(answer.json()) in {"data", "body"}
    assert await ids_in(world.store) == []


@pytest.mark.parametrize("number", ["1e999", "9" * 5000, "1" + "0" * 4400])
async def test_numbers_that_nobody_can_hold_are_refused(
    world: World, writer: Client, number: str
) -> None:
    sent = f'{{"event":"repo_push","repository":"acme/web","data":{{"updated_tags":["a"],"n":{number}}}}}'

    answer = await writer.post(
        EVENTS, body=sent.encode(), headers={"content-type": "application/json"}
    )

    assert answer.status in {202, 400}
    assert len(await ids_in(world.store)) == (answer.status == 202)


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        (
            {"content-type": "text/plain"},
            "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.",
        ),
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            "Send the body as it is: no Content-Encoding is taken here.",
        ),
    ],
)
async def test_a_body_that_is_no_plain_json_is_415(
    writer: Client, headers: dict[str, str], detail: str
) -> None:
    answer = await writer.post(EVENTS, body=b"{}", headers=headers)

    assert (answer.status, answer.json()) == (
        415,
        problem(415, "unsupported_media_type", detail),
    )
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", [{}, {"content-length": "chunked"}])
async def test_a_body_above_the_limit_is_413_and_nothing_is_stored(
    world: World, writer: Client, length: dict[str, str]
) -> None:
    """Reliability 18."""
    app = alone(intake_of(world.store, world.faces, limits=Limits(body=1000)))
    small = Client(app, writer.token)
    body = json.dumps({"events": [PUSH] * 20}).encode()
    headers = {"content-type": "application/json", **length}

    answer = await small.post(EVENTS, body=body, headers=headers)

    assert (answer.status, answer.json()["detail"]) == (
        413,
        "The body is larger than 1000 bytes. Send fewer events at a time.",
    )
    assert await ids_in(world.store) == []


async def test_a_flood_is_sent_away_with_a_time_and_all_that_was_accepted_is_there(
    world: World, writer: Client
) -> None:
    """Reliability 19."""
    app = alone(intake_of(world.store, world.faces, most_waiting=20))
    flood = Client(app, writer.token)

    answers = await asyncio.gather(
        *(flood.post(EVENTS, {**PUSH, "id": f"e{number}"}) for number in range(200))
    )
    later = await flood.post(EVENTS, {**PUSH, "id": "later"})

    accepted = [answer.json()["id"] for answer in answers if answer.status == 202]
    refused = [answer for answer in answers if answer.status != 202]
    assert {(answer.status, answer.headers["retry-after"]) for answer in refused} == {
        (429, "1")
    }
    assert len(accepted) >= 10
    assert sorted([*accepted, later.json()["id"]]) == await ids_in(world.store)


async def test_one_callers_flood_leaves_room_for_others(world: World, writer: Client) -> None:
    app = alone(intake_of(world.store, world.faces, most_waiting=20))
    other = await world.client("boss", "repo:write")

    *answers, others = await asyncio.gather(
        *(Client(app, writer.token).post(EVENTS, PUSH) for _ in range(50)),
        Client(app, other.token).post(EVENTS, PUSH),
    )

    assert {answer.status for answer in answers} == {202, 429}
    assert others.status == 202


async def test_a_flood_of_large_bodies_is_sent_away(world: World, writer: Client) -> None:
    app = alone(
        intake_of(world.store, world.faces, limits=Limits(body=100_000, all_bodies=150_000))
    )
    large = {**PUSH, "data": {"updated_tags": ["x" * 60_000]}}

    answers = await asyncio.gather(
        *(Client(app, writer.token).post(EVENTS, large) for _ in range(10))
    )
    later = await Client(app, writer.token).post(EVENTS, large)

    assert {answer.status for answer in answers} == {202, 429}
    assert later.status == 202
    accepted = sum(answer.status == 202 for answer in [*answers, later])
    assert len(await ids_in(world.store)) == accepted


async def test_requests_that_come_together_share_a_transaction(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = 0
    begin = world.store.begin

    @asynccontextmanager
    async def counted() -> AsyncIterator[Tx]:
        nonlocal begun
        begun += 1
        async with begin() as tx:
            yield tx

    monkeypatch.setattr(world.store, "begin", counted)

    answers = await asyncio.gather(*(writer.post(EVENTS, PUSH) for _ in range(40)))

    assert {answer.status for answer in answers} == {202}
    assert begun <= 4


async def test_who_comes_when_a_group_has_just_ended_is_served(
    world: World, writer: Client
) -> None:
    async def one_after_another() -> list[int]:
        return [(await writer.post(EVENTS, PUSH)).status for _ in range(20)]

    async with asyncio.timeout(60):
        done = await asyncio.gather(*(one_after_another() for _ in range(5)))

    assert done == [[202] * 20] * 5


async def test_one_event_that_the_database_refuses_fails_alone(
    world: World, writer: Client
) -> None:
    """A rule in the database stands for whatever we do not foresee."""
    async with world.store.begin() as tx:
        if world.store.is_sqlite:
            await tx.run(
                text(
                    "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN instr(NEW.body, 'poison') > 0 "
                    "BEGIN SELECT RAISE(ABORT, 'CHECK'); END"
                )
            )
        else:
            await tx.run(
                text(
                    "ALTER TABLE events ADD CONSTRAINT refuse CHECK (position('poison'::bytea IN body) = 0)"
                )
            )
    poison = {**PUSH, "data": {"updated_tags": ["poison"]}}
    try:
        answers = await asyncio.gather(
            writer.post(EVENTS, PUSH),
            writer.post(EVENTS, poison),
            writer.post(EVENTS, {"events": [PUSH, poison, PUSH]}),
        )
    finally:
        if not world.store.is_sqlite:
            async with world.store.begin() as tx:
                await tx.run(text("ALTER TABLE events DROP CONSTRAINT refuse"))

    assert [answer.status for answer in answers] == [202, 500, 202]
    assert statuses(answers[2]) == ["accepted", "refused", "accepted"]
    assert len(await ids_in(world.store)) == 3


async def test_what_others_undid_is_done_again(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, undone = world.store.begin, []

    @asynccontextmanager
    async def contended() -> AsyncIterator[Tx]:
        async with begin() as tx:
            yield tx
            if len(undone) < 2:
                undone.append(tx)
                raise UndoneError

    monkeypatch.setattr(world.store, "begin", contended)

    answer = await writer.post(EVENTS, {"events": [PUSH, PUSH]})

    assert statuses(answer) == ["accepted", "accepted"]
    assert sorted(one["id"] for one in answer.json()["events"]) == await ids_in(world.store)


async def test_what_is_undone_every_time_is_503(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def contended() -> AsyncIterator[Tx]:
        raise UndoneError
        yield

    monkeypatch.setattr(world.store, "begin", contended)

    answer = await writer.post(EVENTS, PUSH)

    assert answer.status == 503


async def test_a_database_that_is_away_is_503_with_a_time(
    world: World, writer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def away() -> AsyncIterator[Tx]:
        raise UnavailableError
        yield

    monkeypatch.setattr(world.store, "begin", away)

    answer = await writer.post(EVENTS, PUSH)

    assert (answer.status, answer.headers["retry-after"], answer.json()) == (
        503,
        "5",
        problem(503, "unavailable", "The server cannot answer now. Try again soon."),
    )


async def test_the_engine_is_woken_after_the_commit(world: World, writer: Client) -> None:
    rung = []
    world.store.bell = lambda: rung.append("bell")
    await writer.post(EVENTS, PUSH)
    silent = list(rung)
    await listen(world)

    await writer.post(EVENTS, PUSH)

    assert (silent, rung) == ([], ["bell"])


async def test_other_verbs_at_the_address_are_not_the_intakes(world: World) -> None:
    admin = await world.client("admin")

    answers = [
        await admin.get(f"{EVENTS}?repository=acme/web"),
        await admin.put(EVENTS, PUSH),
    ]

    assert [answer.status for answer in answers] == [200, 405]


async def test_a_slash_at_the_end_changes_nothing(writer: Client) -> None:
    answer = await writer.post(f"{EVENTS}/", PUSH)

    assert answer.status == 202
