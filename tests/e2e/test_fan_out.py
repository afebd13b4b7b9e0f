"""An event for thousands of notifications, and processes that are killed while they make its deliveries."""

import asyncio
import signal
import uuid
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from dockbell.store import tables as t
from dockbell.store.fan_out import PART
from dockbell.store.transactions import Store
from tests import queues
from tests.e2e.programs import Program, serving
from tests.e2e.test_faults import furnish, push_one, settings_of

ALL = 9 * PART
KILLS = 2


async def multiply(store: Store) -> None:
    """Pause the one notification, so that nothing is sent, and add copies until there are ALL."""
    async with store.begin() as tx:
        await tx.run(update(t.notifications).values(paused_at=tx.now, pause_reason="person"))
        row = await tx.first(select(t.notifications))
        assert row is not None
        copied = dict(row._mapping)
        await tx.run(
            insert(t.notifications),
            [
                {**copied, "id": tx.new_id("ntf"), "uuid": str(uuid.uuid4())}
                for _ in range(1, ALL)
            ],
        )


async def count(store: Store) -> int:
    ((number,),) = await queues.rows(store, select(func.count()).select_from(t.deliveries))
    return int(number)


async def kill_amid(server: Program, store: Store, done: int) -> int:
    """Kill the server once it has made more than that, before it has made all; return how many there are."""
    async with asyncio.timeout(30):
        while (made := await count(store)) <= done:
            await asyncio.sleep(0.005)
    server.end(signal.SIGKILL)
    return max(made, await count(store))


@pytest.mark.slow
async def test_kills_amid_a_fan_out_lose_nothing_and_make_nothing_twice(
    tmp_path: Path, database_url: str, store: Store
) -> None:
    settings = settings_of(database_url)
    with serving(tmp_path, **settings) as server:
        furnish(server, "http://127.0.0.1:9/hook")
        server.end()
    await multiply(store)
    seen = []

    with serving(tmp_path, **settings) as server:
        await push_one(server)
        seen.append(await kill_amid(server, store, PART))
    for _ in range(1, KILLS):
        with serving(tmp_path, **settings) as server:
            seen.append(await kill_amid(server, store, seen[-1]))
    with serving(tmp_path, **settings) as server:
        async with asyncio.timeout(30):
            while await count(store) < ALL:
                await asyncio.sleep(0.05)
        server.end()

    assert [number for number in seen if PART < number < ALL and number % PART == 0] == seen
    reached = await queues.rows(store, select(t.deliveries.c.notification_id))
    assert len(set(reached)) == len(reached) == ALL
    assert Counter((await queues.states(store)).values()) == {"waiting": ALL}
    assert await queues.rows(store, select(t.fan_outs.c.number)) == []
    await queues.assert_lanes_are_right(store)
