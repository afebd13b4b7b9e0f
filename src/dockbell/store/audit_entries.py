"""Rows of audit entries: who changed what. They outlive what they are about."""

from collections.abc import Mapping

from sqlalchemy import insert

from dockbell.domain.accounts import Actor
from dockbell.store.tables import audit_entries
from dockbell.store.transactions import Tx


async def add(  # noqa: PLR0913 -- one argument for each thing an entry holds
    tx: Tx,
    actor: Actor,
    kind: str,
    *,
    namespace_id: str | None,
    repository_id: str | None,
    metadata: Mapping[str, object],
) -> None:
    await tx.run(
        insert(audit_entries),
        {
            "id": tx.new_id("aud"),
            "kind": kind,
            "namespace_id": namespace_id,
            "repository_id": repository_id,
            "actor_kind": actor.kind.value,
            "actor_name": actor.name,
            "metadata": dict(metadata),
            "ip": actor.ip,
            "created_at": tx.now,
        },
    )
