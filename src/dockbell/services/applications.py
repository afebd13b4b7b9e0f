"""OAuth applications of organizations."""

from collections.abc import Sequence
from dataclasses import replace

from dockbell.domain.accounts import Actor, Application
from dockbell.domain.errors import NotFoundError
from dockbell.domain.permissions import AdminOfNamespace
from dockbell.domain.secrets import CLIENT_ID_LENGTH, CLIENT_SECRET_LENGTH
from dockbell.services import audit_entries
from dockbell.services.passwords import random_secret
from dockbell.store import applications as application_rows
from dockbell.store.transactions import Tx


async def list_for(tx: Tx, admin: AdminOfNamespace) -> Sequence[Application]:
    return await application_rows.list_for(tx, admin.namespace.id)


async def load(tx: Tx, admin: AdminOfNamespace, client_id: str) -> Application:
    found = await application_rows.find(tx, admin.namespace.id, client_id)
    if found is None:
        raise NotFoundError
    return found


async def load_public(tx: Tx, actor: Actor, client_id: str) -> tuple[Application, str]:
    """The application with its organization's name. Anybody may see who would ask for their consent."""
    del actor
    found = await application_rows.find_public(tx, client_id)
    if found is None:
        raise NotFoundError
    return found


async def create(  # noqa: PLR0913 -- one argument for each thing an application holds
    tx: Tx,
    admin: AdminOfNamespace,
    *,
    name: str,
    redirect_uri: str = "",
    application_uri: str = "",
    description: str = "",
    avatar_email: str | None = None,
) -> Application:
    application = Application(
        id=tx.new_id("app"),
        namespace_id=admin.namespace.id,
        name=name,
        client_id=random_secret(CLIENT_ID_LENGTH),
        client_secret=random_secret(CLIENT_SECRET_LENGTH),
        redirect_uri=redirect_uri,
        application_uri=application_uri,
        description=description,
        avatar_email=avatar_email,
        created_at=tx.now,
    )
    await application_rows.add(tx, application)
    await _note(tx, admin, "create_application", application)
    return application


async def change(  # noqa: PLR0913 -- one argument for each thing that can change
    tx: Tx,
    admin: AdminOfNamespace,
    application: Application,
    *,
    name: str,
    redirect_uri: str,
    application_uri: str,
    description: str,
    avatar_email: str | None,
) -> Application:
    changed = replace(
        application,
        name=name,
        redirect_uri=redirect_uri,
        application_uri=application_uri,
        description=description,
        avatar_email=avatar_email,
    )
    await application_rows.replace(tx, changed)
    await _note(tx, admin, "update_application", changed)
    return changed


async def reset_secret(
    tx: Tx, admin: AdminOfNamespace, application: Application
) -> Application:
    """Give it a new client secret; the old one is void at once. Its tokens stay good."""
    changed = replace(application, client_secret=random_secret(CLIENT_SECRET_LENGTH))
    await application_rows.replace(tx, changed)
    await _note(tx, admin, "reset_application_client_secret", changed)
    return changed


async def delete(tx: Tx, admin: AdminOfNamespace, application: Application) -> None:
    """Remove it; its tokens are void at once."""
    await application_rows.remove(tx, application.id)
    await _note(tx, admin, "delete_application", application)


async def _note(tx: Tx, admin: AdminOfNamespace, kind: str, application: Application) -> None:
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace.id,
        repository_id=None,
        metadata={"application_name": application.name, "client_id": application.client_id},
    )
