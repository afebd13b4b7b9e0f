"""An engine on a real store and real sockets, and the ways tests feed it and wait for it."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from dockbell.domain.methods import Method
from dockbell.domain.notifications import Notification
from dockbell.engine.engine import Engine, most_tries
from dockbell.engine.outlet import Mail, Post
from dockbell.engine.retry import DEFAULT, Policy
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.observability.metrics import Metrics
from dockbell.services.intake import Draft, Intake
from dockbell.store import tables as t
from dockbell.store.failures import is_passing
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.factories import KINDS, LINKS, METHODS, WEB

INTAKE = Intake(KINDS, LINKS)


@contextlib.asynccontextmanager
async def running(  # a test says only what it is about
    store: Store,
    clock: Callable[[], Any],
    *,
    more: Mapping[str, Method] | None = None,
    timeout: float = 10.0,
    policy: Policy = DEFAULT,
    own_everything: bool = False,
    drain_within: float = 5.0,
    worker: str = "w1",
    concurrency: int = 64,
    metrics: Metrics | None = None,
    outbound: Post | None = None,
    steady: Callable[[], float] | None = None,
    mailer: Mail | None = None,
    most_of_host: int = 0,
) -> AsyncIterator[Engine]:
    sender = Sender(
        EgressPolicy.of("loopback"),
        Resolver(),
        timeout=timeout,
        max_inflight=most_tries(concurrency),
    )
    sender.start()
    engine = Engine(
        store,
        kinds=KINDS,
        methods={**METHODS, **(more or {})},
        links=LINKS,
        outbound=outbound or sender,
        clock=clock,
        chance=random.Random(7).random,
        worker=worker,
        timeout=timedelta(seconds=timeout),
        policy=policy,
        concurrency=concurrency,
        own_everything=own_everything,
        metrics=metrics,
        steady=steady,
        mailer=mailer,
        most_of_host=most_of_host,
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.drain(within=drain_within)
        await sender.close()


async def add(store: Store, url: str, *, method: str = "webhook", **more: Any) -> Notification:
    async with store.begin() as tx:
        if await tx.first(select(t.namespaces)) is None:
            await queues.add_place(tx)
        return await queues.add_notification(tx, method=method, url=url, **more)


def push(clock: SetClock, tag: str = "latest", **changes: Any) -> Draft:
    return Draft(
        **{
            "kind": "repo_push",
            "subject": WEB,
            "namespace_id": "nsp_acme",
            "repository_id": "rep_web",
            "details": {"updated_tags": [tag]},
            "facts": {},
            "performer": None,
            "occurred_at": clock(),
            **changes,
        }
    )


async def record(store: Store, clock: SetClock, tag: str = "latest", **changes: Any) -> str:
    async with store.begin() as tx:
        return await INTAKE.record(tx, push(clock, tag, **changes))


async def until(condition: Callable[[], Any], within: float = 8.0) -> None:
    """Wait until the condition, a coroutine function, gives true."""
    async with asyncio.timeout(within):
        while True:
            try:
                if await condition():
                    return
            except Exception as error:
                if not is_passing(error):
                    raise
            await asyncio.sleep(0.01)


async def until_states(store: Store, *wanted: str) -> None:
    async def are_there() -> bool:
        return sorted((await queues.states(store)).values()) == sorted(wanted)

    try:
        await until(are_there)
    except TimeoutError:
        assert sorted((await queues.states(store)).values()) == sorted(wanted)


async def the_delivery(store: Store) -> str:
    (delivery_id,) = await queues.states(store)
    return delivery_id
