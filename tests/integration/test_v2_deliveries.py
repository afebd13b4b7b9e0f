"""Deliveries of API v2: lists, one in full, sending again, calling off, and who may."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from dockbell.domain.accounts import Powers
from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed
from dockbell.store import notifications, throttles
from dockbell.store.transactions import Store
from tests import queues, records
from tests.accounts import Statements, said
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import PUBLIC_URL, World, open_world

BASE = "/api/v2/deliveries"
WEB = f"{BASE}?repository=acme/web"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


def problem(status: int, kind: str, detail: str, **more: Any) -> dict[str, Any]:
    return {
        "type": f"{PUBLIC_URL}/api/v1/error/{kind}",
        "title": kind.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        **more,
    }


UNKNOWN = problem(404, "not_found", "Not Found")


async def one(world: World, path: str = "acme/web") -> tuple[str, str, str]:
    """A notification with one delivery: ids of notification, event and delivery."""
    notification = await records.add_notification(world.store, path)
    event = await records.push(world, path)
    (delivery,) = await records.deliveries_of(world.store, event)
    return notification, event, delivery


async def ids_of(client: Client, query: str) -> list[str]:
    answer = await client.get(f"{WEB}&{query}")
    assert answer.status == 200, answer.body
    return [item["id"] for item in answer.json()["items"]]


async def test_a_delivery_is_listed_with_its_event_and_its_notification(
    world: World, admin: Client
) -> None:
    notification, event, delivery = await one(world)

    answer = await admin.get(WEB)

    expected = {
        "id": delivery,
        "state": "waiting",
        "trigger": "event",
        "event": {
            "id": event,
            "event": "repo_push",
            "namespace": "acme",
            "repository": "acme/web",
            "occurred_at": "2026-03-14T12:00:00Z",
        },
        "notification": {
            "id": notification,
            "title": None,
            "method": "webhook",
            "is_deleted": False,
        },
        "attempt_count": 0,
        "last_code": None,
        "is_parked": False,
        "next_attempt_at": "2026-03-14T12:00:00Z",
        "held_until": None,
        "held_for": None,
        "created_at": "2026-03-14T12:00:00Z",
        "finished_at": None,
    }
    assert said(answer) == (200, {"items": [expected], "next_cursor": None})


async def test_pages_hold_each_delivery_once_while_more_arrive(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    made = []
    for _ in range(5):
        clock.move(seconds=1)
        made += await records.deliveries_of(world.store, await records.push(world))
    seen: list[str] = []

    cursor = ""
    while cursor is not None:
        answer = (await admin.get(f"{WEB}&limit=2&cursor={cursor}")).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
        clock.move(seconds=1)
        await records.push(world)

    assert seen == made[::-1]


async def test_a_list_takes_the_same_number_of_queries_for_one_row_and_three(
    world: World, admin: Client
) -> None:
    await one(world)
    statements = Statements.of(world.store)

    await admin.get(WEB)
    for_one = statements.take()
    for _ in range(2):
        await records.push(world)
    statements.take()
    answer = await admin.get(WEB)

    assert len(answer.json()["items"]) == 3
    assert statements.take() == for_one


async def test_each_filter_finds_what_fits_and_nothing_else(
    world: World, admin: Client, clock: SetClock
) -> None:
    notification, event, delivered = await one(world)
    await records.try_all(world.store)
    clock.move(minutes=10)
    (dead,) = await records.deliveries_of(world.store, await records.push(world))
    await records.try_all(world.store, records.DOWN, state=State.DEAD)
    clock.move(minutes=10)
    other = await records.add_notification(world.store)
    newest = await records.push(world)
    waiting = await records.deliveries_of(world.store, newest)

    found = {
        query: await ids_of(admin, query)
        for query in (
            "state=delivered",
            "state=delivered&state=dead",
            f"event_id={event}",
            f"notification={other}",
            "event=build_failure",
            "event=repo_push&state=dead",
            "status_class=2xx",
            "status_class=5xx",
            "status_class=4xx",
            "code=http_5xx",
            "code=http_5xx&status_class=2xx",
            "trigger=test",
            "since=2026-03-14T12:05:00Z",
            "until=2026-03-14T12:05:00Z",
            "since=2026-03-14T12:05:00%2B00:00&until=2026-03-14T12:15:00Z",
            "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z",
        )
    }

    everything = [*sorted(waiting, reverse=True), dead, delivered]
    assert found == {
        "state=delivered": [delivered],
        "state=delivered&state=dead": [dead, delivered],
        f"event_id={event}": [delivered],
        f"notification={other}": [max(waiting)],
        "event=build_failure": [],
        "event=repo_push&state=dead": [dead],
        "status_class=2xx": [delivered],
        "status_class=5xx": [dead],
        "status_class=4xx": [],
        "code=http_5xx": [dead],
        "code=http_5xx&status_class=2xx": [],
        "trigger=test": [],
        "since=2026-03-14T12:05:00Z": everything[:3],
        "until=2026-03-14T12:05:00Z": [delivered],
        "since=2026-03-14T12:05:00%2B00:00&until=2026-03-14T12:15:00Z": [dead],
        "since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z": everything,
    }
    assert notification != other


@pytest.mark.parametrize(
    ("address", "field", "begins"),
    [
        (BASE, "event=repo_psh", "Invalid event 'repo_psh' (did you mean 'repo_push'?). Must "),
        (
            BASE,
            "code=ok&code=http_5x",
            "Invalid code 'http_5x' (did you mean 'http_5xx'?). Must",
        ),
        (BASE, "code=nope&status_class=2xx", "Invalid code 'nope'. Must be one of: blocked_"),
        (BASE, "stat=dead", "It is not known here. The parameters are repository, namespace, "),
        ("/api/v2/events", "event=repo_psh", "Invalid event 'repo_psh' (did you mean 'repo_p"),
        ("/api/v2/stats", "state=dead", "It is not known here. The parameters are repository"),
    ],
)
async def test_a_filter_with_a_slip_is_refused(
    admin: Client, address: str, field: str, begins: str
) -> None:
    answer = await admin.get(f"{address}?repository=acme/web&{field}")

    (error,) = answer.json()["errors"]
    assert (answer.status, error["field"]) == (400, field.partition("=")[0])
    assert error["message"].startswith(begins)


async def test_what_takes_no_parameters_says_so(world: World, admin: Client) -> None:
    _, event, _ = await one(world)

    answer = await admin.get(f"/api/v2/events/{event}?show=all")

    assert answer.status == 400
    assert answer.json()["errors"] == [
        {"field": "show", "message": "It is not known here. There are none"}
    ]


async def test_a_list_is_named_by_a_notification_or_an_event_too(
    world: World, admin: Client
) -> None:
    notification, event, delivery = await one(world)

    by_notification = await admin.get(f"{BASE}?notification={notification}")
    by_event = await admin.get(f"{BASE}?event_id={event}")

    assert [item["id"] for item in by_notification.json()["items"]] == [delivery]
    assert by_event.json() == by_notification.json()


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        (
            "",
            "repository",
            "Name a repository, a namespace, the instance, a notification or an event",
        ),
        ("?repository=acme/web&limit=0", "limit", "It must be a whole number of at least 1"),
        ("?repository=acme/web&limit=201", "limit", "It must be a whole number of at most 200"),
        ("?repository=acme/web&cursor=!", "cursor", "This is not a cursor of ours"),
        (
            "?repository=acme/web&since=2026-03-14T12:00:00",
            "since",
            "'since' must be a time with its zone, such as 2026-03-14T12:00:00Z",
        ),
    ],
)
async def test_a_wrong_argument_is_named(
    admin: Client, query: str, field: str, message: str
) -> None:
    answer = await admin.get(BASE + query)

    shown = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status, shown["errors"]) == (400, [{"field": field, "message": message}])


async def test_one_delivery_is_shown_with_its_tries_and_advice(
    world: World, admin: Client, clock: SetClock
) -> None:
    _, _, delivery = await one(world)
    await records.try_all(
        world.store, records.DOWN, state=State.WAITING, again_in=timedelta(seconds=5)
    )
    clock.move(seconds=6)
    await records.try_all(world.store)

    answer = await admin.get(f"{BASE}/{delivery}")

    shown = answer.json()
    assert (shown["delivery"]["state"], shown["delivery"]["attempt_count"]) == ("delivered", 2)
    assert shown["attempts"][0] == {
        "number": 2,
        "outcome": "delivered",
        "code": "ok",
        "fault": None,
        "detail": "The target answered 200.",
        "advice": None,
        "started_at": "2026-03-14T12:00:00Z",
        "duration_seconds": 0.003,
        "phases": {"connect": 0.01, "total": 0.03},
        "address": "192.0.2.9",
        "status": 200,
        "request_headers": [
            {"name": "content-type", "value": "application/json"},
            {"name": "authorization", "value": "***"},
        ],
        "response_headers": [{"name": "x-served-by", "value": "a"}],
        "response_body": "olé �",
        "worker": "w1",
    }
    first = shown["attempts"][1]
    assert (first["code"], first["fault"], first["status"], first["advice"]) == (
        "http_5xx",
        "target",
        503,
        "Something is wrong on the target's side: look into its own log.",
    )


async def test_tries_come_in_pages(world: World, admin: Client, clock: SetClock) -> None:
    _, _, delivery = await one(world)
    for _ in range(3):
        await records.try_all(
            world.store, records.DOWN, state=State.WAITING, again_in=timedelta(seconds=5)
        )
        clock.move(seconds=6)

    first = (await admin.get(f"{BASE}/{delivery}/attempts?limit=2")).json()
    second = (
        await admin.get(f"{BASE}/{delivery}/attempts?limit=2&cursor={first['next_cursor']}")
    ).json()

    assert [item["number"] for item in first["items"]] == [3, 2]
    assert [item["number"] for item in second["items"]] == [1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("state", [State.DELIVERED, State.DEAD])
async def test_a_finished_delivery_is_sent_again_under_its_id(
    world: World, admin: Client, clock: SetClock, state: State
) -> None:
    _, _, delivery = await one(world)
    await records.try_all(
        world.store, records.OK if state is State.DELIVERED else records.DOWN, state=state
    )
    clock.move(minutes=1)

    answer = await admin.post(f"{BASE}/{delivery}/redeliver")

    shown = answer.json()
    assert (answer.status, shown["state"], shown["trigger"], shown["finished_at"]) == (
        202,
        "waiting",
        "redeliver",
        None,
    )
    (order,) = await queues.lease(world.store)
    assert (order.delivery_id, order.tries, order.attempts) == (delivery, 0, 1)
    await queues.settle(world.store, [queues.result_of(order)])
    await queues.assert_lanes_are_right(world.store)


async def test_a_redelivery_takes_the_place_of_a_planned_try(
    world: World, admin: Client, clock: SetClock
) -> None:
    _, _, delivery = await one(world)
    await records.try_all(
        world.store, records.DOWN, state=State.WAITING, again_in=timedelta(hours=1)
    )

    await admin.post(f"{BASE}/{delivery}/redeliver")

    await records.try_all(world.store)
    clock.move(hours=2)
    assert list(await queues.lease(world.store)) == []
    assert await queues.attempts(world.store, delivery) == [
        (1, "failed", "http_5xx"),
        (2, "delivered", "ok"),
    ]


async def test_a_delivery_that_is_being_sent_is_not_sent_again(
    world: World, admin: Client
) -> None:
    _, _, delivery = await one(world)
    await queues.lease(world.store)

    again = await admin.post(f"{BASE}/{delivery}/redeliver")
    off = await admin.post(f"{BASE}/{delivery}/cancel")

    refusal = problem(
        409, "being_sent", "The delivery is being sent just now. Wait for what comes of it."
    )
    assert (said(again), said(off)) == ((409, refusal), (409, refusal))


async def test_a_double_click_with_one_key_sends_once(world: World, admin: Client) -> None:
    _, _, delivery = await one(world)
    await records.try_all(world.store)
    key = {"idempotency-key": "click-1"}

    both = await asyncio.gather(
        admin.post(f"{BASE}/{delivery}/redeliver", headers=key),
        admin.post(f"{BASE}/{delivery}/redeliver", headers=key),
    )
    await records.try_all(world.store)
    late = await admin.post(f"{BASE}/{delivery}/redeliver", headers=key)

    assert [answer.status for answer in (*both, late)] == [202, 202, 202]
    assert late.json()["state"] == "delivered"
    assert len(await queues.attempts(world.store, delivery)) == 2


async def test_clicks_and_leases_at_the_same_time_send_nothing_twice(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    made = []
    for _ in range(6):
        clock.move(seconds=1)
        made += await records.deliveries_of(world.store, await records.push(world))
    await records.try_all(world.store)

    async def work() -> None:
        for _ in range(4):
            orders = await queues.lease(world.store, 3)
            await queues.settle(world.store, [queues.result_of(order) for order in orders])

    clicks = [
        admin.post(f"{BASE}/{delivery}/redeliver", headers={"idempotency-key": key})
        for delivery in made
        for key in ("a", "a")
    ]
    answers = (await asyncio.gather(*clicks, work(), work()))[: len(clicks)]
    await records.try_all(world.store)

    # The second click of a pair finds the first one's key, or that the delivery is under way already.
    assert {answer.status for answer in answers if answer is not None} == {202}
    assert [len(await queues.attempts(world.store, delivery)) for delivery in made] == [2] * 6
    await queues.assert_lanes_are_right(world.store)


async def test_what_has_nowhere_to_go_is_refused_with_the_reason(
    world: World, admin: Client
) -> None:
    paused, _, parked = await one(world)
    await records.pause(world.store, paused, PauseReason.PERSON)
    gone, _, orphan = await one(world, "acme/api")
    async with world.store.begin() as tx:
        await notifications.delete(tx, gone)

    answers = [
        (await admin.post(f"{BASE}/{delivery}/redeliver")).json()
        for delivery in (parked, orphan)
    ]

    assert [(answer["status"], answer["title"]) for answer in answers] == [
        (409, "Notification paused"),
        (409, "Notification gone"),
    ]


async def test_a_waiting_delivery_is_cancelled_once_and_a_finished_one_never(
    world: World, admin: Client
) -> None:
    _, _, delivery = await one(world)

    first = await admin.post(f"{BASE}/{delivery}/cancel")
    second = await admin.post(f"{BASE}/{delivery}/cancel")

    assert (first.status, first.json()["state"]) == (200, "cancelled")
    assert second.json() == first.json()
    assert list(await queues.lease(world.store)) == []
    _, _, done = await one(world, "acme/api")
    await records.try_all(world.store)
    refused = await admin.post(f"{BASE}/{done}/cancel")
    assert said(refused) == (
        409,
        problem(
            409,
            "not_waiting",
            "The delivery is delivered. Only one that waits can be cancelled.",
        ),
    )


CALLERS = ("anonymous", "reader", "writer", "fresh", "narrow")


@pytest.mark.parametrize("who", CALLERS)
async def test_only_an_admin_of_the_repository_reaches_its_deliveries(
    world: World, who: str
) -> None:
    notification, event, delivery = await one(world)
    if who == "anonymous":
        client = world.anonymous
    elif who == "narrow":
        client = await world.client("admin", "repo:write")
    else:
        client = await world.client(who)
    expected = {"anonymous": 401, "narrow": 403}.get(who, 404)

    by_id = [
        (await client.send(verb, f"{BASE}{path}")).status
        for verb, path in (
            ("GET", f"?notification={notification}"),
            ("GET", f"?event_id={event}"),
            ("GET", f"/{delivery}"),
            ("GET", f"/{delivery}/attempts"),
            ("POST", f"/{delivery}/redeliver"),
            ("POST", f"/{delivery}/cancel"),
        )
    ]
    by_path = (await client.get(WEB)).status

    assert by_id == [expected] * 6
    assert by_path == (401 if who == "anonymous" else 403)
    assert await queues.states(world.store) == {delivery: "waiting"}


async def test_an_unknown_delivery_and_one_of_others_look_the_same(world: World) -> None:
    _, _, delivery = await one(world)
    stranger = await world.client("fresh")

    known = await stranger.get(f"{BASE}/{delivery}")
    unknown = await stranger.get(f"{BASE}/dlv_00000000000000000000000000")

    assert said(known) == said(unknown) == (404, UNKNOWN)


async def test_the_owner_of_the_namespace_reaches_them(world: World) -> None:
    _, _, delivery = await one(world)
    boss = await world.client("boss")

    assert (await boss.get(f"{BASE}/{delivery}")).status == 200


async def test_a_notification_is_named_by_its_id_or_by_the_uuid_that_v1_shows(
    world: World, admin: Client
) -> None:
    notification, _, delivery = await one(world)
    await records.add_notification(world.store)
    await records.push(world)
    named = (await admin.get(f"/api/v2/notifications/{notification}")).json()
    uuid = named["uuid"]

    answers = [
        await admin.get(f"/api/v2/notifications/{uuid}"),
        await admin.get(f"/api/v2/notifications/{uuid}/standing"),
        await admin.get(f"/api/v2/stats?notification={uuid}"),
    ]
    listed = await admin.get(f"{BASE}?notification={uuid}")

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert answers[0].json() == named
    items = listed.json()["items"]
    assert {item["notification"]["id"] for item in items} == {notification}
    assert (len(items), items[-1]["id"]) == (2, delivery)


@pytest.mark.parametrize("address", ["10.1.2.3", "fd00::1", "8.8.8.8", None])
async def test_an_operator_may_keep_what_internal_targets_answer_to_superusers(
    store: Store, address: str | None
) -> None:
    world = await open_world(
        store,
        Powers(frozenset({"boss"}), hide_internal_answers=True),
    )
    _, _, delivery = await one(world)
    answered = Exchange(
        address=address,
        status=200,
        response_headers=(("Server", "internal/1.2"),),
        response_body=b"the inner secret",
    )
    await records.try_all(store, Delivered(answered))

    seen = {}
    for name in ("admin", "boss"):
        client = await world.client(name)
        (whole,) = (await client.get(f"{BASE}/{delivery}")).json()["attempts"]
        (listed,) = (await client.get(f"{BASE}/{delivery}/attempts")).json()["items"]
        assert (whole["status"], whole["code"], whole["address"]) == (200, "ok", address)
        assert listed == whole
        seen[name] = (whole["response_body"], len(whole["response_headers"]))

    everything = ("the inner secret", 1)
    kept_back = ("The operator shows what internal targets answer to superusers only.", 0)
    is_internal = address in {"10.1.2.3", "fd00::1"}
    assert seen == {
        "admin": kept_back if is_internal else everything,
        "boss": everything,
    }


async def test_what_a_target_said_comes_as_text_whatever_it_is(
    world: World, admin: Client
) -> None:
    said_by_target = (
        b'<script>alert(1)</script>\x1b[31m\r\n{"level": "error"}\x00\xff\xe2\x80\xae'
    )
    _, _, delivery = await one(world)
    odd = Failed(
        Code.HTTP_5XX,
        "The target answered 500.",
        Exchange(
            status=500,
            response_headers=(("X-Odd", "<img src=x onerror=alert(1)>"),),
            response_body=said_by_target,
        ),
    )
    await records.try_all(world.store, odd, again_in=timedelta(hours=1))

    answer = await admin.get(f"{BASE}/{delivery}")

    (attempt,) = answer.json()["attempts"]
    assert attempt["response_body"] == said_by_target.decode("utf-8", "replace")
    assert attempt["response_headers"] == [
        {"name": "X-Odd", "value": "<img src=x onerror=alert(1)>"}
    ]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not {0x00, 0x0D, 0x1B} & set(answer.body)


@pytest.mark.parametrize(
    ("held_by", "held_for"),
    [
        (throttles.ASKED, "retry_after"),
        (throttles.PACED, "rate_limit"),
        ("hooks.test:443", "host"),
    ],
)
async def test_what_is_held_back_says_until_when_and_why_and_does_not_look_overdue(
    world: World, admin: Client, clock: SetClock, held_by: str, held_for: str
) -> None:
    notification = await records.add_notification(world.store)
    await records.push(world)
    (delivery,) = await queues.states(world.store)
    async with world.store.begin() as tx:
        await throttles.hold(tx, {notification: clock() + timedelta(minutes=5)}, held_by)
    clock.move(minutes=1)

    listed = (await admin.get(f"{BASE}?repository=acme/web")).json()["items"][0]
    one = (await admin.get(f"{BASE}/{delivery}")).json()["delivery"]
    clock.move(minutes=4)
    after = (await admin.get(f"{BASE}/{delivery}")).json()["delivery"]

    until = "2026-03-14T12:05:00Z"
    assert one == listed
    assert (one["held_until"], one["held_for"], one["next_attempt_at"]) == (
        until,
        held_for,
        until,
    )
    assert (after["held_until"], after["held_for"]) == (None, None)
    assert after["next_attempt_at"] == "2026-03-14T12:00:00Z"


async def test_what_is_over_is_not_held_back(
    world: World, admin: Client, clock: SetClock
) -> None:
    notification = await records.add_notification(world.store)
    await records.push(world)
    await records.try_all(world.store)
    async with world.store.begin() as tx:
        await throttles.hold(tx, {notification: clock() + timedelta(minutes=5)})

    listed = (await admin.get(f"{BASE}?repository=acme/web")).json()["items"][0]

    assert (listed["state"], listed["held_until"], listed["held_for"]) == (
        "delivered",
        None,
        None,
    )
