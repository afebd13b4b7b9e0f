"""Notifications, signing secrets and notices are kept alike on both databases."""

import asyncio
import uuid
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from dockbell.domain.deliveries import PauseReason
from dockbell.domain.methods import Recipient
from dockbell.domain.notifications import Notification
from dockbell.store import notices, notification_lists, notifications, signing_secrets
from dockbell.store.tables import (
    namespaces,
    repositories,
    robots,
    team_members,
    teams,
)
from dockbell.store.tables import notices as t_notices
from dockbell.store.tables import notifications as notifications_table
from dockbell.store.tables import (
    signing_secrets as signing_secrets_table,
)
from dockbell.store.transactions import Store, Tx
from tests.conftest import SetClock


async def _namespace(tx: Tx, name: str, kind: str = "user") -> str:
    await tx.run(
        insert(namespaces).values(
            id=f"ns_{name}", name=name, kind=kind, email=None, created_at=tx.now
        )
    )
    return f"ns_{name}"


async def _repository(tx: Tx, namespace_id: str, name: str) -> str:
    await tx.run(
        insert(repositories).values(
            id=f"rep_{name}",
            namespace_id=namespace_id,
            name=name,
            visibility="private",
            created_at=tx.now,
        )
    )
    return f"rep_{name}"


async def _team(tx: Tx, namespace_id: str, name: str, role: str = "member") -> str:
    await tx.run(
        insert(teams).values(
            id=f"tea_{name}",
            namespace_id=namespace_id,
            name=name,
            role=role,
            created_at=tx.now,
        )
    )
    return f"tea_{name}"


async def _member(tx: Tx, team_id: str, user_id: str, *, is_invited: bool = False) -> None:
    await tx.run(
        insert(team_members).values(
            team_id=team_id,
            member_id=user_id,
            user_id=user_id,
            is_invited=is_invited,
            created_at=tx.now,
        )
    )


async def _notification(
    tx: Tx,
    repository: str = "rep_web",
    *,
    kind: str = "repo_push",
    config: Mapping[str, object] | None = None,
    event_config: Mapping[str, object] | None = None,
) -> Notification:
    return await notifications.insert(
        tx,
        namespace_id="ns_acme",
        repository_id=repository,
        kind=kind,
        method="webhook",
        title=None,
        config=config or {"url": "https://example.org/x"},
        event_config=event_config or {},
    )


async def _ground(tx: Tx) -> None:
    await _repository(tx, await _namespace(tx, "acme", "organization"), "web")
    await _repository(tx, "ns_acme", "api")


async def test_a_notification_comes_back_as_it_was_inserted(store: Store) -> None:
    config = {"z": 1, "url": "https://example.org/ü", "a": [None, True, 1.5, {"\u0000": "💡"}]}
    async with store.begin() as tx:
        await _ground(tx)
        made = await _notification(tx, config=config, event_config={"level": "1", "b": {}})

    async with store.read() as tx:
        loaded = await notifications.load(tx, made.id)

    assert loaded == made
    assert list(loaded.config) == ["z", "url", "a"]
    assert uuid.UUID(made.uuid).version == 4
    assert made.uuid == made.uuid.lower()


async def test_a_config_is_not_readable_in_the_table(store: Store) -> None:
    async with store.begin() as tx:
        await _ground(tx)
        made = await _notification(tx, config={"url": "https://h.test/the-secret"})
        await signing_secrets.insert(tx, made.id, b"the-secret")

    async with store.read() as tx:
        config = await tx.first(select(notifications_table.c.config_sealed))
        secret = await tx.first(select(signing_secrets_table.c.secret_sealed))
    assert config is not None
    assert secret is not None
    assert [b"the-secret" in bytes(sealed[0]) for sealed in (config, secret)] == [False, False]


async def test_notifications_list_in_the_order_they_were_created(
    store: Store, clock: SetClock
) -> None:
    made = []
    async with store.begin() as tx:
        await _ground(tx)
    for _ in range(3):
        async with store.begin() as tx:
            made += [await _notification(tx), await _notification(tx)]
        clock.move(seconds=1)

    async with store.read() as tx:
        listed = await notification_lists.list_outlines(tx, "rep_web")
    assert [one.uuid for one in listed] == [one.uuid for one in made]


async def test_notifications_are_found_by_repository_kind_and_uuid(store: Store) -> None:
    async with store.begin() as tx:
        await _ground(tx)
        push = await _notification(tx)
        build = await _notification(tx, kind="build_failure")
        other = await _notification(tx, "rep_api")
        await notifications.pause(tx, push.id, PauseReason.GONE)

    async with store.read() as tx:
        place = ("ns_acme", "rep_web", "repo_push")
        candidates = (await notifications.find_candidates_many(tx, [place]))[place]
        by_uuid = [
            await notifications.find_by_uuid(tx, "rep_web", one.uuid) for one in (build, other)
        ]
    assert [(one.id, one.is_paused) for one in candidates] == [(push.id, True)]
    assert by_uuid == [build, None]


async def test_a_deleted_notification_is_gone_with_its_secrets(store: Store) -> None:
    async with store.begin() as tx:
        await _ground(tx)
        made, kept = await _notification(tx), await _notification(tx)
        await signing_secrets.insert(tx, made.id, b"one")
        await signing_secrets.insert(tx, kept.id, b"two")

    async with store.begin() as tx:
        await notifications.delete(tx, made.id)

    async with store.read() as tx:
        loaded = await notifications.load_many(tx, [made.id, kept.id])
        secrets = await tx.rows(select(signing_secrets_table.c.notification_id))
    assert list(loaded) == [kept.id]
    assert [row.notification_id for row in secrets] == [kept.id]


async def test_live_secrets_come_newest_first_and_expired_ones_not(
    store: Store, clock: SetClock
) -> None:
    async with store.begin() as tx:
        await _ground(tx)
        made = await _notification(tx)
        until = tx.now + timedelta(hours=1)
        await signing_secrets.insert(tx, made.id, b"old", expires_at=until)
        await signing_secrets.insert(tx, made.id, b"new")

    async with store.read() as tx:
        both = (await notifications.load(tx, made.id)).secrets
    clock.move(hours=1)
    async with store.read() as tx:
        one = (await notifications.load_many(tx, [made.id]))[made.id].secrets
    assert [[secret.value for secret in live] for live in (both, one)] == [
        [b"new", b"old"],
        [b"new"],
    ]


async def test_a_missing_notification_does_not_load(store: Store) -> None:
    async with store.read() as tx:
        with pytest.raises(KeyError):
            await notifications.load(tx, "ntf_none")
        assert await notifications.load_many(tx, []) == {}
        assert await signing_secrets.find_live(tx, []) == {}


async def test_a_pause_keeps_its_first_reason_until_a_resume(
    store: Store, clock: SetClock
) -> None:
    async with store.begin() as tx:
        await _ground(tx)
        made = await _notification(tx)
        await notifications.set_streak(tx, made.id, 3)
        first = await notifications.pause(tx, made.id, PauseReason.FAILURES)
    clock.move(seconds=1)
    async with store.begin() as tx:
        second = await notifications.pause(tx, made.id, PauseReason.PERSON)
        paused = await notifications.load(tx, made.id)
        await notifications.resume(tx, made.id)
        resumed = await notifications.load(tx, made.id)

    assert (first, second) == (True, False)
    assert (paused.failure_streak, paused.paused_at, paused.pause_reason) == (
        3,
        made.created_at,
        PauseReason.FAILURES,
    )
    assert resumed == made


async def _inbox(tx: Tx, user_id: str) -> list[tuple[str | None, str, Mapping[str, object]]]:
    listed = await notices.list_for(tx, user_id, offset=0, limit=100)
    return [(one.organization, one.kind, one.metadata) for one in listed]


async def _put(tx: Tx, kind: str, name: str, delivery_id: str = "dlv_1") -> int:
    return await notices.put(
        tx,
        kind="repo_push",
        metadata={"repository": "acme/web"},
        delivery_id=delivery_id,
        recipient=Recipient(kind=kind, name=name),
        namespace="acme",
    )


async def test_a_notice_for_a_user_is_put_once_per_delivery(store: Store) -> None:
    async with store.begin() as tx:
        alice = await _namespace(tx, "alice")
        first = await _put(tx, "user", "alice")
    async with store.begin() as tx:
        again = await _put(tx, "user", "alice")
        other = await _put(tx, "user", "alice", "dlv_2")

    async with store.read() as tx:
        inbox = await _inbox(tx, alice)
    assert (first, again, other) == (1, 1, 1)
    assert inbox == [(None, "repo_push", {"repository": "acme/web"})] * 2


async def test_processes_that_put_a_notice_at_once_put_it_once_and_a_dismissal_stays(
    store: Store,
) -> None:
    async with store.begin() as tx:
        alice = await _namespace(tx, "alice")

    async def put(delivery_id: str) -> None:
        async with store.begin() as tx:
            await _put(tx, "user", "alice", delivery_id)

    await asyncio.gather(*(put(f"dlv_{number % 2}") for number in range(8)))
    async with store.begin() as tx:
        (seen, _) = await notices.list_for(tx, alice, offset=0, limit=9)
        await notices.set_dismissed(tx, seen.uuid, is_dismissed=True)
    await asyncio.gather(*(put(f"dlv_{number % 2}") for number in range(4)))

    async with store.read() as tx:
        left = await notices.list_for(tx, alice, offset=0, limit=9)
        both = await tx.rows(select(t_notices.c.id))
    assert (len(left), len(both)) == (1, 2)


async def test_a_notice_for_an_organization_is_one_row_that_its_admins_see(
    store: Store,
) -> None:
    async with store.begin() as tx:
        acme = await _namespace(tx, "acme", "organization")
        boss, staff, guest = [await _namespace(tx, name) for name in ("boss", "staff", "guest")]
        owners = await _team(tx, acme, "owners", "admin")
        await _member(tx, owners, boss)
        await _member(tx, owners, guest, is_invited=True)
        await _member(tx, await _team(tx, acme, "workers"), staff)
        count = await _put(tx, "org", "acme")

    async with store.read() as tx:
        seen = [await _inbox(tx, user) for user in (boss, staff, guest)]
    assert count == 1
    assert seen == [[("acme", "repo_push", {"repository": "acme/web"})], [], []]


async def test_a_notice_for_a_team_goes_to_its_members_of_today(store: Store) -> None:
    async with store.begin() as tx:
        acme = await _namespace(tx, "acme", "organization")
        other = await _namespace(tx, "other", "organization")
        one, two, guest, stranger = [
            await _namespace(tx, name) for name in ("one", "two", "guest", "stranger")
        ]
        team = await _team(tx, acme, "devs")
        for user in (one, two):
            await _member(tx, team, user)
        await _member(tx, team, guest, is_invited=True)
        await tx.run(
            insert(robots).values(
                id="rob_1",
                namespace_id=acme,
                name="acme+bot",
                token_hash="x",
                token_sealed=b"x",
                created_at=tx.now,
            )
        )
        await tx.run(
            insert(team_members).values(
                team_id=team, member_id="rob_1", robot_id="rob_1", created_at=tx.now
            )
        )
        await tx.run(
            insert(teams).values(
                id="tea_other", namespace_id=other, name="devs", role="admin", created_at=tx.now
            )
        )
        await _member(tx, "tea_other", stranger)
        count = await _put(tx, "team", "devs")

    async with store.read() as tx:
        sizes = [len(await _inbox(tx, user)) for user in (one, two, guest, stranger)]
    assert count == 2
    assert sizes == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("user", "nobody"),
        ("user", "acme"),  # an organization
        ("org", "alice"),
        ("org", "other"),  # not the namespace of the event
        ("team", "nobody"),
        ("robot", "acme+bot"),
    ],
)
async def test_a_notice_for_nobody_is_put_nowhere(store: Store, kind: str, name: str) -> None:
    async with store.begin() as tx:
        await _namespace(tx, "acme", "organization")
        await _namespace(tx, "other", "organization")
        await _namespace(tx, "alice")

        assert await _put(tx, kind, name) == 0


async def test_a_dismissed_notice_is_found_but_not_listed(
    store: Store, clock: SetClock
) -> None:
    async with store.begin() as tx:
        alice, bob = await _namespace(tx, "alice"), await _namespace(tx, "bob")
        await _put(tx, "user", "alice", "dlv_1")
    clock.move(seconds=1)
    async with store.begin() as tx:
        await _put(tx, "user", "alice", "dlv_2")

    async with store.begin() as tx:
        newest, oldest = await notices.list_for(tx, alice, offset=0, limit=5)
        await notices.set_dismissed(tx, newest.uuid, is_dismissed=True)
        listed = await notices.list_for(tx, alice, offset=0, limit=5)
        found = await notices.find(tx, alice, newest.uuid)
        stranger = await notices.find(tx, bob, newest.uuid)
        second_page = await notices.list_for(tx, alice, offset=1, limit=5)

    assert newest.created_at > oldest.created_at
    assert listed == [oldest]
    assert found is not None
    assert found.is_dismissed is True
    assert stranger is None
    assert second_page == []
