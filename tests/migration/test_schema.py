"""The migrations make exactly the tables of the program, from nothing and again."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dockbell.domain.errors import SetupError
from dockbell.domain.filters import NO_FILTER
from dockbell.domain.forms import PayloadForm
from dockbell.domain.signing import SecretKind, Signature
from dockbell.store import notifications, schema
from dockbell.store.migrations import steps
from dockbell.store.tables import metadata
from dockbell.store.transactions import Store


def test_the_newest_revision_is_the_one_the_program_expects() -> None:
    assert steps.newest() == schema.NEWEST


async def test_the_migrated_tables_are_those_of_the_program(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with store.engine.connect() as connection:
        found = await connection.run_sync(differences)

    assert found == []


async def test_deliveries_of_an_earlier_version_get_their_events_repository(
    store: Store,
) -> None:
    earlier = (
        (
            "INSERT INTO events (id, kind, namespace, is_user, repository_id, body, facts, occurred_at, recorded_at)"
            " VALUES ('evt_1', 'repo_push', 'acme', false, 'rep_1', '', '{}', 0, 0)"
        ),
        (
            'INSERT INTO deliveries (id, event_id, notification_id, lane_id, "trigger", state, tries, attempts,'
            " interruptions, due_at, created_at)"
            " VALUES ('dlv_1', 'evt_1', 'ntf_1', 'ntf_1', 'event', 'delivered', 1, 1, 0, 0, 0)"
        ),
    )

    def migrate(connection: Connection) -> list[object]:
        command.downgrade(steps.config_of(connection), "0002")
        for statement in earlier:
            connection.execute(text(statement))
        steps.upgrade(connection)
        rows = connection.execute(text("SELECT id, repository_id FROM deliveries"))
        return [tuple(row) for row in rows]

    async with store.engine.connect() as connection:
        found = await connection.run_sync(migrate)
        await connection.rollback()

    assert found == [("dlv_1", "rep_1")]


async def test_a_database_of_a_newer_version_is_refused_in_plain_words(store: Store) -> None:
    async with store.begin() as tx:
        await tx.run(text("UPDATE alembic_version SET version_num = '9999'"))
        await tx.run(text("DELETE FROM schema_floors"))

    with pytest.raises(SetupError) as refused:
        await schema.migrate(store)

    assert refused.value.detail == (
        "The database was written by a newer dockbell (schema 9999). "
        "Start that version, or restore a backup made with this one."
    )


async def test_a_notification_from_before_it_could_choose_goes_on_as_it_was(
    store: Store,
) -> None:
    def downgrade(connection: Connection) -> None:
        command.downgrade(steps.config_of(connection), "0002")

    async with store.engine.begin() as connection:
        await connection.run_sync(downgrade)
        await connection.execute(
            text("INSERT INTO namespaces VALUES ('nsp_1', 'acme', 'organization', NULL, 1)")
        )
        await connection.execute(
            text(
                "INSERT INTO notifications (id, uuid, namespace_id, kind, method, config_sealed,"
                " event_config, failure_streak, created_at, updated_at)"
                " VALUES ('ntf_1', '1', 'nsp_1', 'repo_push', 'webhook', :sealed, '{}', 0, 1, 1)"
            ),
            {"sealed": store.seal.close(b"{}")},
        )
        await connection.execute(
            text(
                "INSERT INTO signing_secrets (id, notification_id, secret_sealed, created_at)"
                " VALUES ('sec_1', 'ntf_1', :sealed, 1)"
            ),
            {"sealed": store.seal.close(b"s" * 32)},
        )

    changed = await schema.migrate(store)

    async with store.read() as tx:
        found = await notifications.load(tx, "ntf_1")
    assert changed is True
    assert (found.payload_form, found.signatures) == (PayloadForm.QUAY, (Signature.V1,))
    assert [(one.kind, one.value, one.public) for one in found.secrets] == [
        (SecretKind.HMAC, b"s" * 32, b"")
    ]


async def test_a_notification_of_the_version_before_lives_on(store: Store) -> None:
    """Its secrets too: on SQLite its table is made anew, and what hangs on it would go with the old one."""

    def downgrade(connection: Connection) -> None:
        command.downgrade(steps.config_of(connection), "0005")

    async with store.engine.begin() as connection:
        await connection.run_sync(downgrade)
        await _write_as_the_version_before(connection, store)

    await schema.migrate(store)

    async with store.read() as tx:
        found = await notifications.load(tx, "ntf_1")
        of_push = (
            await notifications.find_candidates_many(tx, [("ns_1", "rep_1", "repo_push")])
        )["ns_1", "rep_1", "repo_push"]
        of_quota = (
            await notifications.find_candidates_many(tx, [("ns_1", None, "quota_error")])
        )["ns_1", None, "quota_error"]
        row = await tx.first(text("SELECT repository_id FROM deliveries"))
    assert (found.kinds, found.filters, found.place_id) == (("repo_push",), None, "rep_1")
    assert [one.value for one in found.secrets] == [b"s" * 32]
    assert [[one.id for one in candidates] for candidates in (of_push, of_quota)] == [
        ["ntf_1"],
        ["ntf_2"],
    ]
    assert row is not None
    assert row[0] == "rep_1"


async def test_what_the_version_before_writes_into_new_tables_is_found(store: Store) -> None:
    async with store.engine.begin() as connection:
        await _write_as_the_version_before(connection, store)

    async with store.read() as tx:
        found = await notifications.load(tx, "ntf_1")
        candidates = (
            await notifications.find_candidates_many(tx, [("ns_1", "rep_1", "repo_push")])
        )["ns_1", "rep_1", "repo_push"]

    assert (found.kinds, found.filters) == (("repo_push",), None)
    assert [(one.id, one.filter) for one in candidates] == [("ntf_1", NO_FILTER)]


async def test_the_version_before_reads_what_is_new(store: Store) -> None:
    """It sends the first kind of a repository's notification, and nothing of the server's: the columns are as they were."""
    async with store.engine.begin() as connection:
        await _write_as_the_version_before(connection, store)
    async with store.begin() as tx:
        for namespace_id, repository_id in (("ns_1", "rep_1"), (None, None)):
            await notifications.insert(
                tx,
                namespace_id=namespace_id,
                repository_id=repository_id,
                kind="build_failure",
                further_kinds=("build_success",),
                method="webhook",
                title=None,
                config={},
                event_config={},
                filters={"tags": ["v*"]},
            )

    async with store.engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT repository_id, kind FROM notifications"
                " WHERE (repository_id = 'rep_1' OR (namespace_id = 'ns_1' AND repository_id IS NULL))"
                " AND kind IN ('build_failure', 'build_success')"
            )
        )

    assert [tuple(row) for row in rows] == [("rep_1", "build_failure")]


async def test_a_downgrade_keeps_what_the_version_before_can_hold(store: Store) -> None:
    def downgrade(connection: Connection) -> list[object]:
        command.downgrade(steps.config_of(connection), "0005")
        rows = connection.execute(
            text(
                "SELECT n.id, count(s.id) FROM notifications AS n"
                " LEFT JOIN signing_secrets AS s ON s.notification_id = n.id GROUP BY n.id ORDER BY n.id"
            )
        )
        return [tuple(row) for row in rows]

    async with store.engine.begin() as connection:
        await _write_as_the_version_before(connection, store)
    async with store.begin() as tx:
        await notifications.insert(
            tx,
            namespace_id=None,
            repository_id=None,
            kind="repo_push",
            method="webhook",
            title=None,
            config={},
            event_config={},
        )

    async with store.engine.connect() as connection:
        kept = await connection.run_sync(downgrade)
        await connection.rollback()

    assert kept == [("ntf_1", 1), ("ntf_2", 0)]


async def _write_as_the_version_before(connection: AsyncConnection, store: Store) -> None:
    """A repository's notification with a secret and a delivery made by a report, and one of a namespace."""
    statements = (
        "INSERT INTO namespaces VALUES ('ns_1', 'acme', 'organization', NULL, 1)",
        (
            "INSERT INTO repositories (id, namespace_id, name, visibility, description, created_at)"
            " VALUES ('rep_1', 'ns_1', 'web', 'private', '', 1)"
        ),
        (
            "INSERT INTO notifications (id, uuid, namespace_id, repository_id, kind, method, config_sealed,"
            " event_config, failure_streak, created_at, updated_at)"
            " VALUES ('ntf_1', '1', 'ns_1', 'rep_1', 'repo_push', 'webhook', :sealed, '{}', 0, 1, 1),"
            " ('ntf_2', '2', 'ns_1', NULL, 'quota_error', 'webhook', :sealed, '{}', 0, 1, 1)"
        ),
        (
            "INSERT INTO signing_secrets (id, notification_id, secret_sealed, created_at)"
            " VALUES ('sec_1', 'ntf_1', :secret, 1)"
        ),
        (
            "INSERT INTO events (id, kind, namespace, is_user, repository_id, body, facts, occurred_at, recorded_at)"
            " VALUES ('evt_1', 'repo_push', 'acme', false, 'rep_1', '', '{}', 0, 0)"
        ),
        (
            'INSERT INTO deliveries (id, event_id, notification_id, lane_id, "trigger", state, tries, attempts,'
            " interruptions, due_at, created_at)"
            " VALUES ('dlv_1', 'evt_1', 'ntf_1', 'ntf_1', 'event', 'delivered', 1, 1, 0, 0, 0)"
        ),
    )
    values = {"sealed": store.seal.close(b"{}"), "secret": store.seal.close(b"s" * 32)}
    for statement in statements:
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        await connection.execute(text(statement), used)
