"""While our own network or name service is down, no target is charged, paused or left alone."""

import socket
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from dockbell.engine.outages import HOSTS
from dockbell.engine.retry import Policy
from dockbell.net.http import Sender
from dockbell.net.policy import EgressPolicy
from dockbell.net.resolver import Resolver
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import add, record, running, until, until_states
from tests.receiver import Receiver

POLICY = Policy(waits=(timedelta(seconds=5),) * 2, jitter=0.0)
EVENTS = 7  # more than open a breaker, and than a policy of two waits allows


class NameService:
    """The system's lookup, which can be away."""

    def __init__(self) -> None:
        self.is_away = True

    def __call__(self, host: str) -> Sequence[str]:
        if self.is_away:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ["127.0.0.1"]


async def test_an_outage_of_our_name_service_is_charged_to_nobody(
    store: Store, clock: SetClock
) -> None:
    names = NameService()
    sender = Sender(EgressPolicy.of("loopback"), Resolver(lookup=names), timeout=5.0)
    sender.start()
    async with Receiver() as receiver:
        for number in range(HOSTS + 1):
            await add(store, receiver.url("/hook", host=f"h{number}.test"))
        async with running(store, clock, policy=POLICY, outbound=sender) as engine:
            for _ in range(EVENTS):
                clock.move(seconds=10)
                await record(store, clock)
                clock.move(
                    seconds=1
                )  # a lease that met the open transaction looks a little later
                engine.ring()
                await until(lambda: _nothing_is_due(store, clock))
            problem = engine.network_problem()
            charged = sum(
                row[0] for row in await queues.rows(store, select(t.deliveries.c.tries))
            )
            breakers = await queues.rows(store, select(t.breakers.c.host))
            streaks = await queues.rows(store, select(t.notifications.c.failure_streak))

            names.is_away = False
            clock.move(hours=1)
            engine.ring()
            await until_states(store, *["delivered"] * EVENTS * (HOSTS + 1))
            over = engine.network_problem()

    await sender.close()
    assert (problem, over) == ("No name server answers.", None)
    assert charged == HOSTS - 1  # before anybody could know better
    assert breakers == []
    assert streaks == [(0,)] * (HOSTS + 1)


async def _nothing_is_due(store: Store, clock: SetClock) -> bool:
    statement = select(t.deliveries.c.id).where(
        t.deliveries.c.state.in_(["waiting", "sending"]), t.deliveries.c.due_at <= clock()
    )
    return not await queues.rows(store, statement)
