"""Rows of audit entries: who changed what. They outlive what they are about."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, insert, select

from dockbell.domain import ids
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


async def count_by(
    tx: Tx, actor: Actor, kind: str, *, namespace_id: str | None, since: datetime
) -> int:
    """How often the actor did this in the namespace since then. `kind` may hold `%` for any text."""
    row = await tx.first(
        select(func.count()).where(
            audit_entries.c.namespace_id == namespace_id,
            audit_entries.c.id >= ids.compose("aud", since, 0),
            audit_entries.c.kind.like(kind),
            audit_entries.c.actor_kind == actor.kind.value,
            audit_entries.c.actor_name == actor.name,
        )
    )
    return 0 if row is None else int(row[0])
