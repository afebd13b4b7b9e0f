"""Events, figures and previews of API v2, and who may."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.deliveries import PauseReason, State
from dockbell.domain.events import Performer
from dockbell.services import redelivery_jobs
from dockbell.store import history
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues, records
from tests.accounts import Statements
from tests.asgi import Client
from tests.conftest import SetClock
from tests.world import World, open_world

EVENTS = "/api/v2/events"
STATS = "/api/v2/stats"
DELIVERIES = "/api/v2/deliveries"
REDELIVERIES = "/api/v2/redelivery-jobs"
PREVIEW = "/api/v2/notifications/preview"


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def test_events_are_listed_with_their_deliveries_by_state(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    first = await records.push(world, performer=Performer("admin"))
    await records.try_all(world.store)
    clock.move(seconds=1)
    second = await records.push(world)
    await records.push(world, "acme/api")

    answer = await admin.get(f"{EVENTS}?repository=acme/web&limit=1")
    rest = await admin.get(
        f"{EVENTS}?repository=acme/web&cursor={answer.json()['next_cursor']}"
    )

    assert [one["event"]["id"] for one in answer.json()["items"]] == [second]
    assert rest.json() == {
        "items": [
            {
                "event": {
                    "id": first,
                    "event": "repo_push",
                    "namespace": "acme",
                    "repository": "acme/web",
                    "summary": "Repository acme/web updated",
                    "performer": "admin",
                    "is_sample": False,
                    "occurred_at": "2026-03-14T12:00:00Z",
                    "recorded_at": "2026-03-14T12:00:00Z",
                },
                "deliveries": {"delivered": 1},
            }
        ],
        "next_cursor": None,
    }


async def test_a_list_takes_the_same_number_of_queries_for_one_row_and_three(
    world: World, admin: Client
) -> None:
    await records.add_notification(world.store)
    await records.push(world)
    statements = Statements.of(world.store)
    await admin.get(f"{EVENTS}?repository=acme/web")
    for_one = statements.take()
    await records.push(world)
    await records.push(world)
    statements.take()

    answer = await admin.get(f"{EVENTS}?repository=acme/web")

    assert len(answer.json()["items"]) == 3
    assert statements.take() == for_one


async def test_an_event_says_why_each_notification_got_it_or_not(
    world: World, admin: Client, clock: SetClock
) -> None:
    store = world.store
    matched = await records.add_notification(store, kind="build_success")
    parked = await records.add_notification(store, kind="build_success")
    other = await records.add_notification(store)
    filtered = await records.add_notification(
        store, kind="build_success", event_config={"ref-regex": "refs/tags/.*"}
    )
    gone = await records.add_notification(store, kind="build_success")
    await records.pause(store, parked, PauseReason.PERSON)
    event = await records.push(
        world,
        kind="build_success",
        details={"trigger_metadata": {"ref": "refs/heads/main"}},
    )
    clock.move(seconds=1)
    later = await records.add_notification(store, kind="build_success")
    await admin.delete(f"/api/v2/notifications/{gone}")

    answer = await admin.get(f"{EVENTS}/{event}")

    shown = answer.json()
    assert shown["payload"]["trigger_metadata"] == {"ref": "refs/heads/main"}
    assert {
        one["notification"]: (one["verdict"], one["sentence"]) for one in shown["considered"]
    } == {
        matched: ("matched", "It matched, and a delivery was made."),
        parked: (
            "matched",
            "It matched; the notification is paused, so the delivery is parked.",
        ),
        other: ("other_event", "It is for another kind of event."),
        filtered: ("filtered", "Its filter does not want this event: event_config."),
        gone: ("matched", "It matched, and a delivery was made."),
        later: ("made_later", "It was made after the event."),
    }


async def test_a_test_is_no_event_for_others(world: World, admin: Client) -> None:
    tested = await records.add_notification(world.store)
    other = await records.add_notification(world.store)
    answer = await admin.post(f"/api/v2/notifications/{tested}/test?wait=0")
    event = answer.json()["delivery"]["event"]["id"]

    shown = (await admin.get(f"{EVENTS}/{event}")).json()

    assert shown["event"]["is_sample"] is True
    assert {one["notification"]: one["verdict"] for one in shown["considered"]} == {
        tested: "matched",
        other: "other_test",
    }


async def test_an_event_is_replayed_to_one_that_never_got_it_and_then_again(
    world: World, admin: Client, clock: SetClock
) -> None:
    event = await records.push(world)
    late = await records.add_notification(world.store)

    first = await admin.post(f"{EVENTS}/{event}/replay", {"notification": late})
    await records.try_all(world.store)
    clock.move(seconds=1)
    second = await admin.post(f"{EVENTS}/{event}/replay", {"notification": late})

    assert (first.status, first.json()["trigger"]) == (202, "redeliver")
    assert second.json()["id"] == first.json()["id"]
    await records.try_all(world.store)
    assert len(await queues.attempts(world.store, first.json()["id"])) == 2
    await queues.assert_lanes_are_right(world.store)


async def test_a_replay_with_one_key_is_made_once(world: World, admin: Client) -> None:
    event = await records.push(world)
    late = await records.add_notification(world.store)
    key = {"idempotency-key": "k"}

    for _ in range(2):
        answer = await admin.post(
            f"{EVENTS}/{event}/replay", {"notification": late}, headers=key
        )
        await records.try_all(world.store)

    assert answer.status == 202
    assert len(await queues.attempts(world.store, answer.json()["id"])) == 1


async def test_a_replay_goes_to_its_repository_and_kind_only(
    world: World, admin: Client
) -> None:
    event = await records.push(world)
    elsewhere = await records.add_notification(world.store, "acme/api")
    other = await records.add_notification(world.store, kind="build_failure")
    paused = await records.add_notification(world.store)
    await records.pause(world.store, paused, PauseReason.PERSON)

    statuses = [
        (await admin.post(f"{EVENTS}/{event}/replay", {"notification": one})).status
        for one in (elsewhere, other, paused, "ntf_none")
    ]

    assert statuses == [404, 400, 409, 404]
    assert await queues.states(world.store) == {}


async def test_the_figures_are_a_recount_of_a_random_history(
    world: World, admin: Client, clock: SetClock
) -> None:
    chance = random.Random(4)
    await records.add_notification(world.store)
    paused = await records.add_notification(world.store)
    for _ in range(12):
        clock.move(minutes=chance.randrange(90))
        await records.push(world)
        await records.try_all(
            world.store,
            state=chance.choice([State.DELIVERED, State.DEAD]),
        )
    await records.pause(world.store, paused, PauseReason.PERSON)
    await records.push(world)
    await queues.lease(world.store)
    await records.push(world, "acme/api")
    clock.move(seconds=1)

    answer = await admin.get(f"{STATS}?repository=acme/web")

    shown = answer.json()
    since = clock() - timedelta(days=1)
    rows = await queues.rows(
        world.store,
        select(t.deliveries.c.state).where(
            t.deliveries.c.place_id == await records.repository_id_of(world.store),
            t.deliveries.c.created_at >= since,
        ),
    )
    counted = Counter(row[0] for row in rows)
    assert {state.value: shown[state.value] for state in State} == {
        state.value: counted[state.value] for state in State
    }
    assert shown["emitted"] == sum(counted.values())
    assert shown["parked"] == 1


async def test_durations_are_given_by_time(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    for milliseconds in range(1, 21):
        await records.push(world)
        (order,) = await queues.lease(world.store)
        result = queues.result_of(order)
        await queues.settle(
            world.store,
            [
                type(result)(
                    order,
                    result.outcome,
                    result.decision,
                    clock(),
                    timedelta(milliseconds=milliseconds),
                )
            ],
        )
    clock.move(hours=1)
    await records.push(world)
    await records.try_all(world.store, records.DOWN, state=State.DEAD)
    clock.move(hours=1)

    answer = await admin.get(f"{STATS}?repository=acme/web&since=2026-03-14T12:00:00Z&spans=2")

    shown = answer.json()
    assert shown["spans"] == [
        {
            "since": "2026-03-14T12:00:00Z",
            "attempts": 20,
            "failed": 0,
            "p50_seconds": 0.01,
            "p95_seconds": 0.019,
        },
        {
            "since": "2026-03-14T13:00:00Z",
            "attempts": 1,
            "failed": 1,
            "p50_seconds": 0.003,
            "p95_seconds": 0.003,
        },
    ]
    assert (shown["emitted"], shown["delivered"], shown["dead"]) == (21, 20, 1)
    assert shown["success_rate"] == pytest.approx(20 / 21)


@pytest.mark.parametrize(
    "query", ["since=2026-01-01T00:00:00Z", "since=2026-03-14T13:00:00Z", "spans=0"]
)
async def test_a_span_of_time_that_makes_no_sense_is_refused(admin: Client, query: str) -> None:
    answer = await admin.get(f"{STATS}?repository=acme/web&{query}")

    assert answer.status == 400
    assert [one["field"] for one in answer.json()["errors"]] == [query.partition("=")[0]]


async def test_a_preview_says_what_would_match_and_shows_the_newest(
    world: World, admin: Client, clock: SetClock
) -> None:
    made = []
    for ref in ("refs/heads/main", "refs/tags/v1", "refs/heads/dev"):
        clock.move(seconds=1)
        details = {"trigger_metadata": {"ref": ref}, "build_id": ref}
        made.append(await records.push(world, kind="build_success", details=details))
    body: dict[str, Any] = {
        "repository": "acme/web",
        "event": "build_success",
        "method": "webhook",
        "config": {"url": "https://hooks.test/x", "template": '{"ref": "${build_id}"}'},
        "event_config": {"ref-regex": "refs/tags/.*"},
    }

    answer = await admin.post(PREVIEW, body)

    shown = answer.json()
    assert answer.status == 200
    assert [(one["id"], one["matches"]) for one in shown["events"]] == [
        (made[2], False),
        (made[1], True),
        (made[0], False),
    ]
    assert (shown["rendered"]["event_id"], shown["rendered"]["body"]) == (
        made[1],
        '{"ref": "refs/tags/v1"}',
    )
    assert await queues.states(world.store) == {}


async def test_a_preview_of_a_change_without_events_shows_the_sample(
    world: World, admin: Client
) -> None:
    one = await records.add_notification(world.store)

    answer = await admin.post(
        f"/api/v2/notifications/{one}/preview",
        {"config": {"url": "********", "template": '{"a": "${name}", "b": "${nothing}"}'}},
    )

    rendered = answer.json()["rendered"]
    assert (rendered["is_sample"], rendered["event_id"], rendered["body"]) == (
        True,
        None,
        '{"a": "web", "b": null}',
    )
    assert rendered["problem"] is None


async def test_a_preview_says_what_is_wrong_with_a_template(admin: Client) -> None:
    answer = await admin.post(
        PREVIEW,
        {
            "repository": "acme/web",
            "event": "repo_push",
            "method": "webhook",
            "config": {"url": "https://hooks.test/x", "template": "{"},
        },
    )

    rendered = answer.json()["rendered"]
    assert answer.status == 200
    assert rendered["body"] is None
    assert rendered["problem"].startswith("Could not parse template")


@pytest.mark.parametrize("who", ["anonymous", "reader", "writer", "fresh", "narrow"])
async def test_only_an_admin_of_the_repository_reaches_events_figures_and_previews(
    world: World, who: str
) -> None:
    one = await records.add_notification(world.store)
    event = await records.push(world)
    if who == "anonymous":
        client = world.anonymous
    elif who == "narrow":
        client = await world.client("admin", "repo:write")
    else:
        client = await world.client(who)
    body = {"repository": "acme/web", "event": "repo_push", "method": "webhook", "config": {}}

    by_id = [
        (await client.get(f"{EVENTS}/{event}")).status,
        (await client.post(f"{EVENTS}/{event}/replay", {"notification": one})).status,
        (await client.get(f"{STATS}?notification={one}")).status,
        (await client.post(f"/api/v2/notifications/{one}/preview", {})).status,
    ]
    by_path = [
        (await client.get(f"{EVENTS}?repository=acme/web")).status,
        (await client.get(f"{STATS}?repository=acme/web")).status,
        (await client.post(PREVIEW, body)).status,
    ]

    assert by_id == [{"anonymous": 401, "narrow": 403}.get(who, 404)] * 4
    assert by_path == [401 if who == "anonymous" else 403] * 3


async def test_an_expunged_event_is_shown_empty_and_is_not_sent_again(
    world: World, admin: Client, clock: SetClock
) -> None:
    notification = await records.add_notification(world.store)
    event_id = await records.push(world, performer=Performer("admin"))
    await records.try_all(world.store)
    async with world.store.begin() as tx:
        await history.expunge(tx, event_id)
    clock.move(seconds=1)

    one = await admin.get(f"{EVENTS}/{event_id}")
    listed = await admin.get(f"{EVENTS}?repository=acme/web")
    replayed = await admin.post(f"{EVENTS}/{event_id}/replay", {"notification": notification})
    [before] = (await admin.get(f"{DELIVERIES}?repository=acme/web")).json()["items"]
    again = await admin.post(f"{DELIVERIES}/{before['id']}/redeliver")
    made = await admin.post(REDELIVERIES, {"repository": "acme/web", "state": ["delivered"]})
    async with world.store.begin() as tx:
        await redelivery_jobs.step(tx, SYSTEM)
    job = (await admin.get(f"{REDELIVERIES}/{made.json()['id']}")).json()
    [after] = (await admin.get(f"{DELIVERIES}?repository=acme/web")).json()["items"]

    assert before["state"] == "delivered"
    assert after == before
    assert (job["sent"], job["skipped"]) == (0, 1)
    assert (again.status, again.json()["type"].rpartition("/")[2]) == (409, "event_gone")
    assert (one.json()["payload"], one.json()["event"]["performer"]) == ({}, None)
    assert [row["event"]["id"] for row in listed.json()["items"]] == [event_id]
    assert (replayed.status, replayed.json()["detail"]) == (
        409, "The event is expunged: nothing of it is kept that could be sent.",
    )  # fmt: skip
    assert replayed.json()["type"] == again.json()["type"]
