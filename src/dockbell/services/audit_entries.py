"""Writing down who changed what."""

from collections.abc import Mapping
from datetime import datetime

from dockbell.domain.accounts import Actor
from dockbell.domain.permissions import AdminOf, AdminOfAll, AdminOfPlace
from dockbell.domain.repositories import Repository
from dockbell.store import audit_entries
from dockbell.store.transactions import Tx


async def write(  # noqa: PLR0913 -- one argument for each thing an entry holds
    tx: Tx,
    actor: Actor,
    kind: str,
    *,
    namespace_id: str | None,
    repository_id: str | None,
    metadata: Mapping[str, object],
) -> None:
    """Record one change in the change's own transaction. Put no secret into `metadata`."""
    entry = dict(metadata)
    if actor.token_id is not None:
        # Quay: the entry names the token it was done with. Pinned by compat/test_tokens.py.
        entry["oauth_token_id"] = actor.token_id
        entry["oauth_token_application_id"] = actor.application_id
        entry["oauth_token_application"] = actor.application_name
    await audit_entries.add(
        tx,
        actor,
        kind,
        namespace_id=namespace_id,
        repository_id=repository_id,
        metadata=entry,
    )


async def write_about(
    tx: Tx, actor: Actor, repository: Repository, kind: str, **more: object
) -> None:
    """The same for a change to a repository or to what belongs to it, which the entry names first."""
    await write(
        tx,
        actor,
        kind,
        namespace_id=repository.namespace_id,
        repository_id=repository.id,
        metadata={"repo": repository.name, "namespace": repository.namespace, **more},
    )


async def write_at(tx: Tx, admin: AdminOfPlace, kind: str, **more: object) -> None:
    """The same for a repository, a namespace or the whole server, whichever the right is for."""
    names: dict[str, object] = {}
    match admin:
        case AdminOf():
            names = {"repo": admin.repository.name, "namespace": admin.repository.namespace}
        case AdminOfAll():
            names = {"namespace": admin.namespace.name}
        case _:
            pass
    await write(
        tx,
        admin.actor,
        kind,
        namespace_id=admin.namespace_id,
        repository_id=admin.repository_id,
        metadata={**names, **more},
    )


async def count_tests(tx: Tx, admin: AdminOfPlace, since: datetime) -> int:
    """How many test messages this caller asked for since then, for notifications of the same namespace."""
    return await audit_entries.count_by(
        tx,
        admin.actor,
        "test_%_notification",
        namespace_id=admin.namespace_id,
        since=since,
    )
