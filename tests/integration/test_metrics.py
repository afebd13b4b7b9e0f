"""`/metrics`: what it holds after real work, who may read it, and that it holds no names."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dockbell.observability.exposition import text_of
from dockbell.observability.metrics import Metrics
from dockbell.store.transactions import Store
from dockbell.web.app import build_app
from dockbell.web.metrics import LOCAL, OFF, OPEN, Scrapes
from tests import engines, queues
from tests.apps import _no_registry
from tests.asgi import Client
from tests.conftest import SetClock
from tests.receiver import Receiver
from tests.world import World, open_world


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as opened:
        yield opened


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


def client_of(world: World, scrapes: Scrapes, *, peer: str = "127.0.0.1") -> Client:
    app = build_app(
        store=world.store,
        faces=world.faces,
        v1=(),
        v2=(),
        others=(),
        registry=_no_registry,
        intake=_no_registry,
        checks={},
        scrapes=scrapes,
    )
    return Client(app, peer=peer)


def values_of(body: bytes) -> dict[str, float]:
    """Every line, its labels' values behind its name."""
    return {
        " ".join([line.name, *line.labels.values()]): line.value
        for family in text_string_to_metric_families(body.decode())
        for line in family.samples
    }


async def test_metrics_tell_of_requests_queue_pool_and_process(world: World) -> None:
    client = client_of(world, Scrapes(world.store))
    await client.get("/acme/secret-name")

    answer = await client.get("/metrics")

    found = values_of(answer.body)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found["dockbell_http_requests_total GET other 404"] == 1
    assert found["dockbell_database_up"] == 1
    assert found["dockbell_deliveries_pending due"] == 0
    assert found["dockbell_database_pool_connections http in_use"] == 0
    assert found["dockbell_clock_offset_seconds"] == 0
    assert found["process_open_fds"] > 0
    assert b"secret-name" not in answer.body


@pytest.mark.parametrize(
    ("access", "token", "peer", "headers", "status"),
    [
        (LOCAL, "", "127.0.0.1", {}, 200),
        (LOCAL, "", "::1", {}, 200),
        (LOCAL, "", "192.0.2.7", {}, 403),
        (LOCAL, "", "127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        (LOCAL, "", "127.0.0.1", {"Forwarded": "for=192.0.2.7"}, 403),
        (OPEN, "", "192.0.2.7", {}, 200),
        (OFF, "", "127.0.0.1", {}, 404),
        (OFF, "s3cret", "127.0.0.1", {"Authorization": "Bearer s3cret"}, 404),
        (LOCAL, "s3cret", "192.0.2.7", {"Authorization": "Bearer s3cret"}, 200),
        (LOCAL, "s3cret", "192.0.2.7", {"Authorization": "Bearer s3cre"}, 403),
        (LOCAL, "s3cret", "127.0.0.1", {}, 403),
        (OPEN, "s3cret", "127.0.0.1", {"Authorization": "Bearer é"}, 403),
    ],
)
async def test_who_may_read_metrics(
    world: World, access: str, token: str, peer: str, headers: dict[str, str], status: int
) -> None:
    client = client_of(world, Scrapes(world.store, access=access, token=token), peer=peer)

    answer = await client.get("/metrics", headers=headers)

    assert answer.status == status
    assert (b"dockbell_build_info" in answer.body) == (status == 200)


async def test_many_scrapers_share_one_look_at_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(world, Scrapes(world.store))
    looks: list[None] = []
    read = Store.read
    monkeypatch.setattr(Store, "read", lambda store: (looks.append(None), read(store))[1])

    await asyncio.gather(*(client.get("/metrics") for _ in range(20)))

    assert len(looks) == 1


async def test_metrics_are_there_while_the_database_is_away(world: World) -> None:
    gone = Store.open(
        "postgresql://nobody@127.0.0.1:1/none",
        clock=world.store._clock,
        new_id=world.store._new_id,
        seal=world.store.seal,
    )
    client = client_of(world, Scrapes(gone))

    answer = await client.get("/metrics")

    found = values_of(answer.body)
    await gone.close()
    assert (answer.status, found["dockbell_database_up"]) == (200, 0)
    assert [name for name in found if "pending" in name] == []


async def test_tries_and_events_are_counted_by_names_of_ours_alone(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    metrics = Metrics()
    async with store.begin() as tx:
        await queues.add_place(tx)
        await queues.add_notification(tx, url=receiver.url("/private-path"))
    intake = replace(engines.INTAKE, metrics=metrics)
    async with engines.running(store, clock, metrics=metrics):
        async with store.begin() as tx:
            await intake.record(tx, engines.push(clock))
        await engines.until_states(store, "delivered")

    text = text_of(await Scrapes(store, metrics).families())

    found = values_of(text.encode())
    assert found["dockbell_events_received_total registry repo_push"] == 1
    assert found["dockbell_delivery_attempts_total webhook delivered ok 2xx"] == 1
    assert found["dockbell_deliveries_finished_total delivered ok"] == 1
    assert found["dockbell_delivery_end_to_end_seconds_count"] == 1
    assert found["dockbell_delivery_attempt_phase_seconds_count first_byte"] == 1
    assert re.findall(r"acme|web\b|private-path|127\.0\.0|dlv_|ntf_|evt_", text) == []


async def test_events_taken_in_together_are_counted_one_by_one(
    store: Store, clock: SetClock
) -> None:
    metrics = Metrics()
    async with store.begin() as tx:
        await queues.add_place(tx)
    intake = replace(engines.INTAKE, metrics=metrics)
    first = replace(engines.push(clock), source="api", producer_key="build-7")
    second = replace(first, producer_key="build-8")
    async with store.begin() as tx:
        await intake.record_many(tx, [first, second])
    async with store.begin() as tx:
        await intake.record_many(tx, [first])

    found = values_of(text_of(await Scrapes(store, metrics).families()).encode())

    assert found["dockbell_events_received_total api repo_push"] == 2
    assert found["dockbell_events_deduplicated_total api"] == 1


async def test_an_event_that_is_undone_is_not_counted(store: Store, clock: SetClock) -> None:
    metrics = Metrics()
    intake = replace(engines.INTAKE, metrics=metrics)

    with pytest.raises(RuntimeError):
        async with store.begin() as tx:
            await intake.record(tx, engines.push(clock))
            raise RuntimeError

    assert "dockbell_events_received_total{" not in text_of(
        await Scrapes(store, metrics).families()
    )
