"""The migrations make exactly the tables of the program, from nothing and again."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from dockbell.domain.errors import SetupError
from dockbell.store import schema
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


async def test_a_database_of_a_newer_version_is_refused_in_plain_words(store: Store) -> None:
    async with store.begin() as tx:
        await tx.run(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SetupError) as refused:
        await schema.migrate(store)

    assert refused.value.detail == (
        "The database was written by a newer dockbell (schema 9999). "
        "Start that version, or restore a backup made with this one."
    )
