"""Rows of OAuth applications."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from dockbell.domain.accounts import Application
from dockbell.store.tables import applications, namespaces
from dockbell.store.transactions import Tx


def _of_row(tx: Tx, row: Any) -> Application:
    return Application(
        id=row.id,
        namespace_id=row.namespace_id,
        name=row.name,
        client_id=row.client_id,
        client_secret=tx.seal.open(row.client_secret_sealed).decode(),
        redirect_uri=row.redirect_uri,
        application_uri=row.application_uri,
        description=row.description,
        avatar_email=row.avatar_email,
        created_at=row.created_at,
    )


async def list_for(tx: Tx, namespace_id: str) -> Sequence[Application]:
    rows = await tx.rows(
        select(applications)
        .where(applications.c.namespace_id == namespace_id)
        .order_by(applications.c.id)
    )
    return [_of_row(tx, row) for row in rows]


async def find(tx: Tx, namespace_id: str, client_id: str) -> Application | None:
    row = await tx.first(
        select(applications).where(
            applications.c.namespace_id == namespace_id,
            applications.c.client_id == client_id,
        )
    )
    return None if row is None else _of_row(tx, row)


async def find_public(tx: Tx, client_id: str) -> tuple[Application, str] | None:
    """The application with the name of the namespace that owns it."""
    row = await tx.first(
        select(applications, namespaces.c.name.label("owner"))
        .join(namespaces, namespaces.c.id == applications.c.namespace_id)
        .where(applications.c.client_id == client_id)
    )
    return None if row is None else (_of_row(tx, row), row.owner)


async def add(tx: Tx, application: Application) -> None:
    """Insert it; raise DuplicateError, with the transaction still usable, if the client id is taken."""
    async with tx.nested():
        await tx.run(
            insert(applications).values(
                id=application.id,
                namespace_id=application.namespace_id,
                name=application.name,
                client_id=application.client_id,
                client_secret_sealed=tx.seal.close(application.client_secret.encode()),
                redirect_uri=application.redirect_uri,
                application_uri=application.application_uri,
                description=application.description,
                avatar_email=application.avatar_email,
                created_at=application.created_at,
            )
        )


async def replace(tx: Tx, application: Application) -> None:
    """Write what may change: all but owner, client id and time."""
    await tx.run(
        update(applications)
        .where(applications.c.id == application.id)
        .values(
            name=application.name,
            client_secret_sealed=tx.seal.close(application.client_secret.encode()),
            redirect_uri=application.redirect_uri,
            application_uri=application.application_uri,
            description=application.description,
            avatar_email=application.avatar_email,
        )
    )


async def remove(tx: Tx, application_id: str) -> None:
    """Delete it with its tokens."""
    await tx.run(delete(applications).where(applications.c.id == application_id))
