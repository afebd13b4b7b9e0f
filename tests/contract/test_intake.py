"""Recording many events at once does what recording each of them does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from dockbell.domain.events import Performer, Subject
from dockbell.services import intake as intake_service
from dockbell.services.intake import Draft, Intake
from dockbell.store import deliveries, fan_out, notifications
from dockbell.store import repositories as repository_rows
from dockbell.store import tables as t
from dockbell.store.events import Earlier
from dockbell.store.transactions import Store, Tx
from tests.accounts import Statements
from tests.factories import KINDS, LINKS, NOON
from tests.queues import assert_lanes_are_right, lease, rows
from tests.world import add_namespace, add_repository, add_team, open_world

INTAKE = Intake(kinds=KINDS, links=LINKS)
MAIN = {"ref-regex": "refs/heads/main$"}


async def furnish(tx: Tx) -> Mapping[str | None, str | None]:
    """Two repositories and their namespace, with notifications of many sorts; return the repositories' ids."""
    namespace_id = await add_namespace(tx, "acme")
    ids: dict[str | None, str | None] = {None: None}
    for name in ("web", "api"):
        ids[name] = await add_repository(tx, "acme", name)
    wanted: Sequence[tuple[str | None, str, Mapping[str, object]]] = [
        ("web", "repo_push", {}),
        ("web", "repo_push", {}),
        ("web", "build_success", MAIN),
        ("web", "build_success", {}),
        ("api", "repo_push", {}),
        ("api", "vulnerability_found", {"level": 1}),
        (None, "quota_warning", {}),
        (None, "repo_push", {}),
    ]
    for number, (name, kind, event_config) in enumerate(wanted):
        made = await notifications.insert(
            tx,
            namespace_id=namespace_id,
            repository_id=ids[name],
            kind=kind,
            method="webhook",
            title=str(number),
            config={"url": "https://hooks.test/a"},
            event_config=event_config,
        )
        if number == 1:
            await tx.run(
                t.notifications.update()
                .where(t.notifications.c.id == made.id)
                .values(paused_at=tx.now)
            )
            await deliveries.pause(tx, made.id)
    return ids


def drafts(ids: Mapping[str | None, str | None]) -> list[Draft]:
    def draft(name: str | None, kind: str, **details: object) -> Draft:
        return Draft(
            kind=kind,
            subject=Subject("acme", name, is_user=True),
            namespace_id="ns_acme",
            repository_id=ids[name],
            details=details,
            facts={"n": 1, "text": 'ä "x" \0'},
            performer=Performer("acme+ci", "robot"),
            occurred_at=NOON - timedelta(seconds=1),
            producer_key=details.get("key"),  # type: ignore[arg-type]  # -- a test's own words
            build_id="b",
        )

    ref = {"ref": "refs/heads/main"}
    return [
        draft("web", "repo_push", updated_tags=["a"]),
        draft("web", "repo_push", updated_tags=["a"], key="one"),
        draft("web", "repo_push", updated_tags=["b"], key="two"),
        draft("web", "build_success", trigger_metadata=ref),
        draft("web", "build_success", trigger_metadata={"ref": "refs/heads/x"}),
        draft("web", "vulnerability_found"),
        draft("api", "repo_push", updated_tags=["é😀"]),
        draft("api", "vulnerability_found", vulnerability={"priority": "High"}),
        draft("api", "vulnerability_found", vulnerability={"priority": "Low"}),
        draft(None, "quota_warning", usage_percent=80),
        draft(None, "quota_error", usage_percent=101),
        draft("web", "repo_push", updated_tags=["a"], key="one"),
    ]


_IDS = {"id", "event_id", "notification_id", "lane_id"}


async def written(store: Store) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """All that matters of events and deliveries, without their ids."""
    columns = [one for one in t.events.c if one.name != "id"]
    found = await rows(
        store, select(*columns).order_by(t.events.c.body, t.events.c.producer_key)
    )
    made = await rows(
        store,
        select(
            t.events.c.body,
            t.events.c.producer_key,
            t.notifications.c.title,
            t.deliveries.c.lane_id == t.deliveries.c.notification_id,
            *[one for one in t.deliveries.c if one.name not in _IDS],
        )
        .join(t.events, t.events.c.id == t.deliveries.c.event_id)
        .join(t.notifications, t.notifications.c.id == t.deliveries.c.notification_id)
        .order_by(t.events.c.body, t.events.c.producer_key, t.notifications.c.title),
    )
    return found, made


async def test_many_at_once_are_written_as_one_by_one(store: Store) -> None:
    async with store.begin() as tx:
        ids = await furnish(tx)
    async with store.begin() as tx:
        singly = [await INTAKE.record(tx, draft) for draft in drafts(ids)]
    expected = await written(store)
    async with store.begin() as tx:
        for table in (t.deliveries, t.events, t.lanes):
            await tx.run(table.delete())

    async with store.begin() as tx:
        kept = await INTAKE.record_many(tx, drafts(ids))

    assert await written(store) == expected
    assert [one.deliveries for one in kept] == [3, 3, 3, 2, 1, 0, 2, 1, 0, 1, 0, 0]
    assert (singly[-1], kept[-1].event_id) == (singly[1], kept[1].event_id)
    assert tx.rings
    await assert_lanes_are_right(store)


async def test_the_paused_ones_deliveries_are_parked(store: Store) -> None:
    async with store.begin() as tx:
        ids = await furnish(tx)

    async with store.begin() as tx:
        await INTAKE.record_many(tx, drafts(ids))

    paused = {
        row[0]
        for row in await rows(
            store,
            select(t.notifications.c.id).where(t.notifications.c.paused_at.is_not(None)),
        )
    }
    taken = {order.notification_id for order in await lease(store)}
    assert (len(paused), len(taken), paused & taken) == (1, 7, set())


async def test_very_many_deliveries_are_left_for_another_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_service, "_MOST_DELIVERIES", 5)
    monkeypatch.setattr(fan_out, "_ROWS_AT_ONCE", 2)
    async with store.begin() as tx:
        ids = await furnish(tx)
    rest = drafts(ids)
    steps = []

    while rest:
        async with store.begin() as tx:
            kept = await INTAKE.record_many(tx, rest)
        steps.append([one.deliveries for one in kept])
        rest = rest[len(kept) :]

    assert steps == [[3], [3], [3, 2], [1, 0, 2, 1, 0, 1, 0], [0]]
    assert len(await rows(store, select(t.deliveries.c.id))) == 16


async def test_an_event_with_more_than_that_is_recorded_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_service, "_MOST_DELIVERIES", 1)
    async with store.begin() as tx:
        ids = await furnish(tx)

    async with store.begin() as tx:
        kept = await INTAKE.record_many(tx, drafts(ids))

    assert [one.deliveries for one in kept] == [3]


async def test_access_for_many_is_that_for_each(store: Store) -> None:
    await open_world(store)
    async with store.begin() as tx:
        await add_team(tx, "ns_acme", "makers", "creator", "reader")
    asked = [
        (actor, namespace, name)
        for actor in (None, "ns_boss", "ns_admin", "ns_writer", "ns_reader", "ns_fresh")
        for namespace, name in (
            ("acme", "web"),
            ("acme", "nowhere"),
            ("acme", None),
            ("admin", "open"),
            ("nobody", "web"),
        )
    ]

    async with store.read() as tx:
        singly = [await repository_rows.find_access(tx, *place) for place in asked]
        many = await repository_rows.find_access_many(tx, asked)

    assert many == singly


async def test_a_group_takes_as_many_statements_as_one_event(store: Store) -> None:
    async with store.begin() as tx:
        ids = await furnish(tx)
    counter = Statements.of_writer(store)
    counts = []
    for count in (1, 11):
        async with store.begin() as tx:
            counter.take()
            await INTAKE.record_many(tx, drafts(ids)[:count])
            counts.append(counter.take())

    assert counts[0] == counts[1]


async def test_another_body_under_the_same_key_is_told_apart(store: Store) -> None:
    async with store.begin() as tx:
        ids = await furnish(tx)
    first, other = drafts(ids)[1:3]
    async with store.begin() as tx:
        (kept,) = await INTAKE.record_many(tx, [first])

    async with store.begin() as tx:
        again = await INTAKE.record_many(
            tx, [first, replace(other, producer_key=first.producer_key)]
        )

    assert [one.earlier for one in again] == [
        Earlier(kept.event_id, is_same=True),
        Earlier(kept.event_id, is_same=False),
    ]


async def test_a_row_of_events_has_every_column(store: Store) -> None:
    """The hand-written statement and the table name the same columns."""
    names = [one.name for one in t.events.c]
    statement, _ = next(iter(store._dialect.add_events([(None,) * len(names)])))

    listed = statement.partition("(")[2].partition(")")[0]

    assert [name.strip() for name in listed.split(",")] == names


async def test_unrelated_rows_do_not_count(store: Store) -> None:
    async with store.begin() as tx:
        ids = await furnish(tx)
        await tx.run(
            insert(t.namespaces).values(
                id="ns_other", name="other", kind="user", created_at=tx.now
            )
        )

    async with store.begin() as tx:
        found = await notifications.find_candidates_many(
            tx,
            {
                ("ns_acme", ids["web"], "repo_push"),
                ("ns_acme", None, "quota_warning"),
                ("ns_other", None, "quota_warning"),
            },
        )
        singly = [await notifications.find_candidates_many(tx, [place]) for place in found]

    assert [{place: one} for place, one in found.items()] == singly
    assert sorted(len(one) for one in found.values()) == [0, 1, 3]
