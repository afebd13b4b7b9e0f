"""What settled tries do to notifications, and who hears of it, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from dockbell.domain.deliveries import Trigger
from dockbell.domain.outcomes import Code, Rejected
from dockbell.store import notices
from dockbell.store import tables as t
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.queues import again, dead, lease, prepare, record, result_of, rows, settle

GONE = Rejected(Code.HTTP_410, "The target answered 410.", gone=True)


@pytest.fixture
async def one(store: Store) -> str:
    """A notification of `acme/web`, which `ann` and the team's `boss` administer; `boss` sits in acme's owners."""
    (notification_id,) = await prepare(store)
    async with store.begin() as tx:
        for name in ("ann", "boss", "reader"):
            await tx.run(
                insert(t.namespaces).values(
                    id=f"nsp_{name}",
                    name=name,
                    kind="user",
                    email=f"{name}@example.com",
                    created_at=tx.now,
                )
            )
            await tx.run(insert(t.users).values(namespace_id=f"nsp_{name}"))
        for name, role in (("ann", "admin"), ("reader", "read")):
            await tx.run(
                insert(t.permissions).values(
                    repository_id="rep_web",
                    holder_id=f"nsp_{name}",
                    user_id=f"nsp_{name}",
                    role=role,
                )
            )
        await tx.run(
            insert(t.teams).values(
                id="team_owners",
                namespace_id="nsp_acme",
                name="owners",
                role="admin",
                created_at=tx.now,
            )
        )
        await tx.run(
            insert(t.team_members).values(
                team_id="team_owners",
                user_id="nsp_boss",
                member_id="nsp_boss",
                created_at=tx.now,
            )
        )
    return notification_id


async def fail(store: Store, one: str, clock: SetClock) -> None:
    async with store.begin() as tx:
        await record(tx, [one])
    (order, *_) = await lease(store, 1)
    await settle(store, [again(order, clock() + timedelta(days=30))])


async def heard_by(store: Store, name: str) -> list[str]:
    """The kinds of what this user sees, the oldest first."""
    async with store.read() as tx:
        found = await notices.list_for(tx, f"nsp_{name}", offset=0, limit=50)
    return [notice.kind for notice in reversed(found)]


async def test_owners_hear_that_nothing_arrives_for_an_hour_and_only_once(
    store: Store, one: str, clock: SetClock
) -> None:
    for _ in range(4):
        await fail(store, one, clock)
        clock.move(minutes=20)
    before = [await heard_by(store, name) for name in ("ann", "boss", "reader")]

    await fail(store, one, clock)
    clock.move(hours=3)
    await fail(store, one, clock)

    assert before == [["notification_failing"], ["notification_failing"], []]
    assert [await heard_by(store, name) for name in ("ann", "boss", "reader")] == before


async def test_owners_are_warned_when_half_seven_and_nine_tenths_of_the_time_are_over(
    store: Store, one: str, clock: SetClock
) -> None:
    heard = []
    for hours in (0, 59, 2, 22, 2, 22, 2, 13):
        clock.move(hours=hours)
        await fail(store, one, clock)
        heard.append(len(await heard_by(store, "ann")))
    async with store.read() as tx:
        found = await notices.list_for(tx, "nsp_ann", offset=0, limit=9)
    said = [(notice.kind, str(notice.metadata["message"])) for notice in reversed(found)]

    assert heard == [0, 1, 2, 2, 3, 3, 4, 5]
    tail = "It is tried again; look at the target."
    near = f"{tail} After five days the notification is paused."
    assert said[:-1] == [
        ("notification_failing", f"Nothing has arrived for 2 days and 11 hours. {tail}"),
        ("notification_failing", f"Nothing has arrived for 2 days and 13 hours. {near}"),
        ("notification_failing", f"Nothing has arrived for 3 days and 13 hours. {near}"),
        ("notification_failing", f"Nothing has arrived for 4 days and 13 hours. {near}"),
    ]
    assert said[-1][0] == "notification_paused"
    mails = select(t.owner_mails.c.kind).where(t.owner_mails.c.email == "ann@example.com")
    assert [kind for (kind,) in await rows(store, mails.order_by(t.owner_mails.c.id))] == [
        kind for kind, _ in said[1:]
    ]


async def test_owners_hear_of_a_pause_with_its_reason_and_of_the_recovery(
    store: Store, one: str, clock: SetClock
) -> None:
    async with store.begin() as tx:
        for _ in range(3):
            await record(tx, [one])
    order, *rest = await lease(store)
    await settle(store, [dead(order, GONE), *(again(other, clock()) for other in rest)])
    async with store.read() as tx:
        (paused,) = await notices.list_for(tx, "nsp_ann", offset=0, limit=9)
    async with store.begin() as tx:
        await record(tx, [(one, True)], Trigger.TEST)
    (test,) = await lease(store)

    await settle(store, [result_of(test)])

    (uuid,) = (await rows(store, select(t.notifications.c.uuid)))[0]
    assert (paused.kind, paused.organization, dict(paused.metadata)) == (
        "notification_paused",
        None,
        {
            "namespace": "acme",
            "repository": "acme/web",
            "notification": uuid,
            "title": None,
            "event": "repo_push",
            "method": "webhook",
            "reason": "gone",
            "parked": 2,
            "message": "The target says that it is gone for good (410). The notification is paused; 2 events are "
            "parked and will be sent when it resumes. Mend the target, then send a test or reset the notification.",
        },
    )
    assert await heard_by(store, "boss") == ["notification_paused", "notification_recovered"]


async def test_five_days_without_a_success_pause(
    store: Store, one: str, clock: SetClock
) -> None:
    await fail(store, one, clock)
    clock.move(days=5)

    await fail(store, one, clock)

    columns = (t.notifications.c.pause_reason, t.notifications.c.failure_streak)
    assert await rows(store, select(*columns)) == [("no_success", 0)]


async def test_a_single_success_ends_the_failing(
    store: Store, one: str, clock: SetClock
) -> None:
    await fail(store, one, clock)
    clock.move(days=4, hours=23)
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    await settle(store, [result_of(order)])
    clock.move(days=1)

    await fail(store, one, clock)

    columns = (t.notifications.c.pause_reason, t.notifications.c.failing_since)
    assert await rows(store, select(*columns)) == [(None, clock())]


async def test_a_rolled_back_pause_tells_nobody(store: Store, one: str) -> None:
    async with store.begin() as tx:
        await record(tx, [one])
    (order,) = await lease(store)
    async with store.begin() as tx:
        await tx.run(update(t.deliveries).values(lease="another"))

    await settle(store, [dead(order, GONE)])  # late: its lease is gone

    assert await heard_by(store, "ann") == []


async def test_a_notice_is_no_event_and_so_raises_none(
    store: Store, one: str, clock: SetClock
) -> None:
    """Not even where the notification that fails is the one that tells of failures."""
    async with store.begin() as tx:
        await tx.run(update(t.notifications).values(method="quay_notification"))
        await record(tx, [one])
    (order,) = await lease(store)
    before = [await rows(store, select(table.c.id)) for table in (t.events, t.deliveries)]

    await settle(store, [dead(order, GONE)])

    after = [await rows(store, select(table.c.id)) for table in (t.events, t.deliveries)]
    assert await heard_by(store, "ann") == ["notification_paused"]
    assert after == before
    assert not await lease(store)
