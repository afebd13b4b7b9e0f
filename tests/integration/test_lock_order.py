"""Who removes things and who delivers for them take their locks in one order, so that they never wait in a circle."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import ClassVar

import pytest
from sqlalchemy import insert, select, text, update

from dockbell import events
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.build_reports import BuildState
from dockbell.domain.mirrors import Mirror
from dockbell.domain.permissions import SuperUser
from dockbell.services import organizations, repositories, users
from dockbell.services.builds import Builds
from dockbell.services.feeds import Feeds
from dockbell.services.intake import Draft, Intake
from dockbell.services.mirrors import Mirrors
from dockbell.sources import build_sources
from dockbell.store import feeds as feed_rows
from dockbell.store import lanes, locks, manifests, notifications
from dockbell.store import mirrors as mirror_rows
from dockbell.store import tables as t
from dockbell.store.transactions import Store, Tx
from tests import queues
from tests.factories import LINKS, WEB

INTAKE = Intake(events.catalog(), LINKS)
Removal = Callable[[Tx], Awaitable[None]]


async def _remove_repository(tx: Tx) -> None:
    await repositories.delete(tx, await repositories.admin_of(tx, SYSTEM, "acme/web"))


async def _remove_organization(tx: Tx) -> None:
    admin = await organizations.admin_of_namespace(tx, SYSTEM, "acme")
    await organizations.delete(tx, admin)


async def _remove_user(tx: Tx) -> None:
    await users.delete(tx, SuperUser(SYSTEM), "acme")


REMOVALS = {
    "repository": _remove_repository,
    "organization": _remove_organization,
    "user": _remove_user,
}


@pytest.fixture(params=REMOVALS)
async def removal(request: pytest.FixtureRequest, store: Store) -> Removal:
    """One way to remove `acme/web`, whose only notification has an idle lane."""
    (notification_id,) = await queues.prepare(store)
    if request.param == "user":
        async with store.begin() as tx:
            await tx.run(update(t.namespaces).values(kind="user"))
            await tx.run(insert(t.users).values(namespace_id="nsp_acme"))
    async with store.begin() as tx:
        await queues.record(tx, [notification_id])
    (order,) = await queues.lease(store)
    await queues.settle(store, [queues.result_of(order)])
    found: Removal = REMOVALS[request.param]
    return found


async def _notification_id(store: Store) -> str:
    ((notification_id,),) = await queues.rows(store, select(t.notifications.c.id))
    return str(notification_id)


async def _begin(store: Store, work: Removal) -> "asyncio.Task[None]":
    """Start the work in a transaction of its own; return when it waits for somebody else's lock."""

    async def run() -> None:
        async with store.begin() as tx:
            await work(tx)

    task = asyncio.create_task(run())
    async with asyncio.timeout(5):
        while not await _is_waiting(store):
            assert not task.done()
            await asyncio.sleep(0.01)
    return task


async def _is_waiting(store: Store) -> bool:
    if store.is_sqlite:
        await asyncio.sleep(0)  # it waits for its turn before it asks for anything
        return True
    async with store.read() as tx:
        found = await tx.rows(
            text(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
    return bool(found)


async def _left(store: Store) -> tuple[int, set[str]]:
    """How many notifications there are, and the states of deliveries."""
    kept = await queues.rows(store, select(t.notifications.c.id))
    return len(kept), set((await queues.states(store)).values())


async def test_a_push_under_way_ends_before_its_repository_goes(
    store: Store, removal: Removal
) -> None:
    async with store.begin() as tx:
        assert await manifests.lock_repository(tx, "rep_web")
        going = await _begin(store, removal)
        await INTAKE.record(
            tx,
            Draft(
                kind="repo_push",
                subject=WEB,
                namespace_id="nsp_acme",
                repository_id="rep_web",
                details={"updated_tags": ["latest"]},
                facts={},
                performer=None,
                occurred_at=tx.now,
            ),
        )
    await going

    assert await _left(store) == (0, {"delivered", "cancelled"})
    await queues.assert_lanes_are_right(store)


async def test_results_under_way_are_settled_before_their_notification_goes(
    store: Store, removal: Removal
) -> None:
    notification_id = await _notification_id(store)

    async with store.begin() as tx:
        await notifications.set_streak(tx, notification_id, 1)
        going = await _begin(store, removal)
        await lanes.settle(tx, {notification_id: (0, None)})
    await going

    assert await _left(store) == (0, {"delivered"})


async def test_a_notification_that_is_being_made_goes_with_its_owner(
    store: Store, removal: Removal
) -> None:
    async with store.begin() as tx:
        assert await locks.hold_repository(tx, "rep_web")
        going = await _begin(store, removal)
        await queues.add_notification(tx)
    await going

    assert await _left(store) == (0, {"delivered"})


async def test_a_lease_under_way_ends_before_what_waits_is_cancelled(
    store: Store, removal: Removal
) -> None:
    notification_id = await _notification_id(store)
    async with store.begin() as tx:
        await queues.record(tx, [notification_id])

    async with store.begin() as tx:
        await tx.hot_run(tx.dialect.find_ready(t.to_micros(tx.now), 10, {}, lanes.WIDTH))
        going = await _begin(store, removal)
        await lanes.pause(tx, notification_id)
        await lanes.resume(tx, notification_id)
    await going

    assert await _left(store) == (0, {"delivered", "cancelled"})


class _Removing(Intake):
    """Tells of what it records only when somebody removes the repository meanwhile, and waits for it."""

    going: ClassVar[list["asyncio.Task[None]"]] = []
    begin: ClassVar[Callable[[], Awaitable["asyncio.Task[None]"]]]

    async def record(self, tx: Tx, draft: Draft) -> str:
        self.going.append(await type(self).begin())
        return await super().record(tx, draft)


async def _mirror(store: Store) -> None:
    """Make `acme/web` a mirror that is due, with an idle lane for each of its events."""
    await queues.prepare(store, 0)
    async with store.begin() as tx:
        made = [
            (await queues.add_notification(tx, kind=f"repo_mirror_sync_{kind}")).id
            for kind in ("started", "success", "failed")
        ]
        await queues.record(tx, made)
    orders = await queues.lease(store)
    await queues.settle(store, [queues.result_of(order) for order in orders])
    async with store.begin() as tx:
        mirror = Mirror(
            repository_id="rep_web", is_enabled=True, reference="quay.io/acme/web", username=None,
            registry_config={}, robot=None, globs=("*",), interval=timedelta(days=1),
            start_at=tx.now, timeout=timedelta(minutes=5),
        )  # fmt: skip
        await mirror_rows.add(tx, mirror, robot_id=None, password=None)
        await tx.run(update(t.repositories).values(state="MIRROR"))


@pytest.mark.parametrize("step", ["claim", "succeed", "fail", "cancel"])
async def test_what_a_sync_tells_is_told_before_its_repository_goes(
    store: Store, step: str
) -> None:
    await _mirror(store)
    job = None
    if step != "claim":
        async with store.begin() as tx:
            job = await Mirrors(INTAKE).claim(tx, SYSTEM, "rep_web")
            assert job is not None
    _Removing.going = []
    _Removing.begin = partial(_begin, store, _remove_repository)
    watched = Mirrors(_Removing(events.catalog(), LINKS))

    async with store.begin() as tx:
        if job is None:
            await watched.claim(tx, SYSTEM, "rep_web")
        elif step == "succeed":
            await watched.succeed(tx, SYSTEM, job)
        elif step == "fail":
            await watched.fail(tx, SYSTEM, job, "no answer")
        else:
            await watched.cancel(tx, await repositories.admin_of(tx, SYSTEM, "acme/web"))
    (going,) = _Removing.going
    await going

    assert await _left(store) == (0, {"delivered", "cancelled"})
    await queues.assert_lanes_are_right(store)


@pytest.mark.parametrize("way", ["report", "feed"])
async def test_what_a_build_system_tells_is_told_before_its_repository_goes(
    store: Store, way: str
) -> None:
    """Of a build that is known already, and that somebody waits to hear of."""
    await queues.prepare(store, 0)
    async with store.begin() as tx:
        made = await queues.add_notification(tx, kind="build_success")
        await queues.record(tx, [made.id])
    (order,) = await queues.lease(store)
    await queues.settle(store, [queues.result_of(order)])
    _Removing.going = []
    _Removing.begin = partial(_begin, store, _remove_repository)
    watched = Builds(_Removing(events.catalog(), LINKS))
    source = build_sources()["gitlab"]
    (done,) = source.translate(source.example("secret"))
    async with store.begin() as tx:
        right = await repositories.reporter_of(tx, SYSTEM, "acme/web")
        feed = await feed_rows.add(
            tx, "rep_web", "gitlab", pipelines=[], secret="secret", created_by="x"
        )
        begun = replace(done, state=BuildState.STARTED)
        await Builds(INTAKE).report(tx, right, begun, source="gitlab")

    async with store.begin() as tx:
        if way == "report":
            await watched.report(tx, right, done)
        else:
            feeds = Feeds(watched, build_sources())
            await feeds.receive(tx, feed.id, source.example("secret"))
    (going,) = _Removing.going
    await going

    assert await _left(store) == (0, {"delivered", "cancelled"})
    await queues.assert_lanes_are_right(store)
