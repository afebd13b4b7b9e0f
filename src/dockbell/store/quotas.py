"""Rows of quotas and their limits."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, select, update

from dockbell.domain.quotas import LimitKind, Quota, QuotaLimit
from dockbell.store.tables import quota_limits, quotas
from dockbell.store.transactions import Tx


async def find(tx: Tx, namespace_id: str) -> Quota | None:
    """The namespace's quota with its limits, the lowest first. One query."""
    return (await find_many(tx, [namespace_id])).get(namespace_id)


async def find_many(tx: Tx, namespace_ids: Sequence[str]) -> Mapping[str, Quota]:
    """The same for each of these namespaces that has one. One query."""
    rows = await tx.rows(
        select(
            quotas.c.id,
            quotas.c.namespace_id,
            quotas.c.limit_bytes,
            quota_limits.c.id.label("limit_id"),
            quota_limits.c.kind,
            quota_limits.c.percent,
            quota_limits.c.crossed_at,
        )
        .outerjoin(quota_limits, quota_limits.c.quota_id == quotas.c.id)
        .where(quotas.c.namespace_id.in_(namespace_ids))
        .order_by(quota_limits.c.percent, quota_limits.c.id)
    )
    limits: dict[int, list[QuotaLimit]] = {row.id: [] for row in rows}
    for row in rows:
        if row.limit_id is not None:
            limits[row.id].append(
                QuotaLimit(row.limit_id, LimitKind(row.kind), row.percent, row.crossed_at)
            )
    return {
        row.namespace_id: Quota(row.id, row.namespace_id, int(row.limit_bytes), limits[row.id])
        for row in rows
    }


async def namespaces_with_one(tx: Tx) -> Sequence[str]:
    rows = await tx.rows(select(quotas.c.namespace_id).order_by(quotas.c.namespace_id))
    return [row.namespace_id for row in rows]


async def add(tx: Tx, namespace_id: str, limit_bytes: int) -> None:
    """Add one; raise DuplicateError, with the transaction still usable, if there is one."""
    async with tx.nested():
        await tx.run(
            insert(quotas).values(
                namespace_id=namespace_id, limit_bytes=limit_bytes, created_at=tx.now
            )
        )


async def set_size(tx: Tx, quota_id: int, limit_bytes: int) -> None:
    await tx.run(update(quotas).where(quotas.c.id == quota_id).values(limit_bytes=limit_bytes))


async def remove(tx: Tx, quota_id: int) -> None:
    await tx.run(delete(quotas).where(quotas.c.id == quota_id))


async def add_limit(tx: Tx, quota_id: int, kind: LimitKind, percent: int) -> None:
    """Add a limit; raise DuplicateError, with the transaction still usable, if there is one like it."""
    async with tx.nested():
        await tx.run(
            insert(quota_limits).values(quota_id=quota_id, kind=kind.value, percent=percent)
        )


async def set_limit(tx: Tx, limit_id: int, kind: LimitKind, percent: int) -> None:
    """Make the limit another one, which nobody was told of yet; raise DuplicateError likewise."""
    async with tx.nested():
        await tx.run(
            update(quota_limits)
            .where(quota_limits.c.id == limit_id)
            .values(kind=kind.value, percent=percent, crossed_at=None)
        )


async def remove_limit(tx: Tx, limit_id: int) -> None:
    await tx.run(delete(quota_limits).where(quota_limits.c.id == limit_id))


async def mark(tx: Tx, limit_ids: Collection[int], *, is_crossed: bool) -> None:
    """Note that somebody was told of these limits, or that they are to be told of again."""
    if limit_ids:
        await tx.run(
            update(quota_limits)
            .where(quota_limits.c.id.in_(limit_ids))
            .values(crossed_at=tx.now if is_crossed else None)
        )


async def rearm(tx: Tx, namespace_id: str, usage: int) -> None:
    """Let limits be told of again that the usage has fallen below. The namespace's storage is held."""
    quota = await find(tx, namespace_id)
    if quota is not None:
        fallen = [
            one.id
            for one in quota.limits
            if one.crossed_at is not None and not one.is_reached(usage, quota.limit_bytes)
        ]
        await mark(tx, fallen, is_crossed=False)
