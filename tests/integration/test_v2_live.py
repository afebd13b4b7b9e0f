"""The live stream of API v2: what it tells, that nothing is left out, who may listen and for how long."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from dockbell.domain import ids
from dockbell.domain.deliveries import State
from dockbell.domain.errors import ForbiddenError, UnavailableError
from dockbell.domain.live import Position
from dockbell.services import live
from dockbell.services.authentication import EndedError
from dockbell.store import redelivery_jobs
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from dockbell.web import live as web_live
from dockbell.web.live import Hub, Message, Stream
from tests import records
from tests.accounts import Statements
from tests.asgi import Client
from tests.browsers import signed_in
from tests.conftest import NOON, SetClock
from tests.streams import listening
from tests.world import World, open_world

LIVE = "/api/v2/live"
WEB = f"{LIVE}?repository=acme/web"
MOST_OF_A_LOOK = 8  # statements, with those that begin and end it


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


def hub_of(world: World, **limits: Any) -> Hub:
    """Put a hub with these limits into the application."""
    edge: Any = world.anonymous.app
    hub = Hub(world.store, **{"look_seconds": 0.01, **limits})
    edge._pages._app.state.update({"live": hub})
    return hub


def brief(message: tuple[str, Any]) -> tuple[object, ...]:
    kind, data = message
    if kind == "event":
        return kind, data["id"]
    return kind, data["id"], data["state"], data["attempt_count"], data["last_code"]


async def test_an_event_and_its_delivery_are_told_as_the_lists_show_them(
    world: World, admin: Client
) -> None:
    await records.add_notification(world.store)

    async with listening(admin, WEB) as heard:
        event_id = await records.push(world)
        first, second = await heard.next(), await heard.next()

    event = (await admin.get(f"/api/v2/events/{event_id}")).json()
    (delivery,) = (await admin.get(f"/api/v2/deliveries?event_id={event_id}")).json()["items"]
    assert (first, second) == (("event", event["event"]), ("delivery", delivery))
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_each_state_of_a_delivery_is_told(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    event_id = await records.push(world)
    (delivery_id,) = await records.deliveries_of(world.store, event_id)

    async with listening(admin, WEB) as heard:
        told = []
        await records.try_all(
            world.store,
            records.DOWN,
            state=State.WAITING,
            again_in=timedelta(seconds=5),
        )
        told.append(await last_of(heard))
        clock.move(seconds=6)
        await records.try_all(world.store, records.DOWN, state=State.DEAD)
        told.append(await last_of(heard))
        await admin.post(f"/api/v2/deliveries/{delivery_id}/redeliver")
        told.append(await last_of(heard))
        await admin.post(f"/api/v2/deliveries/{delivery_id}/cancel")
        told.append(await last_of(heard))

    assert told == [
        ("delivery", delivery_id, "waiting", 1, "http_5xx"),
        ("delivery", delivery_id, "dead", 2, "http_5xx"),
        ("delivery", delivery_id, "waiting", 2, "http_5xx"),
        ("delivery", delivery_id, "cancelled", 2, "http_5xx"),
    ]


async def last_of(heard: Any) -> tuple[object, ...]:
    """The next thing told of a delivery that is not only being sent."""
    while True:
        message = brief(await heard.next())
        if message[2] != "sending":
            return message


async def test_a_delivery_that_is_sent_again_between_two_looks_is_told(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    event_id = await records.push(world)
    (delivery_id,) = await records.deliveries_of(world.store, event_id)
    await records.try_all(world.store)
    clock.move(days=2)
    hub_of(world, look_seconds=0.3)

    async with listening(admin, WEB) as heard:
        await admin.post(f"/api/v2/deliveries/{delivery_id}/redeliver")
        await records.try_all(world.store)
        told = await last_of(heard)

    assert told == ("delivery", delivery_id, "delivered", 2, "ok")


async def test_what_a_job_sends_again_is_told(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    event_ids = [await records.push(world) for _ in range(3)]
    await records.try_all(world.store)
    clock.move(days=2)
    hub_of(world)

    async with listening(admin, WEB) as heard:
        await admin.post(
            "/api/v2/redelivery-jobs", {"repository": "acme/web", "state": ["delivered"]}
        )
        await work_off(world.store)
        told = [await last_of(heard) for _ in event_ids]

    expected = [
        one for each in event_ids for one in await records.deliveries_of(world.store, each)
    ]
    assert sorted(one[1] for one in told) == sorted(expected)
    assert {one[2] for one in told} == {"waiting"}


async def work_off(store: Store) -> None:
    is_needed = True
    while is_needed:
        async with store.begin() as tx:
            is_needed = await redelivery_jobs.step(tx)


async def test_a_stream_goes_on_after_the_last_id_without_a_gap(
    world: World, admin: Client, clock: SetClock
) -> None:
    await records.add_notification(world.store)
    older = await records.push(world)
    (waited,) = await records.deliveries_of(world.store, older)
    clock.move(hours=3)
    async with listening(admin, WEB) as heard:
        last_id = heard.last_id
    clock.move(minutes=5)
    await records.try_all(world.store, records.DOWN, state=State.DEAD)
    missed = await records.push(world)
    (made,) = await records.deliveries_of(world.store, missed)
    clock.move(minutes=5)

    by_header, by_query = [], []
    async with listening(admin, WEB, last_id=last_id) as heard:
        by_header = [brief(await heard.next()) for _ in range(3)]
        next_id = heard.last_id
    async with listening(admin, f"{WEB}&last_id={last_id}") as heard:
        by_query = [brief(await heard.next()) for _ in range(3)]
    clock.move(minutes=5)
    later = await records.push(world, tag="later")
    async with listening(admin, WEB, last_id=next_id) as heard:
        after = brief(await heard.next())

    expected = [
        ("event", missed),
        ("delivery", waited, "dead", 1, "http_5xx"),
        ("delivery", made, "waiting", 0, None),
    ]
    assert (by_header, by_query) == (expected, expected)
    assert after == ("event", later)


async def test_a_stream_that_breaks_within_a_batch_has_missed_nothing_of_it(
    world: World, admin: Client, clock: SetClock
) -> None:
    async with listening(admin, WEB) as heard:
        start = heard.last_id
    clock.move(minutes=1)
    event_ids = [await records.push(world) for _ in range(3)]

    async with listening(admin, WEB, last_id=start) as heard:
        first, between = brief(await heard.next()), heard.last_id
    clock.move(minutes=1)
    async with listening(admin, WEB, last_id=between) as heard:
        again = [brief(await heard.next()) for _ in event_ids]

    assert first == ("event", event_ids[0])
    assert again == [("event", one) for one in event_ids]


async def test_a_row_whose_id_is_older_than_one_told_already_is_told(
    world: World, admin: Client, clock: SetClock
) -> None:
    late_id = ids.compose("evt", clock.now, 0)

    async with listening(admin, WEB) as heard:
        clock.move(seconds=3)
        await records.push(world)
        first = brief(await heard.next())
        event_id = await records.push(world)
        second = brief(await heard.next())
        # As if its transaction had begun before the others, and ended after them.
        async with world.store.begin() as tx:
            await tx.run(update(t.events).where(t.events.c.id == event_id).values(id=late_id))
        third = brief(await heard.next())

    assert (second, third) == (("event", event_id), ("event", late_id))
    assert first != second


async def test_a_long_transaction_is_waited_for(store: Store, clock: SetClock) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has one writer: nothing is recorded beside a long transaction")
    clock.now = datetime.now(UTC)  # PostgreSQL says by its own clock when a transaction began
    world = await open_world(store)
    admin = await world.client("admin")
    repository_id = await records.repository_id_of(world.store)
    async with world.store.begin() as tx:
        late_id = tx.new_id("evt")
        await tx.run(t.events.insert().values(**event_row(late_id, repository_id, tx.now)))
        async with listening(admin, WEB) as heard:
            clock.move(minutes=2)
            first = await records.push(world)
            told = [brief(await heard.next())]
            last_id = heard.last_id
    clock.move(minutes=2)
    async with listening(admin, WEB, last_id=last_id) as heard:
        told += [brief(await heard.next()), brief(await heard.next())]

    assert told == [("event", first), ("event", late_id), ("event", first)]


def event_row(event_id: str, repository_id: str, now: datetime) -> dict[str, object]:
    return {
        "id": event_id,
        "kind": "repo_push",
        "namespace": "acme",
        "repository": "web",
        "is_user": False,
        "namespace_id": "ns_acme",
        "repository_id": repository_id,
        "body": b"{}",
        "facts": {},
        "occurred_at": now,
        "recorded_at": now,
    }


async def test_a_stream_of_a_namespace_tells_of_all_its_repositories_and_no_other(
    world: World,
) -> None:
    boss = await world.client("boss")

    async with listening(boss, f"{LIVE}?namespace=acme") as heard:
        await records.push(world, "admin/open")
        event_ids = [await records.push(world, path) for path in ("acme/web", "acme/team/app")]
        told = [brief(await heard.next()) for _ in event_ids]

    assert told == [("event", one) for one in event_ids]


async def test_two_streams_of_one_repository_share_their_looks(
    world: World, admin: Client
) -> None:
    hub = hub_of(world)
    boss = await world.client("boss")

    async with listening(admin, WEB) as one, listening(boss, WEB) as other:
        event_id = await records.push(world)
        told = brief(await one.next()), brief(await other.next())
        watched = len(hub._watched)

    assert told == (("event", event_id), ("event", event_id))
    assert watched == 1
    assert (hub._holders.total(), len(hub._watched)) == (0, 0)


async def test_a_quiet_stream_says_that_it_lives_and_moves_its_id(
    world: World, admin: Client, clock: SetClock
) -> None:
    hub_of(world, beat_seconds=0.05)

    async with listening(admin, WEB) as heard:
        first = heard.last_id
        clock.move(minutes=1)
        while heard.last_id == first:
            await heard.until(beats=heard.beats + 1)

    assert int(heard.last_id.split(".")[0]) - int(first.split(".")[0]) == 60_000
    assert heard.rest() == []


async def test_a_revoked_token_ends_its_stream(world: World, admin: Client) -> None:
    hub_of(world, beat_seconds=0.05)

    async with listening(admin, WEB) as heard:
        async with world.store.begin() as tx:
            await tx.run(delete(t.tokens))
        await heard.until(is_over=True)

    ended = ("end", {"code": "not_allowed", "detail": EndedError().detail})
    assert heard.rest() == [ended]


async def test_signing_out_ends_the_stream_of_a_session(world: World) -> None:
    hub_of(world, beat_seconds=0.05)
    client, headers = await signed_in(world, "admin")

    async with listening(client, WEB) as heard:
        await client.post("/api/v1/signout", headers=headers)
        await heard.until(is_over=True)

    ended = ("end", {"code": "not_allowed", "detail": EndedError().detail})
    assert heard.rest() == [ended]


async def test_a_lost_right_ends_the_stream(world: World, admin: Client) -> None:
    hub_of(world, beat_seconds=0.05)

    async with listening(admin, WEB) as heard:
        async with world.store.begin() as tx:
            await tx.run(update(t.permissions).values(role="write"))
        await heard.until(is_over=True)

    ended = ("end", {"code": "not_allowed", "detail": ForbiddenError().detail})
    assert heard.rest() == [ended]


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [
        (None, "repository=acme/web", 401),
        ("writer", "repository=acme/web", 403),
        ("fresh", "repository=acme/web", 403),
        ("admin", "namespace=acme", 403),
        ("boss", "namespace=nobody", 403),
        ("admin", "", 400),
        ("admin", "repository=acme/web&namespace=acme", 400),
        ("admin", "repository=acme/web&last_id=x", 400),
    ],
)
async def test_who_may_not_listen_is_refused_before_the_stream_begins(
    world: World, name: str | None, query: str, status: int
) -> None:
    hub = hub_of(world)
    client = world.anonymous if name is None else await world.client(name)

    answer = await client.get(f"{LIVE}?{query}")

    assert (answer.status, answer.json()["status"]) == (status, status)
    assert hub._holders.total() == 0


async def test_streams_beyond_the_limits_are_refused(world: World, admin: Client) -> None:
    hub_of(world, most=3, most_of_one=2)
    boss = await world.client("boss")

    async with listening(admin, WEB), listening(admin, WEB):
        of_one = await admin.get(WEB)
        async with listening(boss, WEB):
            of_all = await boss.get(WEB)
    async with listening(admin, WEB) as heard:
        after = heard.status

    assert [(one.status, one.json()["type"]) for one in (of_one, of_all)] == [
        (429, "https://dockbell.test/api/v1/error/too_many_streams")
    ] * 2
    assert of_one.headers["retry-after"] == "15"
    assert after == 200


async def test_a_server_that_stops_ends_its_streams_and_opens_none(
    world: World, admin: Client
) -> None:
    hub = hub_of(world)

    async with listening(admin, WEB) as heard:
        await hub.drain()
        await heard.until(is_over=True)
    answer = await admin.get(WEB)

    assert [(kind, data["code"]) for kind, data in heard.rest()] == [("end", "stopping")]
    assert answer.status == 503


async def test_asking_for_the_head_opens_no_stream(world: World, admin: Client) -> None:
    hub = hub_of(world)

    async with listening(admin, WEB, verb="HEAD") as heard:
        await heard.until(is_over=True)
        held = hub._holders.total()

    assert (heard.status, held) == (200, 0)


async def test_a_listener_who_does_not_read_is_let_go() -> None:
    stream = Stream(Position.without_open(NOON))
    one = Message("event", b"{}", "1.x")

    stream.push([one] * 2001, "1.x")

    assert await stream.take(0) is None
    assert stream.end is not None
    assert stream.end.code == "too_slow"


async def test_nobody_looks_while_nobody_listens(world: World, admin: Client) -> None:
    hub = hub_of(world)
    async with listening(admin, WEB):
        during = hub._looking is not None
    statements = Statements.of(world.store)
    async with asyncio.timeout(5):
        while hub._looking is not None:
            await asyncio.sleep(0.01)

    assert during
    assert statements.take() <= MOST_OF_A_LOOK


async def test_too_much_to_catch_up_with_is_said(
    world: World, admin: Client, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_BACK", 2)
    async with listening(admin, WEB) as heard:
        last_id = heard.last_id
    clock.move(minutes=1)
    for _ in range(3):
        await records.push(world)
    clock.move(minutes=1)

    async with listening(admin, WEB, last_id=last_id) as heard:
        kind, data = await heard.next()
        after_reset = heard.last_id
        event_id = await records.push(world)
        later = brief(await heard.next())

    assert (kind, data["code"]) == ("reset", "too_much")
    assert int(after_reset.split(".")[0]) > int(last_id.split(".")[0])
    assert later == ("event", event_id)


async def test_streams_outlive_a_look_that_failed_and_miss_nothing(
    world: World, admin: Client, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_live, "_AWAY_SECONDS", 0.01)
    whole = web_live.live.load
    failures = iter([UnavailableError, ValueError])

    async def break_off(*arguments: Any) -> Any:
        error = next(failures, None)
        if error is not None:
            raise error
        return await whole(*arguments)

    async with listening(admin, WEB) as heard:
        monkeypatch.setattr(web_live.live, "load", break_off)
        event_id = await records.push(world)
        told = brief(await heard.next())

    assert told == ("event", event_id)
    assert next(failures, None) is None
