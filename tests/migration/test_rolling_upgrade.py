"""While an upgrade is rolled out, programs of two versions work on the tables of the newer one, on both databases."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from dockbell.domain.errors import SetupError, TooOldError
from dockbell.store import schema
from dockbell.store import tables as t
from dockbell.store.migrations import steps
from dockbell.store.transactions import Store
from tests.conftest import SetClock
from tests.engines import add, record, running, until_states
from tests.queues import rows
from tests.receiver import Receiver

NEXT = "9999"
STEP = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{schema.NEWEST}"
works_with = "{{floor}}"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("weight", sa.Integer(), nullable=False, server_default="1"))
    op.create_table("weights", sa.Column("id", sa.String(), primary_key=True))


def downgrade() -> None:
    op.drop_table("weights")
    op.drop_column("deliveries", "weight")
"""


class Versions:
    """The program as it is, and the next one, whose migrations have one step more."""

    def __init__(self, store: Store, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._store = store
        self._folder = folder
        self._patch = patch

    def _be_the_next(self, floor: str) -> None:
        step = self._folder / "versions" / f"{NEXT}_weights.py"
        step.write_text(STEP.format(floor=floor), encoding="utf-8")
        self._patch.setattr(steps, "_FOLDER", self._folder)
        self._patch.setattr(schema, "NEWEST", NEXT)

    async def upgrade(self, *, floor: str) -> bool:
        """Migrate as the next version does, and be this one again."""
        self._be_the_next(floor)
        try:
            return await schema.migrate(self._store)
        finally:
            self._patch.undo()

    async def go_back(self) -> None:
        def downgrade(connection: Connection) -> None:
            command.downgrade(steps.config_of(connection), schema.NEWEST)

        newest = schema.NEWEST
        self._be_the_next(newest)
        self._patch.setattr(schema, "NEWEST", newest)
        try:
            async with self._store.engine.begin() as connection:
                await connection.run_sync(downgrade)
        finally:
            self._patch.undo()


@pytest.fixture
async def versions(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Versions]:
    folder = tmp_path / "migrations"
    shutil.copytree(Path(steps.__file__).parent, folder)
    made = Versions(store, folder, monkeypatch)
    yield made
    # The tables are this process's own, and other tests come after this one.
    if await schema.revision(store) == NEXT:
        await made.go_back()
    await schema.migrate(store)


async def test_a_database_knows_the_oldest_program_that_works_with_it(store: Store) -> None:
    def downgrade(connection: Connection) -> None:
        command.downgrade(steps.config_of(connection), "0017")

    async with store.engine.begin() as connection:
        await connection.run_sync(downgrade)

    await schema.migrate(store)

    assert await rows(store, text("SELECT revision FROM schema_floors")) == [(steps.floor(),)]
    assert steps.floor() <= schema.NEWEST


async def test_a_program_starts_and_delivers_on_newer_tables_that_take_it(
    store: Store, clock: SetClock, versions: Versions
) -> None:
    changed = await versions.upgrade(floor=schema.NEWEST)
    again = await schema.migrate(store)

    async with Receiver() as target, running(store, clock):
        await add(store, target.url())
        await record(store, clock)
        await until_states(store, "delivered")

    assert (changed, again) == (True, False)
    assert await schema.is_settled(store)
    assert await schema.revision(store) == NEXT


async def test_a_program_that_runs_goes_on_while_the_tables_are_migrated(
    store: Store, clock: SetClock, versions: Versions
) -> None:

    async with Receiver() as target, running(store, clock):
        await add(store, target.url())
        await record(store, clock)
        await until_states(store, "delivered")
        await versions.upgrade(floor=schema.NEWEST)
        await record(store, clock)
        await until_states(store, "delivered", "delivered")


async def test_a_program_below_the_floor_is_refused_and_changes_nothing(
    store: Store, versions: Versions
) -> None:
    await versions.upgrade(floor=NEXT)

    with pytest.raises(SetupError) as refused:
        await schema.migrate(store)

    assert refused.value.detail == (
        "The database was written by a newer dockbell (schema 9999), which needs a version of schema 9999 or newer. "
        "Start that version, or restore a backup made with this one."
    )
    assert await schema.revision(store) == NEXT


async def test_a_program_that_runs_learns_that_it_is_below_the_floor(
    store: Store, versions: Versions
) -> None:
    await versions.upgrade(floor=schema.NEWEST)
    async with store.read() as tx:
        await schema.check(tx)  # newer tables that take it

    async with store.begin() as tx:
        await tx.run(t.schema_floors.update().values(revision=NEXT))

    async with store.read() as tx:
        with pytest.raises(TooOldError, match="need a version of schema 9999 or newer"):
            await schema.check(tx)


def test_each_step_says_who_works_with_what_it_leaves() -> None:
    """Write `works_with` into a new step: the revision before it, if the programs of that one still work."""
    script = ScriptDirectory.from_config(steps.config_of())
    silent = [
        one.revision
        for one in script.walk_revisions()
        if one.revision >= "0018" and not hasattr(one.module, "works_with")
    ]

    assert silent == []
