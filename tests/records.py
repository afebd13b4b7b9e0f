"""Events, deliveries and tries in the world of API tests, made by the real services and the real queue."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from dockbell.domain.deliveries import State
from dockbell.domain.events import Subject
from dockbell.domain.outcomes import Code, Delivered, Exchange, Failed, Outcome
from dockbell.services.intake import Draft
from dockbell.store import deliveries, notifications
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests import queues
from tests.world import World

EXCHANGE = Exchange(
    address="192.0.2.9",
    status=200,
    request_headers=(("content-type", "application/json"), ("authorization", "***")),
    response_headers=(("x-served-by", "a"),),
    response_body=b"ol\xc3\xa9 \xff",
    phases={"connect": 0.01, "total": 0.03},
)
OK = Delivered(EXCHANGE, "The target answered 200.")
DOWN = Failed(Code.HTTP_5XX, "The target answered 503.", Exchange(status=503))


async def repository_id_of(store: Store, path: str = "acme/web") -> str:
    namespace, _, name = path.partition("/")
    async with store.read() as tx:
        row = await tx.first(
            select(t.repositories.c.id).where(
                t.repositories.c.namespace_id == f"ns_{namespace}",
                t.repositories.c.name == name,
            )
        )
    assert row is not None
    found: str = row.id
    return found


async def add_notification(store: Store, path: str = "acme/web", **changes: Any) -> str:
    """A notification of the repository; return its id."""
    repository_id = await repository_id_of(store, path)
    values: dict[str, Any] = {
        "kind": "repo_push",
        "method": "webhook",
        "title": None,
        "config": {"url": "https://hooks.test/the-secret"},
        "event_config": {},
        **changes,
    }
    async with store.begin() as tx:
        made = await notifications.insert(
            tx,
            namespace_id=f"ns_{path.partition('/')[0]}",
            repository_id=repository_id,
            **values,
        )
    return made.id


async def push(
    world: World, path: str = "acme/web", tag: str = "latest", **changes: Any
) -> str:
    """Record a push with what it sets going; return the event's id."""
    namespace, _, name = path.partition("/")
    draft = Draft(
        **{
            "kind": "repo_push",
            "subject": Subject(namespace, name),
            "namespace_id": f"ns_{namespace}",
            "repository_id": await repository_id_of(world.store, path),
            "details": {"updated_tags": [tag]},
            "facts": {},
            "performer": None,
            "occurred_at": world.store._clock(),
            **changes,
        }
    )
    async with world.store.begin() as tx:
        return await world.faces.intake.record(tx, draft)


async def deliveries_of(store: Store, event_id: str) -> list[str]:
    async with store.read() as tx:
        rows = await tx.rows(
            select(t.deliveries.c.id)
            .where(t.deliveries.c.event_id == event_id)
            .order_by(t.deliveries.c.id)
        )
    return [row.id for row in rows]


async def try_all(
    store: Store,
    outcome: Outcome = OK,
    *,
    state: State = State.DELIVERED,
    again_in: timedelta | None = None,
) -> None:
    """Make one try of all that is due, with this end; `again_in` plans another."""
    for order in await queues.lease(store):
        due = None if again_in is None else store._clock() + again_in
        await queues.settle(
            store,
            [queues.result_of(order, outcome, state=state, due_at=due)],
        )


async def pause(store: Store, notification_id: str, reason: Any) -> None:
    async with store.begin() as tx:
        await notifications.pause(tx, notification_id, reason)
        await deliveries.pause(tx, notification_id)
