"""The engine delivers: a real store, real sockets, a clock that the test moves."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from structlog.testing import capture_logs

from dockbell.domain import ids
from dockbell.domain.deliveries import PauseReason, Trigger
from dockbell.domain.methods import Config, Field, Lookup, Message, Method, Outbound
from dockbell.domain.outcomes import Delivered, Outcome
from dockbell.engine import dispatcher
from dockbell.engine.retry import Policy
from dockbell.store import deliveries, notifications, redeliveries, signing_secrets
from dockbell.store import tables as t
from dockbell.store.seals import Seal
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import (
    INTAKE,
    add,
    push,
    record,
    running,
    the_delivery,
    until,
    until_states,
)
from tests.factories import WEB
from tests.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


class Broken:
    """A method with a bug."""

    name = "broken"
    title = "Broken"
    fields: tuple[Field, ...] = ()
    signs = False
    warning = None

    async def check(self, config: Config, lookup: Lookup) -> None:
        """Take anything."""

    def target(self, config: Config) -> str:
        return "Nowhere"

    def host(self, config: Config) -> str | None:
        return None

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        raise KeyError("oops")


class Stuck(Broken):
    """A method that waits for ever."""

    name = "stuck"

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        await asyncio.Event().wait()
        return Delivered()


class Speechless(Broken):
    """A method that returns nothing, as only one from elsewhere can."""

    name = "speechless"

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        return None  # type: ignore[return-value]  # -- that is the bug


class Stubborn(Broken):
    """A method that cannot be stopped, until the test lets it end."""

    name = "stubborn"

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def send(self, message: Message, config: Config, out: Outbound) -> Outcome:
        self.has_begun.set()
        while not self.may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.may_end.wait()
        return Delivered()


# From the event to the receiver


async def test_an_event_is_posted_with_quays_body_and_a_signature(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url("/hook"))
    async with store.begin() as tx:
        await signing_secrets.insert(tx, one.id, b"s" * 32)

    async with running(store, clock):
        await record(store, clock)
        (request,) = await receiver.wait_for(1)
        await until_states(store, "delivered")

    delivery_id = await the_delivery(store)
    assert json.loads(request.body) == {
        "repository": "acme/web",
        "namespace": "acme",
        "name": "web",
        "docker_url": "dockbell.test/acme/web",
        "homepage": "https://dockbell.test/repository/acme/web",
        "updated_tags": ["latest"],
    }
    assert (request.header("webhook-id"), request.header("dockbell-event")) == (
        delivery_id,
        "repo_push",
    )
    assert (request.header("webhook-signature") or "").startswith("v1,")
    assert await queues.attempts(store, delivery_id) == [(1, "delivered", "ok")]


async def test_an_event_that_nobody_wants_is_kept(store: Store, clock: SetClock) -> None:
    await add(store, "https://hooks.test/a", event_config={"ref-regex": "refs/heads/never"})

    event_id = await record(
        store, clock, kind="build_success", details={"trigger_metadata": {}}
    )

    assert await queues.rows(store, select(t.events.c.id)) == [(event_id,)]
    assert await queues.states(store) == {}


async def test_the_same_producer_key_fifty_times_is_one_event(
    store: Store, clock: SetClock
) -> None:
    await add(store, "https://hooks.test/a")

    made = await asyncio.gather(
        *(record(store, clock, producer_key="push-1") for _ in range(50))
    )

    assert await queues.rows(store, select(t.events.c.id)) == [(made[0],)]
    assert set(made) == {made[0]}
    assert len(await queues.states(store)) == 1


async def test_an_event_of_the_namespace_reaches_its_own_notifications_only(
    store: Store, clock: SetClock
) -> None:
    await add(store, "https://hooks.test/a", kind="quota_warning")
    async with store.begin() as tx:
        of_namespace = await notifications.insert(
            tx,
            namespace_id="nsp_acme",
            repository_id=None,
            kind="quota_warning",
            method="webhook",
            title=None,
            config={"url": "https://hooks.test/b"},
            event_config={},
        )

    await record(store, clock, kind="quota_warning", repository_id=None, details={})

    found = await queues.rows(store, select(t.deliveries.c.notification_id))
    assert found == [(of_namespace.id,)]


async def test_a_notice_is_put_into_the_inbox_once(store: Store, clock: SetClock) -> None:
    one = await add(store, "", method="quay_notification")
    async with store.begin() as tx:
        await tx.run(
            insert(t.namespaces).values(
                id="nsp_alice", name="alice", kind="user", email=None, created_at=tx.now
            )
        )
        config = json.dumps({"target": {"kind": "user", "name": "alice"}}).encode()
        await tx.run(update(t.notifications).values(config_sealed=tx.seal.close(config)))
    async with running(store, clock):
        await record(store, clock)
        await until_states(store, "delivered")
        async with store.begin() as tx:  # as if the process had died before it settled
            await tx.run(update(t.deliveries).values(state="waiting"))
            await tx.run(update(t.lanes).values(next_due_at=tx.now))
            tx.ring()
        await until_states(store, "delivered")

    assert await queues.rows(store, select(t.notices.c.namespace_id, t.notices.c.kind)) == [
        ("nsp_alice", "repo_push")
    ]
    assert len(await queues.rows(store, select(t.attempts))) == 2
    assert one.paused_at is None


# Retrying


async def test_a_failing_target_is_tried_on_schedule_with_the_same_id_and_body(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    receiver.answer(status=503, times=2)

    async with running(store, clock, policy=Policy(jitter=0.0)) as engine:
        await record(store, clock)
        for count, wait in ((1, 5), (2, 30)):
            await receiver.wait_for(count)
            await until_states(store, "waiting")
            clock.move(seconds=wait - 0.001)
            engine.ring()
            await asyncio.sleep(0.05)  # nothing may happen, so there is nothing to wait for
            assert len(receiver.requests) == count
            clock.move(seconds=0.001)
            engine.ring()
        await receiver.wait_for(3)
        await until_states(store, "delivered")

    assert len({(one.body, one.header("webhook-id")) for one in receiver.requests}) == 1
    assert [one.header("dockbell-attempt") for one in receiver.requests] == ["1", "2", "3"]
    assert await queues.attempts(store, await the_delivery(store)) == [
        (1, "failed", "http_5xx"),
        (2, "failed", "http_5xx"),
        (3, "delivered", "ok"),
    ]


async def test_a_retry_wakes_the_engine_without_a_bell(
    store: Store, receiver: Receiver, new_id: ids.NewId
) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415 -- only here does time pass by itself

    store._clock = lambda: datetime.now(UTC)
    await add(store, receiver.url())
    receiver.answer(status=500, times=1)
    policy = Policy(waits=[timedelta(milliseconds=50)])

    async with running(store, store._clock, policy=policy):
        async with store.begin() as tx:
            await INTAKE.record(tx, push(SetClock(tx.now)))
        await receiver.wait_for(2, within=1.5)  # less than the poll interval

    assert [one.header("dockbell-attempt") for one in receiver.requests] == ["1", "2"]


@pytest.mark.quirk("Q15", "Q16")
async def test_three_dead_deliveries_pause_and_a_delivered_test_releases_what_was_parked(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url())
    receiver.answer(status=500, times=3)

    async with running(store, clock, policy=Policy(waits=())):
        for count in (1, 2, 3):
            await record(store, clock, f"dead-{count}")
            await receiver.wait_for(count)
            await until_states(store, *["dead"] * count)
        for tag in ("parked-1", "parked-2"):
            clock.move(seconds=1)
            await record(store, clock, tag)
        async with store.begin() as tx:
            paused = await notifications.load(tx, one.id)
            await INTAKE.test(tx, paused, WEB, None)
        await receiver.wait_for(6)
        await until_states(store, *["dead"] * 3, *["delivered"] * 3)

    tags = [json.loads(request.body)["updated_tags"] for request in receiver.requests[4:]]
    assert (paused.pause_reason, paused.failure_streak) == (PauseReason.FAILURES, 3)
    assert receiver.requests[3].header("dockbell-trigger") == "test"
    assert tags == [["parked-1"], ["parked-2"]]
    async with store.read() as tx:
        assert (await notifications.load(tx, one.id)).failure_streak == 0


async def test_a_target_that_is_gone_gets_nothing_more(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url())
    receiver.answer(status=410)

    async with running(store, clock):
        await record(store, clock)
        await until_states(store, "dead")
        await record(store, clock)
        await until_states(store, "dead", "waiting")

    async with store.read() as tx:
        assert (await notifications.load(tx, one.id)).pause_reason is PauseReason.GONE
    assert len(receiver.requests) == 1


@pytest.mark.quirk("Q14")
async def test_a_failed_test_is_over_after_one_try(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url())
    receiver.answer(status=500)

    async with running(store, clock):
        async with store.begin() as tx:
            await INTAKE.test(tx, one, WEB, None)
        await until_states(store, "dead")

    async with store.read() as tx:
        assert (await notifications.load(tx, one.id)).failure_streak == 0


@pytest.mark.slow
async def test_a_bell_that_nobody_hears_costs_one_poll_interval(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())

    async with running(store, clock):
        async with store.begin() as tx:
            await INTAKE.record(tx, push(clock))
            tx.rings = False  # as if this process had died right after the commit
        await receiver.wait_for(1, within=2.5)
        await until_states(store, "delivered")


# What goes wrong on our side


@pytest.mark.parametrize(
    ("method", "what"), [(Broken(), "KeyError"), (Speechless(), "it returned NoneType")]
)
async def test_a_methods_bug_stays_with_its_own_delivery(
    store: Store, clock: SetClock, receiver: Receiver, method: Method, what: str
) -> None:
    broken = await add(store, "x", method=method.name)
    await add(store, receiver.url())

    async with running(store, clock, more={method.name: method}):
        await record(store, clock)
        await until_states(store, "waiting", "delivered")

    assert await queues.rows(
        store,
        select(t.deliveries.c.tries, t.attempts.c.code, t.attempts.c.fault, t.attempts.c.detail)
        .join(t.attempts, t.attempts.c.delivery_id == t.deliveries.c.id)
        .where(t.deliveries.c.notification_id == broken.id),
    ) == [
        (0, "internal_error", "ours", f"The method `{method.name}` failed by a bug ({what}).")
    ]


async def test_a_redelivery_that_meets_a_bug_is_tried_again_whatever_came_before(
    store: Store, clock: SetClock
) -> None:
    broken = await add(store, "x", method="broken")
    async with store.begin() as tx:
        (delivery_id,) = await queues.record(tx, [broken.id])
        await tx.run(
            update(t.deliveries).values(state="dead", tries=12, attempts=12, finished_at=tx.now)
        )
        await redeliveries.redeliver(tx, delivery_id, broken.id, Trigger.REDELIVER, None)
    clock.move(seconds=1)

    async with running(store, clock, more={"broken": Broken()}):
        await until(lambda: queues.attempts(store, delivery_id))

    ((state, due_at),) = await queues.rows(
        store, select(t.deliveries.c.state, t.deliveries.c.due_at)
    )
    assert (state, (due_at - clock()) <= timedelta(seconds=6)) == ("waiting", True)


@pytest.mark.parametrize(
    "damage", [{"config_sealed": b"nonsense"}, {"pause_reason": "nonsense"}]
)
async def test_a_notification_that_cannot_be_read_holds_up_no_other(
    store: Store, clock: SetClock, receiver: Receiver, damage: dict[str, Any]
) -> None:
    damaged = await add(store, receiver.url())
    await add(store, receiver.url())
    async with store.begin() as tx:
        await tx.run(
            update(t.notifications).where(t.notifications.c.id == damaged.id).values(damage)
        )

    async with running(store, clock):
        await record(store, clock)
        await until_states(store, "waiting", "delivered")

    assert await queues.rows(
        store,
        select(t.deliveries.c.tries, t.attempts.c.code, t.attempts.c.fault)
        .join(t.attempts, t.attempts.c.delivery_id == t.deliveries.c.id)
        .where(t.deliveries.c.notification_id == damaged.id),
    ) == [(0, "internal_error", "ours")]
    assert len(receiver.requests) == 1


async def test_a_try_that_fails_has_a_line_in_the_log_without_its_address(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url("/a-secret-path"))
    receiver.answer(status=503)

    with capture_logs() as lines:
        async with running(store, clock, policy=Policy(waits=())):
            await record(store, clock)
            await until_states(store, "dead")

    (line,) = [line for line in lines if line["event"] == "delivery is dead"]
    assert (line["code"], line["attempt"], line["delivery"]) == (
        "http_5xx",
        1,
        await the_delivery(store),
    )
    assert "a-secret-path" not in str(lines)


@pytest.mark.parametrize(
    ("column", "code"), [("method", "method_unknown"), ("kind", "event_unknown")]
)
async def test_names_that_are_not_installed_are_said_so(
    store: Store, clock: SetClock, column: str, code: str
) -> None:
    await add(store, "https://hooks.test/a")
    await record(store, clock)
    async with store.begin() as tx:
        table = t.notifications if column == "method" else t.events
        await tx.run(update(table).values({column: "carrier_pigeon"}))

    async with running(store, clock):
        await until_states(store, "dead")

    assert await queues.attempts(store, await the_delivery(store)) == [(1, "rejected", code)]


async def test_an_event_that_is_no_longer_kept_ends_its_delivery(
    store: Store, clock: SetClock
) -> None:
    await add(store, "https://hooks.test/a")
    await record(store, clock)
    async with store.begin() as tx:
        await tx.run(delete(t.events))

    async with running(store, clock):
        await until_states(store, "dead")

    attempts = await queues.attempts(store, await the_delivery(store))
    assert attempts == [(1, "rejected", "event_unknown")]


async def test_a_delivery_whose_notification_is_gone_is_cancelled(
    store: Store, clock: SetClock
) -> None:
    one = await add(store, "https://hooks.test/a")
    await record(store, clock)
    async with store.begin() as tx:
        await notifications.delete(tx, one.id)  # its deliveries were recorded meanwhile

    async with running(store, clock):
        await until_states(store, "cancelled")

    assert await queues.attempts(store, await the_delivery(store)) == []
    await queues.assert_lanes_are_right(store)


async def test_a_changed_notification_is_used_at_the_next_try(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    one = await add(store, receiver.url("/old"))

    async with running(store, clock):
        await record(store, clock)
        await receiver.wait_for(1)
        clock.move(seconds=1)
        async with store.begin() as tx:
            sealed = tx.seal.close(json.dumps({"url": receiver.url("/new")}).encode())
            await tx.run(
                update(t.notifications)
                .where(t.notifications.c.id == one.id)
                .values(config_sealed=sealed, updated_at=tx.now)
            )
        await record(store, clock)
        await receiver.wait_for(2)

    assert [request.path for request in receiver.requests] == ["/old", "/new"]


@pytest.mark.slow
async def test_a_method_that_hangs_is_ended_from_outside(store: Store, clock: SetClock) -> None:
    await add(store, "x", method="stuck")

    async with running(store, clock, more={"stuck": Stuck()}, timeout=0.01):
        await record(store, clock)
        await until_states(store, "sending")
        await until_states(store, "waiting")

    attempts = await queues.attempts(store, await the_delivery(store))
    assert attempts == [(1, "failed", "total_timeout")]


# Starting and stopping


async def test_what_a_former_process_left_is_sent_at_the_start(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    await record(store, clock)
    await queues.lease(store, worker="killed")

    async with running(store, clock, own_everything=True):
        await until_states(store, "delivered")

    assert await queues.attempts(store, await the_delivery(store)) == [
        (1, "failed", "interrupted"),
        (2, "delivered", "ok"),
    ]
    assert len(receiver.requests) == 1


async def test_lanes_that_count_wrong_are_put_right_at_the_start(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    """One seems to be full, one to have nothing. All is sent once, and no more at once than the lane takes."""
    full, idle = (
        await add(store, receiver.url("/full")),
        await add(store, receiver.url("/idle")),
    )
    for _ in range(6):
        await record(store, clock)
    async with store.begin() as tx:
        lane = update(t.lanes).where(t.lanes.c.id == bindparam("lane"))
        await tx.run(lane.values(max_inflight=2, inflight=9), [{"lane": full.id}])
        await tx.run(lane.values(max_inflight=2, next_due_at=None), [{"lane": idle.id}])
    may_end = asyncio.Event()
    receiver.answer(wait=may_end)

    async with running(store, clock):
        begun = await receiver.wait_for(4)
        await queues.assert_lanes_are_right(store)
        assert sorted(one.path for one in begun) == ["/full", "/full", "/idle", "/idle"]
        may_end.set()
        await until_states(store, *["delivered"] * 12)

    sent = [one.header("webhook-id") for one in receiver.requests]
    assert len(sent) == len(set(sent)) == 12
    await queues.assert_lanes_are_right(store)


async def test_a_lease_of_another_process_is_respected_until_it_ends(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    await record(store, clock)
    await queues.lease(store, worker="other", span=timedelta(seconds=30))

    async with running(store, clock):
        await asyncio.sleep(0.1)  # nothing may happen
        before = len(receiver.requests)
    clock.move(seconds=30)
    async with running(store, clock):
        await until_states(store, "delivered")

    assert (before, len(receiver.requests)) == (0, 1)


async def test_draining_lets_running_tries_end(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    for _ in range(20):
        await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)

    async with running(store, clock) as engine:
        await record(store, clock)
        await receiver.wait_for(20)
        draining = asyncio.create_task(engine.drain(within=5))
        await record(store, clock)  # comes too late for this process
        may_answer.set()
        await draining

    assert (
        sorted((await queues.states(store)).values()) == ["delivered"] * 20 + ["waiting"] * 20
    )
    await queues.assert_lanes_are_right(store)


@pytest.mark.parametrize("timeout", [0.5, 10.0, 600.0])
async def test_a_lease_outlasts_the_longest_try_by_far(
    store: Store, clock: SetClock, receiver: Receiver, timeout: float
) -> None:
    await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)

    async with running(store, clock, timeout=timeout):
        await record(store, clock)
        await receiver.wait_for(1)
        ((until_then,),) = await queues.rows(store, select(t.deliveries.c.leased_until))
        may_answer.set()
        await until_states(store, "delivered")

    assert until_then - clock.now >= timedelta(seconds=2 * timeout + 20)


async def test_another_process_takes_over_at_once_what_is_handed_back(
    database_url: str,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    new_id: ids.NewId,
    seal: Seal,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one process")
    other = Store.open(database_url, clock=clock, new_id=new_id, seal=seal)
    await add(store, receiver.url())
    receiver.answer(drop="stall", times=1)

    async with running(store, clock, worker="a") as first:
        await record(store, clock)
        await receiver.wait_for(1)
        async with running(other, clock, worker="b"):
            await until(lambda: _are_listening(database_url, 2))
            await first.drain(within=0.0)
            await receiver.wait_for(2, within=1.0)  # less than the poll interval
            await until_states(store, "delivered")

    await other.close()


async def test_what_does_not_end_in_time_is_handed_back_uncharged(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    receiver.answer(drop="stall")

    async with running(store, clock, drain_within=0.05):
        await record(store, clock)
        await receiver.wait_for(1)
    receiver.answer(status=200)
    delivery_id = await the_delivery(store)
    handed_back = await queues.rows(
        store,
        select(t.deliveries.c.state, t.deliveries.c.tries, t.deliveries.c.lease),
    )
    async with running(store, clock, worker="w2"):
        await until_states(store, "delivered")

    assert handed_back == [("waiting", 0, None)]
    assert await queues.attempts(store, delivery_id) == [
        (1, "failed", "interrupted"),
        (2, "delivered", "ok"),
    ]


async def test_a_method_that_cannot_be_stopped_does_not_keep_the_engine(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_SHARE_FOR_HANDING_BACK", 0.05)
    await add(store, "x", method="stubborn")
    stubborn = Stubborn()

    async with asyncio.timeout(5):
        async with running(store, clock, more={"stubborn": stubborn}, drain_within=0.0):
            await record(store, clock)
            await until_states(store, "sending")
            await stubborn.has_begun.wait()  # the lease is there a moment before
    clock.move(minutes=2)
    async with running(store, clock, more={"stubborn": Broken()}, worker="w2"):
        await until_states(store, "waiting")
    left = [one for one in asyncio.all_tasks() if "Try._send" in repr(one)]
    stubborn.may_end.set()
    assert await asyncio.gather(*left) == [None]

    attempts = await queues.attempts(store, await the_delivery(store))
    assert attempts[:1] == [(1, "failed", "interrupted")]


async def test_an_engine_can_be_drained_at_once_after_its_start(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    await record(store, clock)

    async with running(store, clock, drain_within=0.0):
        pass

    assert (await queues.states(store)).popitem()[1] in {"waiting", "delivered"}
    await queues.assert_lanes_are_right(store)


async def test_more_is_sent_than_fits_at_once(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    for _ in range(10):
        await add(store, receiver.url())

    async with running(store, clock, concurrency=4):
        for _ in range(10):
            await record(store, clock)
            clock.move(seconds=1)
        await until_states(store, *["delivered"] * 100)

    assert len(receiver.requests) == 100
    await queues.assert_lanes_are_right(store)


async def test_a_target_that_hangs_does_not_keep_others_waiting(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    hanging = await add(store, receiver.url("/hang"), event_config={})
    receiver.answer(wait=asyncio.Event())
    async with store.begin() as tx:
        for _ in range(80):
            await queues.record(tx, [hanging.id])

    async with Receiver() as quiet, running(store, clock, drain_within=0.0, concurrency=128):
        await receiver.wait_for(64)
        await add(store, quiet.url())
        await record(store, clock)
        await quiet.wait_for(1, within=1.5)

    assert len(receiver.requests) == 64  # no more than the lane is wide


# The database goes away, and other processes


async def _terminate_all(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def test_results_outlive_a_database_that_breaks_off(
    database_url: str, store: Store, clock: SetClock, receiver: Receiver
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no server that could break off")
    await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)

    async with running(store, clock):
        await record(store, clock)
        await receiver.wait_for(1)
        await _terminate_all(database_url)
        may_answer.set()
        await until_states(store, "delivered")
        await until(lambda: record(store, clock))  # and it goes on
        await until_states(store, "delivered", "delivered")

    assert len(receiver.requests) == 2


async def test_another_process_is_woken_by_the_bell(
    database_url: str,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    new_id: ids.NewId,
    seal: Seal,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one process")
    await add(store, receiver.url())
    other = Store.open(database_url, clock=clock, new_id=new_id, seal=seal)

    async with running(other, clock):
        async with store.begin() as tx:  # until it listens
            (event_id,) = [await INTAKE.record(tx, push(clock, "first"))]
        await receiver.wait_for(1)
        await record(store, clock, "second")
        await receiver.wait_for(2, within=1.5)  # less than the poll interval
        await _terminate_all(database_url)
        await until(lambda: _are_listening(database_url, 1))
        await until(lambda: record(store, clock, "third"))
        await receiver.wait_for(3, within=1.5)

    await other.close()
    assert event_id.startswith("evt_")


async def _are_listening(url: str, count: int) -> bool:
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        return bool(await connection.fetchval(query) == count)
    finally:
        await connection.close()


async def test_two_engines_share_the_work(
    database_url: str,
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    new_id: ids.NewId,
    seal: Seal,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one process")
    for _ in range(10):
        await add(store, receiver.url())
    for _ in range(10):
        await record(store, clock)
    other = Store.open(database_url, clock=clock, new_id=new_id, seal=seal)
    both_are_at_work = asyncio.Event()
    # Or the first would be done before the second begins.
    receiver.answer(wait=both_are_at_work)

    async with (
        running(store, clock, worker="a", concurrency=8),
        running(other, clock, worker="b", concurrency=8),
    ):
        await receiver.wait_for(16)
        both_are_at_work.set()
        await until_states(store, *["delivered"] * 100)

    await other.close()
    sent = [request.header("webhook-id") for request in receiver.requests]
    assert len(sent) == len(set(sent)) == 100
    workers = {row[0] for row in await queues.rows(store, select(t.attempts.c.worker))}
    assert workers == {"a", "b"}
    await queues.assert_lanes_are_right(store)


async def test_an_engine_does_not_take_back_what_it_still_works_on(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer)

    async with running(store, clock) as engine:
        await record(store, clock)
        await receiver.wait_for(1)
        clock.move(
            minutes=2
        )  # as after an outage: the lease has run out, the result is to come
        rescued = await engine.rescue()
        may_answer.set()
        await until_states(store, "delivered")

    assert rescued == 0
    assert len(receiver.requests) == 1
    assert await queues.attempts(store, await the_delivery(store)) == [(1, "delivered", "ok")]


async def test_a_frozen_workers_late_result_is_only_written_down(
    store: Store, clock: SetClock, receiver: Receiver
) -> None:
    await add(store, receiver.url())
    may_answer = asyncio.Event()
    receiver.answer(wait=may_answer, times=1)

    async with running(store, clock, worker="frozen"):
        await record(store, clock)
        await receiver.wait_for(1)
        clock.move(minutes=2)
        async with store.begin() as tx:
            await deliveries.rescue(tx, lambda: 0.0)
        await receiver.wait_for(2)
        await until_states(store, "delivered")
        may_answer.set()

        async def is_late_known() -> bool:
            return len(await queues.rows(store, select(t.attempts))) == 3

        await until(is_late_known)

    assert await queues.attempts(store, await the_delivery(store)) == [
        (1, "failed", "interrupted"),
        (2, "delivered", "ok"),
        (3, "late", "ok"),
    ]
