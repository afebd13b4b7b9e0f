"""A delivery that ends its process each time it is tried is found, and nothing else is given up for it."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from dockbell.domain.interruptions import LIMIT
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.e2e.programs import ROOT, running, serving
from tests.e2e.test_faults import furnish, push_one, settings_of
from tests.receiver import Receiver

# Installed beside dockbell as a package with a method would be. It also shortens the times of the rule.
POISON = """
import os, signal
from datetime import timedelta
from dockbell.domain import interruptions

interruptions.STEADY_AFTER = timedelta(seconds=1)
interruptions.WAITS = tuple(map(timedelta, [0] * 4, [0, 0.2, 0.3, 1.5]))

class Poison:
    name, title, fields, signs = "poison", "Poison", (), False
    async def check(self, config, lookup): pass
    def target(self, config): return "poison"
    def host(self, config): return None
    async def send(self, message, config, out): os.kill(os.getpid(), signal.SIGKILL)

METHOD = Poison()
"""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def with_poison(tmp_path: Path) -> dict[str, str]:
    """The environment of a server that has the method installed."""
    folder = tmp_path / "installed"
    (folder / "poison-1.dist-info").mkdir(parents=True)
    (folder / "poison.py").write_text(POISON)
    (folder / "poison-1.dist-info" / "METADATA").write_text("Name: poison\nVersion: 1\n")
    (folder / "poison-1.dist-info" / "entry_points.txt").write_text(
        "[dockbell.methods]\npoison = poison:METHOD\n"
    )
    return {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}"}


async def take_back(store: Store) -> None:
    """As if the time of every lease were over. On SQLite a start takes them back anyway."""
    async with store.begin() as tx:
        await tx.run(
            update(t.deliveries)
            .where(t.deliveries.c.state == "sending")
            .values(leased_until=tx.now)
        )


async def is_over(store: Store) -> bool:
    return {"waiting", "sending"}.isdisjoint((await queues.states(store)).values())


async def codes(store: Store) -> dict[str, tuple[str, str | None]]:
    """The state and the last code of each delivery, by the method of its notification."""
    statement = select(t.notifications.c.method, t.deliveries.c.state, t.deliveries.c.code)
    joined = statement.join(
        t.notifications, t.notifications.c.id == t.deliveries.c.notification_id
    )
    return {row[0]: (row[1], row[2]) for row in await queues.rows(store, joined)}


@pytest.mark.slow
async def test_what_kills_its_process_is_set_aside_and_the_rest_arrives(
    tmp_path: Path,
    database_url: str,
    store: Store,
    receiver: Receiver,
    with_poison: dict[str, str],
) -> None:
    receiver.answer(wait=0.2)
    settings = {**settings_of(database_url), **with_poison}
    with serving(tmp_path, "--no-engine", **settings) as server:
        furnish(server, *(receiver.url(f"/{number}") for number in range(5)))
        async with store.begin() as tx:
            await tx.run(
                update(t.notifications)
                .where(
                    t.notifications.c.id
                    == select(t.notifications.c.id).limit(1).scalar_subquery()
                )
                .values(method="poison")
            )
        await push_one(server)
        server.end()

    crashes = 0
    for _ in range(2 * LIMIT):
        await take_back(store)
        with running(tmp_path, "serve", "--port", "0", **settings) as program:
            async with asyncio.timeout(30):
                while program.process.poll() is None and not await is_over(store):
                    await asyncio.sleep(0.02)
            if program.process.poll() != -signal.SIGKILL:
                break
            crashes += 1

    assert LIMIT <= crashes <= LIMIT + 2  # it may have had company by chance
    assert await codes(store) == {
        "poison": ("dead", "interrupted"),
        "webhook": ("delivered", "ok"),
    }
    assert Counter((await queues.states(store)).values()) == {"delivered": 4, "dead": 1}
    await queues.assert_lanes_are_right(store)
