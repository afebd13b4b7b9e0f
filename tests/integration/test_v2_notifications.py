"""Notifications of API v2: making, changing, pausing, testing, copying, and who may."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.masks import MASK
from dockbell.store import breakers, lanes, throttles
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues, records
from tests.accounts import Statements
from tests.asgi import Answer, Client
from tests.conftest import SetClock
from tests.world import World, open_world

BASE = "/api/v2/notifications"
URL = "https://hooks.test/the-secret"
HOST = "hooks.test:443"
NEW: dict[str, Any] = {
    "repository": "acme/web",
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": URL},
    "title": "ci",
}

FIELDS = "repository, namespace, instance, event, events, method, config, event_config, filter, payload_form, title, rate_limit, in_order, tls"
RATES = "A rate limit is between 0.01 and 1000 deliveries per second, or null for none."


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(client: Client, **changes: Any) -> dict[str, Any]:
    answer = await client.post(BASE, {**NEW, **changes})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.json()["notification"]
    return made


def errors_of(answer: Answer) -> list[tuple[str, str]]:
    return [(one["field"], one["message"]) for one in answer.json().get("errors", ())]


async def test_a_new_one_is_shown_masked_with_its_secret_once(
    world: World, admin: Client
) -> None:
    answer = await admin.post(BASE, NEW)

    shown = answer.json()
    made = shown["notification"]
    assert answer.status == 201
    assert shown["signing_secret"].startswith("whsec_")
    assert made == {
        "id": made["id"],
        "uuid": made["uuid"],
        "scope": "repository",
        "namespace": "acme",
        "repository": "acme/web",
        "event": "repo_push",
        "events": ["repo_push"],
        "event_config": {},
        "filter": None,
        "payload_form": "quay",
        "method": "webhook",
        "title": "ci",
        "target": "https://hooks.test/…",
        "config": {"url": MASK},
        "tls": None,
        "state": "active",
        "pause_reason": None,
        "pause_sentence": None,
        "paused_at": None,
        "failing_since": None,
        "failure_streak": 0,
        "rate_limit": None,
        "in_order": False,
        "created_at": "2026-03-14T12:00:00Z",
    }
    assert made["id"].startswith("ntf_")
    again = await admin.get(f"{BASE}/{made['id']}")
    assert again.json() == made
    assert "the-secret" not in again.body.decode() + answer.body.decode()


async def test_an_admin_sees_the_config_if_they_ask_for_it(admin: Client) -> None:
    made = await make(admin)

    one = await admin.get(f"{BASE}/{made['id']}?show=config")
    listed = await admin.get(f"{BASE}?repository=acme/web&show=config")

    assert one.json()["config"] == {"url": URL}
    assert listed.json()["items"] == [one.json()]


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"config": {}}, [("url", "Missing webhook URL")]),
        ({"config": {"url": "ftp://x"}}, [("url", "Invalid webhook URL")]),
        (
            {"colour": 1},
            [
                ("colour", f"It is not known here. The fields are {FIELDS}"),
            ],
        ),
        ({"config": []}, [("config", "It must be an object, not a list")]),
        ({"rate_limit": {"per_second": 0}}, [("rate_limit", RATES)]),
        ({"rate_limit": {"per_second": -5}}, [("rate_limit", RATES)]),
        ({"rate_limit": {"per_second": 1000.1}}, [("rate_limit", RATES)]),
        (
            {"rate_limit": 5},
            [("rate_limit", "It must be an object or null, not a whole number")],
        ),
        (
            {"rate_limit": {"per_second": "fast"}},
            [("rate_limit.per_second", "It must be a number, not text")],
        ),
        ({"title": "x" * 1025}, [("title", "It must be text of at most 1024 characters")]),
    ],
)
async def test_a_wrong_body_is_refused_with_the_field(
    world: World, admin: Client, change: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    answer = await admin.post(BASE, {**NEW, **change})

    assert (answer.status, errors_of(answer)) == (400, errors)
    assert await queues.rows(world.store, select(t.notifications.c.id)) == []


async def test_a_body_that_is_nested_without_end_is_refused(admin: Client) -> None:
    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    body = (
        b'{"repository":"acme/web","event":"repo_push","method":"webhook","config":%b}' % deep
    )

    answer = await admin.send(
        "POST", BASE, body=body, headers={"content-type": "application/json"}
    )

    assert answer.status == 400, answer.body


async def test_lists_are_of_a_repository_or_of_a_namespace_in_pages(
    world: World, admin: Client
) -> None:
    made = [
        (await make(admin, repository=path))["id"]
        for path in ("acme/web", "acme/api", "acme/web")
    ]
    boss = await world.client("boss")

    of_repository = (await admin.get(f"{BASE}?repository=acme/web")).json()
    first = (await boss.get(f"{BASE}?namespace=acme&limit=2")).json()
    second = (
        await boss.get(f"{BASE}?namespace=acme&limit=2&cursor={first['next_cursor']}")
    ).json()

    assert [item["id"] for item in of_repository["items"]] == [made[0], made[2]]
    assert [(item["id"], item["repository"]) for item in first["items"]] == [
        (made[0], "acme/web"),
        (made[1], "acme/api"),
    ]
    assert ([item["id"] for item in second["items"]], second["next_cursor"]) == (
        [made[2]],
        None,
    )
    assert (await admin.get(f"{BASE}?namespace=acme")).status == 403
    assert errors_of(await admin.get(BASE)) == [
        ("repository", "Name a repository, a namespace or the instance")
    ]


@pytest.mark.parametrize("query", ["repository=acme/web", "namespace=acme"])
async def test_a_list_takes_the_same_number_of_queries_for_one_row_and_three(
    world: World, query: str
) -> None:
    boss = await world.client("boss")
    await make(boss)
    statements = Statements.of(world.store)
    await boss.get(f"{BASE}?{query}")
    for_one = statements.take()
    await make(boss)
    await make(boss)
    statements.take()

    answer = await boss.get(f"{BASE}?{query}")

    assert len(answer.json()["items"]) == 3
    assert statements.take() == for_one


async def test_a_change_keeps_what_it_leaves_out(world: World, admin: Client) -> None:
    made = await make(admin, config={"url": URL, "template": '{"a": "${name}"}'})
    one = f"{BASE}/{made['id']}"

    titled = await admin.send("PATCH", one, {"title": None})
    moved = await admin.send("PATCH", one, {"url": "https://new.test/x"})
    back = await admin.send("PATCH", one, {"config": moved.json()["notification"]["config"]})

    assert [answer.status for answer in (titled, moved, back)] == [200, 200, 200]
    shown = (await admin.get(f"{one}?show=config")).json()
    assert shown == {
        **made,
        "title": None,
        "target": "https://new.test/…",
        "config": {"url": "https://new.test/x", "template": '{"a": "${name}"}'},
    }
    assert back.json()["signing_secret"] is None


@pytest.mark.parametrize(
    ("held_by", "held_for"),
    [
        (throttles.ASKED, "retry_after"),
        (throttles.PACED, "rate_limit"),
        (lanes.IN_ORDER, "order"),
        (HOST, "host"),
    ],
)
async def test_the_standing_says_why_nothing_is_sent_for_a_while(
    world: World, admin: Client, clock: SetClock, held_by: str, held_for: str
) -> None:
    made = await make(admin)
    await records.push(world)
    one = f"{BASE}/{made['id']}"
    async with world.store.begin() as tx:
        await throttles.hold(tx, {made["id"]: clock() + timedelta(minutes=5)}, held_by)

    held = (await admin.get(f"{one}/standing")).json()
    clock.move(minutes=5)
    after = (await admin.get(f"{one}/standing")).json()

    assert (held["held_until"], held["held_for"]) == ("2026-03-14T12:05:00Z", held_for)
    assert (after["held_until"], after["held_for"], after["waiting"]) == (None, None, 1)


async def test_a_change_lifts_what_the_old_target_asked_for(
    world: World, admin: Client, clock: SetClock
) -> None:
    made = await make(admin)
    await records.push(world)
    one = f"{BASE}/{made['id']}"
    async with world.store.begin() as tx:
        await throttles.hold(tx, {made["id"]: clock() + timedelta(minutes=5)})

    await admin.send("PATCH", one, {"url": "https://new.test/x"})

    assert (await admin.get(f"{one}/standing")).json()["held_until"] is None
    assert len(await queues.lease(world.store)) == 1


async def _open_breaker(world: World, clock: SetClock, *held: str) -> None:
    until = clock() + timedelta(minutes=10)
    async with world.store.begin() as tx:
        await breakers.open_for(tx, HOST, "http_5xx", until)
        await lanes.hold(tx, dict.fromkeys(held, until), HOST)


async def _take_trial(world: World, clock: SetClock) -> bool:
    async with world.store.begin() as tx:
        return await breakers.take_trial(tx, HOST, clock() + timedelta(seconds=20))


async def test_to_resume_one_allows_its_host_a_trial_and_takes_it(
    world: World, admin: Client, clock: SetClock
) -> None:
    made, other = await make(admin), await make(admin)
    await records.push(world)
    await _open_breaker(world, clock, made["id"], other["id"])
    early = await _take_trial(world, clock), await queues.lease(world.store)

    await admin.post(f"{BASE}/{made['id']}/resume")

    leased = await queues.lease(world.store)
    assert early == (False, ())
    assert [order.notification_id for order in leased] == [made["id"]]
    assert [await _take_trial(world, clock) for _ in range(2)] == [True, False]


async def test_to_delete_one_allows_others_a_trial_of_its_host(
    world: World, admin: Client, clock: SetClock
) -> None:
    failing, well = await make(admin), await make(admin)
    await records.push(world)
    await _open_breaker(world, clock, failing["id"], well["id"])

    await admin.send("DELETE", f"{BASE}/{failing['id']}")

    leased = await queues.lease(world.store)
    assert [order.notification_id for order in leased] == [well["id"]]
    assert await _take_trial(world, clock)


async def test_a_rate_limit_is_set_changed_copied_and_taken_away(
    world: World, admin: Client
) -> None:
    made = await make(admin, rate_limit={"per_second": 5})
    one = f"{BASE}/{made['id']}"
    kept = await admin.send("PATCH", one, {"title": "new"})
    slower = await admin.send("PATCH", one, {"rate_limit": {"per_second": 0.5}})
    copy = await admin.post(f"{one}/copy", {"repository": "acme/web"})
    none = await admin.send("PATCH", one, {"rate_limit": None})

    rates = [
        answer.json()["notification"]["rate_limit"] for answer in (kept, slower, copy, none)
    ]
    assert [made["rate_limit"], *rates] == [
        {"per_second": 5.0},
        {"per_second": 5.0},
        {"per_second": 0.5},
        {"per_second": 0.5},
        None,
    ]


async def test_order_is_set_changed_copied_and_taken_away(world: World, admin: Client) -> None:
    made = await make(admin, in_order=True)
    one = f"{BASE}/{made['id']}"
    kept = await admin.send("PATCH", one, {"title": "new"})
    copy = await admin.post(f"{one}/copy", {"repository": "acme/web"})
    for _ in range(3):
        await records.push(world)
    ordered = await queues.lease(world.store)
    await queues.settle(world.store, [queues.result_of(order) for order in ordered])
    none = await admin.send("PATCH", one, {"in_order": False})
    beside = await queues.lease(world.store)

    shown = [answer.json()["notification"]["in_order"] for answer in (kept, copy, none)]
    assert (made["in_order"], shown) == (True, [True, True, False])
    copied = copy.json()["notification"]["id"]
    assert sorted(order.notification_id for order in ordered) == [made["id"], copied]
    assert sorted(order.notification_id for order in beside) == [made["id"]] * 2 + [copied]


async def test_order_is_a_yes_or_a_no(admin: Client) -> None:
    refused = await admin.post(BASE, {**NEW, "in_order": "yes"})

    assert (refused.status, errors_of(refused)) == (
        400,
        [("in_order", "It must be true or false, not text")],
    )


async def test_a_change_is_checked_like_a_new_one(admin: Client) -> None:
    made = await make(admin)

    refused = await admin.send("PATCH", f"{BASE}/{made['id']}", {"url": "ftp://x"})

    assert (refused.status, errors_of(refused)) == (400, [("url", "Invalid webhook URL")])
    shown = await admin.get(f"{BASE}/{made['id']}?show=config")
    assert shown.json()["config"] == {"url": URL}


async def test_where_quay_says_too_little_v2_says_what_would_help(
    admin: Client,
) -> None:
    url = "http://127.0.0.1:8080/hook"
    refused = await admin.post(BASE, {**NEW, "config": {"url": url}})
    old = await admin.post(
        "/api/v1/repository/acme/web/notification/",
        {"event": "repo_push", "method": "webhook", "config": {"url": url}, "eventConfig": {}},
    )

    assert (refused.status, errors_of(refused)) == (400, [("url", "The address is loopback.")])
    assert (old.status, old.json()["detail"]) == (400, "Invalid webhook URL")


async def test_a_method_that_signs_gets_a_secret_when_it_is_chosen(admin: Client) -> None:
    made = await make(
        admin,
        method="quay_notification",
        config={"target": {"kind": "user", "name": "admin"}},
    )

    changed = await admin.send(
        "PATCH", f"{BASE}/{made['id']}", {"method": "webhook", "config": {"url": URL}}
    )

    assert changed.json()["notification"]["method"] == "webhook"
    assert changed.json()["signing_secret"].startswith("whsec_")


async def test_a_pause_parks_and_a_resume_says_how_many_it_released(
    world: World, admin: Client
) -> None:
    made = await make(admin)
    one = f"{BASE}/{made['id']}"

    paused = await admin.post(f"{one}/pause")
    await admin.post(f"{one}/pause")
    await records.push(world)
    await records.push(world)
    standing = (await admin.get(f"{one}/standing")).json()
    parked = list(await queues.lease(world.store))
    resumed = await admin.post(f"{one}/resume")

    assert (paused.json()["state"], paused.json()["pause_sentence"]) == (
        "paused",
        "Somebody paused it.",
    )
    assert (standing["parked"], standing["waiting"], standing["pause_reason"]) == (
        2,
        0,
        "person",
    )
    assert parked == []
    assert (resumed.json()["released"], resumed.json()["notification"]["state"]) == (
        2,
        "active",
    )
    assert len(await queues.lease(world.store)) == 2


async def test_the_standing_says_when_it_last_worked_and_failed(
    world: World, admin: Client, clock: SetClock
) -> None:
    made = await make(admin)
    await records.push(world)
    await records.try_all(world.store)
    clock.move(minutes=1)
    await records.push(world)
    await records.try_all(world.store, records.DOWN, state=State.DEAD)
    await records.push(world)

    answer = await admin.get(f"{BASE}/{made['id']}/standing")

    assert answer.json() == {
        "state": "failing",
        "pause_reason": None,
        "pause_sentence": None,
        "paused_at": None,
        "failing_since": "2026-03-14T12:01:00Z",
        "failure_streak": 1,
        "waiting": 1,
        "parked": 0,
        "sending": 0,
        "last_success_at": "2026-03-14T12:00:00Z",
        "last_failure_at": "2026-03-14T12:01:00Z",
        "last_failure_code": "http_5xx",
        "held_until": None,
        "held_for": None,
    }


async def test_a_test_that_is_not_over_in_time_is_answered_with_its_delivery(
    admin: Client,
) -> None:
    made = await make(admin)

    answer = await admin.post(f"{BASE}/{made['id']}/test?wait=0")

    shown = answer.json()["delivery"]
    assert (answer.status, shown["state"], shown["trigger"]) == (202, "waiting", "test")
    assert (await admin.get(f"/api/v2/deliveries/{shown['id']}")).json() == answer.json()


async def test_a_test_answers_with_its_outcome(world: World, admin: Client) -> None:
    made = await make(admin)

    async def deliver() -> None:
        while not await queues.states(world.store):
            await asyncio.sleep(0)
        await records.try_all(world.store, records.DOWN, state=State.DEAD)

    answer, _ = await asyncio.gather(admin.post(f"{BASE}/{made['id']}/test"), deliver())

    shown = answer.json()
    assert (answer.status, shown["delivery"]["state"]) == (200, "dead")
    assert [one["detail"] for one in shown["attempts"]] == ["The target answered 503."]


async def test_a_copy_is_made_where_the_caller_may(world: World, admin: Client) -> None:
    made = await make(admin)

    copied = await admin.post(f"{BASE}/{made['id']}/copy", {"repository": "acme/api"})
    refused = await admin.post(f"{BASE}/{made['id']}/copy", {"repository": "other/x"})

    copy = copied.json()["notification"]
    assert copied.status == 201
    assert {**copy, "id": "", "uuid": ""} == {
        **made, "id": "", "uuid": "", "repository": "acme/api"
    }  # fmt: skip
    assert refused.status == 403


async def test_a_deleted_one_is_gone_and_its_record_stays(world: World, admin: Client) -> None:
    made = await make(admin)
    event = await records.push(world)

    gone = await admin.delete(f"{BASE}/{made['id']}")

    assert (gone.status, gone.body) == (204, b"")
    assert (await admin.get(f"{BASE}/{made['id']}")).status == 404
    listed = (await admin.get(f"/api/v2/deliveries?event_id={event}")).json()["items"]
    assert [(one["state"], one["notification"]["is_deleted"]) for one in listed] == [
        ("cancelled", True)
    ]


@pytest.mark.parametrize("who", ["anonymous", "reader", "writer", "fresh", "narrow"])
async def test_only_an_admin_of_the_repository_reaches_a_notification(
    world: World, admin: Client, who: str
) -> None:
    made = await make(admin)
    if who == "anonymous":
        client = world.anonymous
    elif who == "narrow":
        client = await world.client("admin", "repo:write")
    else:
        client = await world.client(who)
    before = await queues.rows(world.store, select(t.notifications))

    one = f"{BASE}/{made['id']}"
    by_id = [
        (await client.send(verb, path, *body)).status
        for verb, path, *body in (
            ("GET", one),
            ("PATCH", one, {"title": "x"}),
            ("DELETE", one),
            ("POST", f"{one}/pause"),
            ("POST", f"{one}/resume"),
            ("POST", f"{one}/test?wait=0"),
            ("POST", f"{one}/copy", {"repository": "acme/api"}),
            ("GET", f"{one}/standing"),
        )
    ]
    by_path = [
        (await client.get(f"{BASE}?repository=acme/web")).status,
        (await client.get(f"{BASE}?namespace=acme")).status,
        (await client.post(BASE, NEW)).status,
    ]

    assert by_id == [{"anonymous": 401, "narrow": 403}.get(who, 404)] * 8
    assert by_path == [401 if who == "anonymous" else 403] * 3
    assert await queues.rows(world.store, select(t.notifications)) == before


async def test_a_pause_by_failures_says_so(world: World, admin: Client) -> None:
    made = await make(admin)
    await records.pause(world.store, made["id"], PauseReason.FAILURES)

    shown = (await admin.get(f"{BASE}/{made['id']}")).json()

    assert shown["pause_sentence"] == "Three messages in a row could not be delivered."
