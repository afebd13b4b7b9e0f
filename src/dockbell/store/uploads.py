"""Rows of uploads: blobs on their way in. The bytes so far are in a file named by the upload's id."""

from datetime import datetime

from sqlalchemy import delete, insert, select, update

from dockbell.store.tables import uploads
from dockbell.store.transactions import Tx


async def add(tx: Tx, repository_id: str) -> str:
    upload_id = tx.new_id("upl")
    await tx.run(
        insert(uploads).values(
            id=upload_id,
            repository_id=repository_id,
            size=0,
            created_at=tx.now,
            updated_at=tx.now,
        )
    )
    return upload_id


async def is_known(tx: Tx, repository_id: str, upload_id: str) -> bool:
    return (
        await tx.first(
            select(uploads.c.id).where(
                uploads.c.id == upload_id, uploads.c.repository_id == repository_id
            )
        )
        is not None
    )


async def set_size(tx: Tx, upload_id: str, size: int) -> None:
    await tx.run(
        update(uploads).where(uploads.c.id == upload_id).values(size=size, updated_at=tx.now)
    )


async def remove(tx: Tx, upload_id: str) -> None:
    await tx.run(delete(uploads).where(uploads.c.id == upload_id))


async def remove_older(tx: Tx, before: datetime) -> int:
    return await tx.run(delete(uploads).where(uploads.c.updated_at < before))
