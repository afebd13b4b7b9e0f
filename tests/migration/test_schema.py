"""The migrations make exactly the tables of the program, from nothing and again."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from dockbell.domain.errors import SetupError
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
