"""A disk under the queue's tables that can be filled to the last byte, and given room again."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text

from dockbell.store.transactions import Store

_TABLES = ("attempts", "deliveries", "events")
_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Disk:
    """The pages of the SQLite file, or a small file system with a tablespace of PostgreSQL."""

    store: Store
    folder: Path | None

    async def fill(self) -> None:
        if self.folder is None:
            await self._limit_to(1)  # SQLite takes what it has now instead
            return
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(4096))
                filler.flush()

    async def free(self) -> None:
        if self.folder is None:
            await self._limit_to(1_000_000)
        else:
            (self.folder / "filler").unlink()

    async def _limit_to(self, pages: int) -> None:
        async with self.store.begin() as tx:
            await tx.run(text(f"PRAGMA max_page_count = {pages}"))


@contextlib.asynccontextmanager
async def disk_of(store: Store, database_url: str) -> AsyncIterator[Disk]:
    """The disk of an empty database; skips where none can be made for PostgreSQL."""
    if store.is_sqlite:
        yield Disk(store, None)
        return
    connection = await asyncpg.connect(database_url)
    try:
        data = await connection.fetchval("SHOW data_directory")
        with _file_system(Path(data)) as folder:
            await connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            try:
                await connection.execute(f"TRUNCATE {', '.join(_TABLES)}")
                await _move(connection, "small")
                yield Disk(store, folder)
            finally:
                await _move(connection, "pg_default")
                await connection.execute("DROP TABLESPACE small")
    finally:
        await connection.close()


@contextlib.contextmanager
def _file_system(data: Path) -> Iterator[Path]:
    """A small one, which belongs to whom the server's data folder belongs to."""
    if os.geteuid() != 0 or not data.is_dir():
        pytest.skip("only root can make a small file system, for a PostgreSQL on this machine")
    owner = data.stat()
    folder = tempfile.mkdtemp(prefix="dockbell-disk-")
    options = f"size={_BYTES},uid={owner.st_uid},gid={owner.st_gid},mode=700"
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    try:
        if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
            pytest.skip("no file system can be mounted here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        Path(folder).rmdir()


async def _move(connection: "asyncpg.Connection[asyncpg.Record]", where: str) -> None:
    for table in _TABLES:
        await connection.execute(f"ALTER TABLE {table} SET TABLESPACE {where}")
