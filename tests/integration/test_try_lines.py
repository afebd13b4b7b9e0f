"""One line of the log for each try, as JSON, at the level that its outcome deserves."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from dockbell.engine.retry import Policy
from dockbell.observability import logs
from dockbell.store.transactions import Store
from tests import engines, queues
from tests.conftest import SetClock
from tests.receiver import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
def log(own_logging: None) -> Iterator[io.StringIO]:
    del own_logging
    yield io.StringIO()
    logs._shown["least"] = logging.INFO


async def one_try(
    store: Store, clock: SetClock, receiver: Receiver, ends: str, policy: Policy
) -> tuple[str, str, str]:
    async with store.begin() as tx:
        await queues.add_place(tx)
        added = await queues.add_notification(tx, url=receiver.url("/secret-path"))
    event_id = await engines.record(store, clock)
    async with engines.running(store, clock, policy=policy):

        async def is_tried() -> bool:
            delivery_id = await engines.the_delivery(store)
            return len(await queues.attempts(store, delivery_id)) == 1

        await engines.until(is_tried)
        await engines.until_states(store, ends)
    return await engines.the_delivery(store), added.id, event_id


def tries_of(log: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    tries = [one for one in lines if "attempt" in one]
    for one in tries:
        assert one.pop("milliseconds") >= 0
        del one["timestamp"]
    return tries


async def test_a_try_that_was_delivered_is_a_line_at_debug(
    store: Store, clock: SetClock, receiver: Receiver, log: io.StringIO
) -> None:
    logs.configure(style="json", level="debug", stream=log)

    delivery, notification, event = await one_try(
        store, clock, receiver, "delivered", Policy(waits=())
    )

    assert tries_of(log) == [
        {
            "message": "delivered",
            "level": "debug",
            "logger": "dockbell.engine",
            "delivery": delivery,
            "notification": notification,
            "event_id": event,
            "attempt": 1,
            "method": "webhook",
            "code": "ok",
            "status": 200,
        }
    ]
    assert "secret-path" not in log.getvalue()


async def test_a_try_that_was_delivered_is_no_line_at_info(
    store: Store, clock: SetClock, receiver: Receiver, log: io.StringIO
) -> None:
    logs.configure(style="json", level="info", stream=log)

    await one_try(store, clock, receiver, "delivered", Policy(waits=()))

    assert tries_of(log) == []


@pytest.mark.parametrize(
    ("waits", "ends", "level", "message"),
    [
        ((timedelta(hours=1),), "waiting", "info", "try failed"),
        ((), "dead", "warning", "delivery is dead"),
    ],
)
async def test_a_try_that_failed_is_a_line_at_info_and_the_last_at_warning(
    store: Store,
    clock: SetClock,
    receiver: Receiver,
    log: io.StringIO,
    waits: tuple[timedelta, ...],
    ends: str,
    level: str,
    message: str,
) -> None:
    logs.configure(style="json", level="info", stream=log)
    receiver.answer(status=503, body=b"what it said")

    delivery, notification, event = await one_try(
        store, clock, receiver, ends, Policy(waits=waits)
    )

    (line,) = tries_of(log)
    assert (line.pop("next_try_at") is None) == (ends == "dead")
    assert line == {
        "message": message,
        "level": level,
        "logger": "dockbell.engine",
        "delivery": delivery,
        "notification": notification,
        "event_id": event,
        "attempt": 1,
        "method": "webhook",
        "code": "http_5xx",
        "status": 503,
        "fault": "target",
    }
    assert "what it said" not in log.getvalue()
