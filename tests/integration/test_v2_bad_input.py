"""What no program should send to API v2: each gets 400 with the field, on both databases, and changes nothing."""

import json

import pytest
from sqlalchemy import select

from dockbell.store import tables
from dockbell.store.transactions import Store
from tests import records
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.world import World, open_world

ALL = "/api/v2/notifications"
NEW = {
    "repository": "acme/web",
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "https://hooks.test/x"},
}
NUL = "Text must not hold the character U+0000"
JSON = {"content-type": "application/json"}
NO_JSON = "The body is not valid JSON."


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def everything_in(store: Store) -> str:
    """Every row of every table, as text."""
    async with store.read() as tx:
        found = [await tx.rows(select(table)) for table in tables.metadata.sorted_tables]
    return repr([[tuple(row) for row in rows] for rows in found])


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["detail"]


def errors_of(answer: Answer) -> tuple[int, list[tuple[str, str]]]:
    shown = answer.json()
    return answer.status, [(one["field"], one["message"]) for one in shown.get("errors", ())]


@pytest.mark.parametrize("text", ["\0", "a\0b"])
async def test_text_with_nul_is_refused_wherever_it_stands(
    world: World, admin: Client, text: str
) -> None:
    one = f"{ALL}/{await records.add_notification(world.store)}"
    event = await records.push(world)
    before = await everything_in(world.store)

    answers = [
        await admin.send(verb, path, value)
        for verb, path, value in (
            ("POST", ALL, {**NEW, "title": text}),
            ("POST", ALL, {**NEW, "config": {"url": "https://hooks.test/x", text: 1}}),
            ("POST", ALL, {**NEW, "event_config": {"a": [{"b": text}]}}),
            ("PATCH", one, {"title": text}),
            ("PATCH", one, {text: 1}),
            ("POST", f"{one}/copy", {"repository": "acme/api", "title": text}),
            ("POST", f"{one}/preview", {"event_config": {"a": text}}),
            ("PUT", f"{one}/message", {"payload_form": text}),
            ("POST", f"{one}/signing-secrets", {"kind": "github", "secret": text * 20}),
            ("POST", "/api/v2/redelivery-jobs", {"repository": "acme/web", "code": [text]}),
            ("POST", f"/api/v2/events/{event}/replay", {"notification": text}),
        )
    ]

    assert [said(answer) for answer in answers] == [(400, NUL)] * len(answers)
    assert await everything_in(world.store) == before


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b'"\xed\xa0\x80"', NO_JSON),  # half of a pair of UTF-16
        (b'"\\ud800"', NO_JSON),
        (b'"\xff"', NO_JSON),
        (b"NaN", NO_JSON),
        (b"1e999", NO_JSON),
        (b"9" * 5000, NO_JSON),
        (b"[" * 6000 + b"]" * 6000, "The body is nested too deeply."),
        (b"[" * 60 + b"]" * 60, "'config' is nested deeper than 32 levels"),
    ],
)
async def test_a_body_that_no_program_writes_is_refused(
    world: World, admin: Client, value: bytes, detail: str
) -> None:
    one = f"{ALL}/{await records.add_notification(world.store)}"
    config = b'{"config": {"url": "https://hooks.test/x", "a": ' + value + b"}"
    rest = json.dumps(NEW).encode().replace(b'"config"', b'"event_config"')[1:]
    before = await everything_in(world.store)

    answers = [
        await admin.send("PATCH", one, body=config + b"}", headers=JSON),
        await admin.send("POST", ALL, body=config + b", " + rest, headers=JSON),
        await admin.send("POST", f"{ALL}/preview", body=config + b", " + rest, headers=JSON),
    ]

    assert [said(answer) for answer in answers] == [(400, detail)] * 3
    assert await everything_in(world.store) == before


async def test_figures_at_the_edges_of_time_are_answered_or_refused(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    await records.push(world)
    await records.try_all(world.store)
    clock.move(seconds=1)
    since = "2026-03-14T11:59:59.999999Z"
    too_long = "The time must be above zero and at most 31 days"

    answers = {
        query: errors_of(await admin.get(f"/api/v2/stats?repository=acme/web&{query}"))
        for query in (
            "until=0001-01-01T00:00:01Z",
            "since=9999-12-31T23:59:58-23:59&until=9999-12-31T23:59:59-23:59",
            "since=0001-01-01T00:00:00%2B23:59&until=0001-01-01T00:00:01%2B23:59",
            f"since={since}&until=2026-03-14T12:00:00.000001Z&spans=200",
            f"since={since}&until={since}",
            "since=0001-01-01T00:00:00Z",
        )
    }

    assert list(answers.values()) == [
        (400, [("until", "A day before it is no time")]),
        (200, []),
        (200, []),
        (400, [("spans", "A span must be a microsecond or longer")]),
        (400, [("since", too_long)]),
        (400, [("since", too_long)]),
    ]


async def test_a_cursor_beyond_any_number_of_tries_is_none_of_ours(
    world: World, admin: Client
) -> None:
    await records.add_notification(world.store)
    event = await records.push(world)
    await records.try_all(world.store)
    (delivery,) = await records.deliveries_of(world.store, event)

    answers = [
        await admin.get(f"/api/v2/deliveries/{delivery}/attempts?cursor={cursor}")
        for cursor in (
            "OTk5OTk5OTk5OQ",
            "MjE0NzQ4MzY0OA",
            "MjE0NzQ4MzY0Nw",
        )  # 9999999999, 2³¹, 2³¹-1
    ]

    wrong = (400, [("cursor", "This is not a cursor of ours")])
    assert [errors_of(answer) for answer in answers] == [wrong, wrong, (200, [])]


FIELDS = (
    "repository, namespace, instance, state, notification, event_id, event, trigger, status_class, code, since, "
    "until, dry_run"
)
A_TIME = "It must be a time with its zone, such as 2026-03-14T12:00:00Z"
STATES = "waiting, sending, delivered, dead, cancelled, expired"


@pytest.mark.parametrize(
    ("verb", "path", "body", "field", "message"),
    [
        ("GET", "deliveries?state=due", None, "state", f"'due' is not one of {STATES}"),
        ("GET", "deliveries?state=dead&state=due", None, "state", f"'due' is not one of {STATES}"),
        ("GET", "deliveries?trigger=x", None, "trigger", "'x' is not one of event, test, redeliver"),
        ("GET", "deliveries?status_class=6xx", None, "status_class", "'6xx' is not one of 2xx, 3xx, 4xx, 5xx"),
        ("GET", "deliveries?limit=x", None, "limit", "It must be a whole number, not text"),
        ("GET", "notifications?show=all", None, "show", "'all' is not one of config"),
        ("POST", "redelivery-jobs", {"repository": "acme/web", "state": ["dead", "due"]}, "state[1]", f"'due' is not one of {STATES}"),
        ("POST", "redelivery-jobs", {"repository": "acme/web", "status_class": 7}, "status_class", "It must be one of 2xx, 3xx, 4xx, 5xx, not a whole number"),
        ("POST", "notifications", {"repository": "acme/web", "event": "repo_push", "config": {}}, "method", "It is missing"),
        ("POST", "redelivery-jobs", {"repository": "acme/web", "stat": []}, "stat", f"It is not known here. The fields are {FIELDS}"),
        ("POST", "redelivery-jobs", {"repository": 7}, "repository", "It must be text or null, not a whole number"),
        ("POST", "redelivery-jobs", {"repository": "acme/web", "since": "noon"}, "since", A_TIME),
        ("GET", "deliveries?repository=acme/web&since=noon", None, "since", A_TIME),
        ("POST", "redelivery-jobs", {"repository": "acme/web", "dry_run": "yes"}, "dry_run", "It must be true or false, not text"),
        ("POST", "notifications", {**NEW, "event": ""}, "event", "It must be text of at least 1 character"),
        ("POST", "notifications", {**NEW, "events": []}, "events", "It must be a list of at least 1 item"),
        ("POST", "redelivery-jobs", [], "body", "It must be an object, not a list"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_with_its_field_and_what_would_be_right(
    admin: Client, verb: str, path: str, body: object, field: str, message: str
) -> None:
    answer = await (
        admin.get(f"/api/v2/{path}")
        if body is None
        else admin.send(verb, f"/api/v2/{path}", body)
    )

    assert errors_of(answer) == (400, [(field, message)])
    assert answer.json()["detail"] == f"{field}: {message}"


async def test_an_empty_body_is_called_so(world: World, admin: Client) -> None:
    one = f"{ALL}/{await records.add_notification(world.store)}"
    event = await records.push(world)

    answers = [
        await admin.send(verb, path, body=b"", headers=JSON)
        for verb, path in (
            ("POST", ALL),
            ("PATCH", one),
            ("POST", f"{one}/copy"),
            ("POST", "/api/v2/redelivery-jobs"),
            ("POST", f"/api/v2/events/{event}/replay"),
            ("POST", "/api/v2/repositories/acme/web/builds"),
        )
    ]

    empty = ("body", "The body is empty: it must be a JSON object")
    assert [errors_of(answer) for answer in answers] == [(400, [empty])] * len(answers)


@pytest.mark.parametrize("declared", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_a_body_that_is_not_declared_as_json_is_415(
    world: World, admin: Client, declared: str
) -> None:
    one = f"{ALL}/{await records.add_notification(world.store)}"
    before = await everything_in(world.store)
    headers = {"content-type": declared}

    answers = [
        await admin.send(verb, path, NEW, headers=headers)
        for verb, path in (("POST", ALL), ("PATCH", one), ("POST", f"{one}/copy"))
    ]

    wrong = {
        "type": "https://dockbell.test/api/v1/error/unsupported_media_type",
        "title": "Unsupported media type",
        "status": 415,
        "detail": "Did not attempt to load JSON data because the request Content-Type was not 'application/json'.",
    }
    assert [(answer.status, answer.json()) for answer in answers] == [(415, wrong)] * 3
    assert {answer.headers["content-type"] for answer in answers} == {
        "application/problem+json"
    }
    assert await everything_in(world.store) == before


async def test_a_call_without_a_body_needs_no_content_type(world: World, admin: Client) -> None:
    one = f"{ALL}/{await records.add_notification(world.store)}"

    answer = await admin.send("POST", f"{one}/pause", headers={"content-type": "text/plain"})

    assert answer.status == 200
