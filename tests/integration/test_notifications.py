"""Notifications from the service down to the tables: audit, cancelling, releasing, cost and transactions."""

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, insert, select, text

from dockbell.domain.deliveries import PauseReason, State
from dockbell.store import notifications as notification_rows
from dockbell.store.tables import audit_entries, deliveries, lanes, repositories
from dockbell.store.tables import notifications as notifications_table
from dockbell.store.transactions import Store
from tests.accounts import note_hot
from tests.asgi import Client
from tests.world import World, open_world

BASE = "/api/v1/repository/acme/web/notification/"
NEW = {
    "event": "repo_push",
    "method": "webhook",
    "config": {"url": "http://example.com/the-secret"},
    "eventConfig": {},
}


@pytest.fixture
async def world(store: Store) -> World:
    return await open_world(store)


@pytest.fixture
async def admin(world: World) -> Client:
    return await world.client("admin")


async def make(client: Client, base: str = BASE) -> str:
    answer = await client.post(base, NEW)
    assert answer.status == 201, answer.body
    uuid: str = answer.json()["uuid"]
    return uuid


async def _id_of(store: Store, uuid: str) -> str:
    async with store.read() as tx:
        row = await tx.first(
            select(notifications_table.c.id).where(notifications_table.c.uuid == uuid)
        )
    assert row is not None
    found: str = row.id
    return found


async def _states(store: Store) -> list[str]:
    async with store.read() as tx:
        rows = await tx.rows(select(deliveries.c.state).order_by(deliveries.c.id))
    return [row.state for row in rows]


@contextlib.contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """The statements that run inside the block, on either connection pool."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement.strip())

    engines = {store._writer.sync_engine, store._reader.sync_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    note_hot(store, seen)
    yield seen
    del store._tx  # the class's own is back
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


async def test_every_change_and_test_writes_an_audit_entry(
    world: World, admin: Client, store: Store
) -> None:
    uuid = await make(admin)
    await admin.post(f"{BASE}{uuid}/test")
    await admin.post(BASE + uuid)
    await admin.get(BASE + uuid)
    await admin.delete(BASE + uuid)
    await admin.delete(BASE + uuid)  # refused: writes nothing

    async with store.read() as tx:
        rows = await tx.rows(select(audit_entries).order_by(audit_entries.c.id))
        repository = await tx.first(
            select(repositories.c.id).where(repositories.c.name == "web")
        )
    assert repository is not None
    assert [row.kind for row in rows] == [
        "add_repo_notification",
        "test_repo_notification",
        "reset_repo_notification",
        "delete_repo_notification",
    ]
    for row in rows:
        named = {key: row.metadata[key] for key in list(row.metadata)[:5]}
        assert named == {
            "repo": "web",
            "namespace": "acme",
            "notification_id": uuid,
            "event": "repo_push",
            "method": "webhook",
        }
        assert (row.actor_name, row.namespace_id, row.repository_id) == (
            "admin",
            "ns_acme",
            repository.id,
        )
        assert "the-secret" not in str(row.metadata)


async def test_a_delete_cancels_what_waits_and_keeps_the_record(
    admin: Client, store: Store
) -> None:
    uuid, other = await make(admin), await make(admin)
    await admin.post(f"{BASE}{uuid}/test")
    await admin.post(f"{BASE}{other}/test")

    await admin.delete(BASE + uuid)

    assert await _states(store) == [State.CANCELLED, State.WAITING]


async def test_a_deleted_repository_cancels_what_waits(
    world: World, admin: Client, store: Store
) -> None:
    uuid = await make(admin)
    elsewhere = "/api/v1/repository/acme/api/notification/"
    other = await make(admin, elsewhere)
    await admin.post(f"{BASE}{uuid}/test")
    await admin.post(f"{elsewhere}{other}/test")

    deleted = await admin.delete("/api/v1/repository/acme/web")

    assert deleted.status == 204
    assert await _states(store) == [State.CANCELLED, State.WAITING]


async def test_a_reset_resumes_a_paused_notification_and_opens_its_lane(
    admin: Client, store: Store
) -> None:
    uuid = await make(admin)
    notification_id = await _id_of(store, uuid)
    async with store.begin() as tx:
        await notification_rows.set_streak(tx, notification_id, 3)
        await notification_rows.pause(tx, notification_id, PauseReason.FAILURES)
        await tx.run(lanes.delete().where(lanes.c.id == notification_id))
        await tx.run(
            insert(lanes).values(
                id=notification_id,
                notification_id=notification_id,
                max_inflight=1,
                served_at=tx.now,
                is_paused=True,
            )
        )

    reset = await admin.post(BASE + uuid)

    async with store.read() as tx:
        loaded = await notification_rows.load(tx, notification_id)
        lane = await tx.first(select(lanes.c.is_paused).where(lanes.c.id == notification_id))
    assert reset.status == 204
    assert (loaded.failure_streak, loaded.paused_at, loaded.pause_reason) == (0, None, None)
    assert lane is not None
    assert lane.is_paused is False


async def test_a_list_costs_the_same_with_one_row_and_with_three(
    admin: Client, store: Store
) -> None:
    await make(admin)
    with counted(store) as one:
        await admin.get(BASE)
    await make(admin)
    await make(admin)

    with counted(store) as three:
        listed = await admin.get(BASE)

    assert len(listed.json()["notifications"]) == 3
    assert three == one
    assert len([statement for statement in one if statement.startswith("SELECT")]) == 3


async def test_no_transaction_is_open_while_a_target_is_checked(
    world: World, admin: Client, store: Store
) -> None:
    open_connections: list[int] = []

    async def refusal(url: str) -> str | None:
        del url
        open_connections.append(
            store._writer.pool.checkedout()  # type: ignore[attr-defined] -- every pool here is a queue
            + store._reader.pool.checkedout()  # type: ignore[attr-defined] -- the same
        )
        async with asyncio.timeout(5), store.begin():
            return None

    object.__setattr__(world.faces.notifications.lookups, "refusal", refusal)

    created = await admin.post(BASE, NEW)

    assert (created.status, open_connections) == (201, [0])


async def test_a_repository_deleted_during_the_check_is_404_and_keeps_nothing(
    world: World, store: Store
) -> None:
    boss = await world.client("boss")

    async def refusal(url: str) -> str | None:
        del url
        async with store.begin() as tx:
            await tx.run(repositories.delete().where(repositories.c.name == "web"))
        return None

    object.__setattr__(world.faces.notifications.lookups, "refusal", refusal)

    created = await boss.post(BASE, NEW)

    async with store.read() as tx:
        rows = await tx.rows(select(notifications_table.c.id))
    assert (created.status, rows) == (404, [])


async def _is_somebody_waiting(store: Store) -> bool:
    async with store.read() as tx:
        row = await tx.first(
            text(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )
    return row is not None and row[0] > 0


async def test_a_repository_deleted_while_the_row_is_written_is_404_and_keeps_nothing(
    world: World, store: Store
) -> None:
    boss = await world.client("boss")
    is_deleted = asyncio.Event()

    async def delete_slowly() -> None:
        async with asyncio.timeout(10), store.begin() as tx:
            await tx.run(repositories.delete().where(repositories.c.name == "web"))
            is_deleted.set()
            # SQLite lets nobody else begin to write; PostgreSQL does, and then makes them wait for the row.
            while not store.is_sqlite and not await _is_somebody_waiting(store):
                await asyncio.sleep(0.01)

    tasks: list[asyncio.Task[None]] = []

    async def refusal(url: str) -> str | None:
        del url
        tasks.append(asyncio.create_task(delete_slowly()))
        await is_deleted.wait()
        return None

    object.__setattr__(world.faces.notifications.lookups, "refusal", refusal)

    created = await boss.post(BASE, NEW)
    await asyncio.gather(*tasks)

    async with store.read() as tx:
        rows = await tx.rows(select(notifications_table.c.id))
    assert (created.status, rows) == (404, [])


async def test_a_notification_whose_event_is_not_installed_lists_but_has_no_sample(
    admin: Client, store: Store
) -> None:
    uuid = await make(admin)
    async with store.begin() as tx:
        await tx.run(notifications_table.update().values(kind="from_a_plugin"))

    listed = await admin.get(BASE)
    tested = await admin.post(f"{BASE}{uuid}/test")

    assert [one["event"] for one in listed.json()["notifications"]] == ["from_a_plugin"]
    assert (tested.status, tested.json()["detail"]) == (
        400,
        "The event 'from_a_plugin' is not installed, so there is nothing to send",
    )


async def test_many_creates_at_once_all_succeed(admin: Client) -> None:
    made = await asyncio.gather(*(make(admin) for _ in range(12)))

    listed = await admin.get(BASE)

    assert sorted(one["uuid"] for one in listed.json()["notifications"]) == sorted(made)


async def test_deletes_at_once_remove_a_notification_once(admin: Client, store: Store) -> None:
    uuid = await make(admin)

    answers = await asyncio.gather(*(admin.delete(BASE + uuid) for _ in range(4)))

    async with store.read() as tx:
        kinds = [row.kind for row in await tx.rows(select(audit_entries.c.kind))]
    assert sorted(one.status for one in answers) == [204, 400, 400, 400]
    assert kinds.count("delete_repo_notification") == 1
