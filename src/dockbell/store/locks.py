"""The one order in which rows are locked, and the locks of those who remove things.

Whoever locks more than one of these takes them from the top down, and of one kind in the order of their ids
(docs/decisions/0017-lock-order.md). Then nobody waits for anybody in a circle:

0. words: an e-mail address that somebody is about to take
1. namespaces, and with each how much it stores
2. repositories, and below them what hangs on one of them alone: teams, robots, roles, tags, manifests, mirrors, builds, feeds
3. deliveries that are being sent, which only the holder of their lease touches. Nobody waits for them, so
   settling, which finds out about owners last, may take those first
4. notifications
5. lanes, and before them the breakers of hosts
6. deliveries that wait, under their lane's lock. Rows that are new, and rows taken with SKIP LOCKED, wait for nobody:
   so do late tries, whose delivery may be anybody's by now

On SQLite one transaction writes at a time, and nothing here locks.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from dockbell.domain.errors import UndoneError
from dockbell.store.tables import (
    lanes,
    namespace_storage,
    namespaces,
    notifications,
    repositories,
)
from dockbell.store.transactions import Tx


async def hold_word(tx: Tx, word: str) -> None:
    """Let nobody else hold the same word until this transaction ends; for what must be unique without a constraint."""
    if tx.dialect.HOLD_WORD is not None:
        await tx.hot(tx.dialect.HOLD_WORD, (word,))


async def hold_namespace(tx: Tx, namespace_id: str) -> None:
    """Hold back other changes to who may do what in the namespace, until this transaction ends.

    Raise UndoneError if the namespace is gone: asked again, whoever needs it hears so.
    """
    await _hold_one(
        tx,
        select(namespaces.c.id)
        .where(namespaces.c.id == namespace_id)
        .with_for_update(key_share=True),
    )


async def hold_repository(tx: Tx, repository_id: str) -> bool:
    """Keep the repository and its owner from being deleted until this transaction ends; False if it is gone already."""
    owner = select(repositories.c.namespace_id).where(repositories.c.id == repository_id)
    await tx.first(
        select(namespaces.c.id)
        .where(namespaces.c.id == owner.scalar_subquery())
        .with_for_update(read=True, key_share=True)
    )
    found = await tx.first(
        select(repositories.c.id)
        .where(repositories.c.id == repository_id)
        .with_for_update(read=True, key_share=True)
    )
    return found is not None


async def keep_namespace(tx: Tx, namespace_id: str) -> bool:
    """Keep the namespace from being deleted until this transaction ends; False if it is gone already."""
    found = await tx.first(
        select(namespaces.c.id)
        .where(namespaces.c.id == namespace_id)
        .with_for_update(read=True, key_share=True)
    )
    return found is not None


async def take_namespace(tx: Tx, namespace_id: str) -> Sequence[str]:
    """Lock for removal the namespace and all that goes with it; return the ids of its notifications.

    Raise UndoneError if it is gone: asked again, whoever wants to remove it hears so.
    """
    await _hold_one(
        tx, select(namespaces.c.id).where(namespaces.c.id == namespace_id).with_for_update()
    )
    await tx.rows(
        select(namespace_storage.c.namespace_id)
        .where(namespace_storage.c.namespace_id == namespace_id)
        .with_for_update()
    )
    await tx.rows(
        select(repositories.c.id)
        .where(repositories.c.namespace_id == namespace_id)
        .order_by(repositories.c.id)
        .with_for_update()
    )
    return await _take_notifications(tx, notifications.c.namespace_id == namespace_id)


async def take_repository(tx: Tx, repository_id: str) -> Sequence[str]:
    """Lock for removal the repository and all that goes with it; return the ids of its notifications.

    Raise UndoneError if it is gone: asked again, whoever wants to remove it hears so.
    """
    await _hold_one(
        tx,
        select(repositories.c.id).where(repositories.c.id == repository_id).with_for_update(),
    )
    return await _take_notifications(tx, notifications.c.repository_id == repository_id)


async def hold_lanes(tx: Tx, notification_id: str) -> None:
    """Let no lease begin for the notification: what waits for it stays as it is until this transaction ends."""
    await _hold_lanes(tx, lanes.c.notification_id == notification_id)


async def hold_owners(tx: Tx, notification_ids: Collection[str]) -> None:
    """Keep the namespaces of these notifications from being deleted until this transaction ends."""
    if tx.dialect.HOLD_OWNERS is not None:
        await tx.hot(tx.dialect.HOLD_OWNERS, (list(notification_ids),))


async def take_lanes(tx: Tx, lane_ids: Collection[str]) -> None:
    """Lock these lanes, all that the transaction will change, before it changes any of them."""
    if tx.dialect.TAKE_LANES is not None:
        await tx.hot(tx.dialect.TAKE_LANES, (list(lane_ids),))


async def _take_notifications(tx: Tx, wanted: ColumnElement[bool]) -> Sequence[str]:
    rows = await tx.rows(
        select(notifications.c.id).where(wanted).order_by(notifications.c.id).with_for_update()
    )
    await _hold_lanes(tx, lanes.c.notification_id.in_(select(notifications.c.id).where(wanted)))
    return [row.id for row in rows]


async def _hold_lanes(tx: Tx, wanted: ColumnElement[bool]) -> None:
    await tx.rows(
        select(lanes.c.id).where(wanted).order_by(lanes.c.id).with_for_update(key_share=True)
    )


async def _hold_one(tx: Tx, statement: Select[Any]) -> None:
    if await tx.first(statement) is None:
        raise UndoneError
