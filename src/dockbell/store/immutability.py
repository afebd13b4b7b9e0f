"""Rows of the rules that keep tags from changing."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from dockbell.domain.ids import uuid_of
from dockbell.domain.immutability import Rule
from dockbell.store.tables import immutability_rules
from dockbell.store.transactions import Tx


async def find_all(tx: Tx, repository_id: str) -> Sequence[Rule]:
    """The repository's rules, in the order in which they were made."""
    rows = await tx.rows(
        select(immutability_rules)
        .where(immutability_rules.c.repository_id == repository_id)
        .order_by(immutability_rules.c.id)
    )
    return [Rule(row.uuid, row.pattern, row.matches) for row in rows]


async def add(tx: Tx, repository_id: str, pattern: str, *, matches: bool) -> Rule:
    rule_id = tx.new_id("imr")
    rule = Rule(uuid_of(rule_id), pattern, matches)
    await tx.run(
        insert(immutability_rules).values(
            id=rule_id,
            uuid=rule.uuid,
            repository_id=repository_id,
            pattern=pattern,
            matches=matches,
            created_at=tx.now,
        )
    )
    return rule


async def put(tx: Tx, repository_id: str, rule: Rule) -> None:
    await tx.run(
        update(immutability_rules)
        .where(
            immutability_rules.c.repository_id == repository_id,
            immutability_rules.c.uuid == rule.uuid,
        )
        .values(pattern=rule.pattern, matches=rule.matches)
    )


async def remove(tx: Tx, repository_id: str, uuid: str) -> bool:
    """Delete the rule; False if there is none."""
    return (
        await tx.run(
            delete(immutability_rules).where(
                immutability_rules.c.repository_id == repository_id,
                immutability_rules.c.uuid == uuid,
            )
        )
        > 0
    )
