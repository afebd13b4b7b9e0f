"""The store keeps the same promises on both databases."""

import pytest
from sqlalchemy import insert, select, text

from dockbell.store.schema import migrate
from dockbell.store.tables import namespaces
from dockbell.store.transactions import DuplicateError, Store, Tx


async def _add(tx: Tx, name: str) -> None:
    await tx.run(
        insert(namespaces).values(
            id=name, name=name, kind="user", email=None, created_at=tx.now
        )
    )


async def test_a_transaction_commits_at_the_end_of_its_block(store: Store) -> None:
    async with store.begin() as tx:
        await _add(tx, "alice")

    async with store.read() as tx:
        rows = await tx.rows(select(namespaces.c.name, namespaces.c.created_at))
    assert [tuple(row) for row in rows] == [("alice", tx.now)]


async def test_an_exception_undoes_the_whole_transaction(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.begin() as tx:
            await _add(tx, "alice")
            raise ZeroDivisionError

    async with store.read() as tx:
        assert await tx.first(select(namespaces)) is None


async def test_a_unique_name_is_refused_and_the_savepoint_keeps_the_rest(store: Store) -> None:
    async with store.begin() as tx:
        await _add(tx, "alice")
        with pytest.raises(DuplicateError):
            async with tx.nested():
                await _add(tx, "alice")
        await _add(tx, "bob")

    async with store.read() as tx:
        rows = await tx.rows(select(namespaces.c.name).order_by(namespaces.c.name))
    assert [row.name for row in rows] == ["alice", "bob"]


async def test_the_bell_rings_after_the_commit_only(store: Store) -> None:
    rung: list[str] = []
    store.bell = lambda: rung.append("rung")

    async with store.begin() as tx:
        tx.ring()
        during = list(rung)

    assert (during, rung) == ([], ["rung"])


@pytest.mark.parametrize("way", ["read", "begin"])
async def test_a_connection_in_use_is_closed_when_its_transaction_ends(
    store: Store, way: str
) -> None:
    async with getattr(store, way)() as tx:
        await tx.rows(select(namespaces))
        driver = (await tx.connection.get_raw_connection()).driver_connection
        await store.close()
        await tx.rows(select(namespaces))

    is_closed = driver._connection is None if store.is_sqlite else driver.is_closed()
    assert is_closed


async def test_our_commits_are_synced_whatever_the_server_does_otherwise(
    store: Store, database_url: str
) -> None:
    if store.is_sqlite:
        async with store.begin() as tx:
            assert await tx.first(text("PRAGMA synchronous")) == (2,)  # FULL
        return
    name = database_url.rpartition("/")[2]
    found = []
    for given in ("off", "remote_write"):
        async with store.begin() as tx:
            await tx.run(text(f"ALTER DATABASE {name} SET synchronous_commit = {given}"))
        await store.close()  # those that come are new
        other = store.beside(1)
        async with other.read() as tx:
            row = await tx.first(text("SHOW synchronous_commit"))
            found.append(None if row is None else row[0])
            await tx.run(text(f"ALTER DATABASE {name} RESET synchronous_commit"))
        await other.close()

    assert found == ["on", "remote_write"]  # what keeps more than ours is left as it is


async def test_migrating_twice_changes_nothing(store: Store) -> None:
    assert await migrate(store) is False
