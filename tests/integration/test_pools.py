"""Callers and the engine do not take each other's connections away."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dockbell.bootstrap import build
from dockbell.settings import Settings
from dockbell.store.transactions import Store
from tests import queues
from tests.receiver import Receiver

_MOST_CONNECTIONS = 20  # of the callers' pool with its overflow


async def test_deliveries_go_on_while_callers_hold_every_connection(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no connections to run out of: who writes takes turns")
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver())
        application = build(
            Settings(data=tmp_path, database_url=database_url, egress_allow=("loopback",))
        )
        await application.start()
        stack.push_async_callback(application.close)
        stack.push_async_callback(application.drain)
        for _ in range(_MOST_CONNECTIONS):
            await stack.enter_async_context(application.store.begin())

        async with application.engine_store.begin() as tx:
            await queues.add_place(tx)
            made = await queues.add_notification(tx, url=receiver.url("/hook"))
            await queues.record(tx, [made.id])
            tx.ring()
        requests = await receiver.wait_for(1)

    assert [request.path for request in requests] == ["/hook"]
