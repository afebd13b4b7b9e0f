"""A power cut on SQLite: whatever of the log had reached the disk, what was acknowledged by then is there."""

import itertools
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from dockbell.domain import ids
from dockbell.store import tables as t
from dockbell.store.schema import migrate
from dockbell.store.seals import Seal
from dockbell.store.transactions import Store
from tests import queues
from tests.conftest import SetClock
from tests.engines import INTAKE, add, push, running, until_states
from tests.receiver import Receiver

_EVENTS = 40
_CUTS = 60


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """An event whose commit was answered when the write-ahead log was so long."""

    event_id: str
    log_bytes: int


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as listening:
        yield listening


@pytest.fixture
async def disk(
    sqlite_template: Path,
    tmp_path: Path,
    clock: SetClock,
    new_id: ids.NewId,
    seal: Seal,
    receiver: Receiver,
) -> tuple[Path, list[Acknowledged]]:
    """What is on the disk amid the work of a server: a database, and a log with all that was done since."""
    path = tmp_path / "dockbell.db"
    shutil.copy(sqlite_template, path)
    store = Store.open(f"sqlite:///{path}", clock=clock, new_id=new_id, seal=seal)
    await add(store, receiver.url())
    log = path.with_name("dockbell.db-wal")
    done = []
    for number in range(_EVENTS):
        async with store.begin() as tx:
            event_id = await INTAKE.record(tx, push(clock, f"v{number}"))
        done.append(Acknowledged(event_id, log.stat().st_size))
    copy = tmp_path / "after"
    copy.mkdir()
    for file in (path, log):
        shutil.copy(file, copy)
    await store.close()
    return copy, done


def cut(disk: Path, into: Path, length: int, chance: random.Random) -> Path:
    """The disk as a power cut leaves it: the log ends there, and maybe in a sector of something else."""
    into.mkdir()
    shutil.copy(disk / "dockbell.db", into)
    log = (disk / "dockbell.db-wal").read_bytes()[:length]
    rest = chance.choice([b"", bytes(512), chance.randbytes(512)])
    (into / "dockbell.db-wal").write_bytes(log + rest)
    return into / "dockbell.db"


async def test_what_was_acknowledged_before_a_power_cut_is_there(
    disk: tuple[Path, list[Acknowledged]], tmp_path: Path
) -> None:
    folder, done = disk
    chance = random.Random(39)
    # At the end of each commit, and anywhere.
    lengths = [one.log_bytes for one in done]
    assert all(earlier < later for earlier, later in itertools.pairwise(lengths))
    lengths += [chance.randrange(lengths[-1]) for _ in range(_CUTS)]

    for number, length in enumerate(lengths):
        path = cut(folder, tmp_path / f"cut{number}", length, chance)
        with closing(sqlite3.connect(path)) as connection:
            (is_whole,) = connection.execute("PRAGMA integrity_check").fetchone()
            events = {row[0] for row in connection.execute("SELECT id FROM events")}
            rung = {row[0] for row in connection.execute("SELECT event_id FROM deliveries")}

        owed = {one.event_id for one in done if one.log_bytes <= length}
        assert (is_whole, owed - events, events ^ rung) == ("ok", set(), set())
        assert len(events) <= len(owed) + 1  # nobody invents anything


async def test_a_start_after_a_power_cut_delivers_what_was_acknowledged(
    disk: tuple[Path, list[Acknowledged]],
    tmp_path: Path,
    clock: SetClock,
    new_id: ids.NewId,
    seal: Seal,
) -> None:
    folder, done = disk
    half = done[_EVENTS // 2].log_bytes
    path = cut(folder, tmp_path / "cut", half + 100, random.Random(1))
    store = Store.open(f"sqlite:///{path}", clock=clock, new_id=new_id, seal=seal)
    await migrate(store)

    async with running(store, clock, own_everything=True):
        await until_states(store, *["delivered"] * (_EVENTS // 2 + 1))

    rows = await queues.rows(store, select(t.attempts.c.code).distinct())
    assert rows == [("ok",)]
    await queues.assert_lanes_are_right(store)
    await store.close()
