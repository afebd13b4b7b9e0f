"""Rows of the rules that keep tags from changing: those of a repository, and those of a namespace for all in it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Table, delete, insert, select, union_all, update

from dockbell.domain.ids import uuid_of
from dockbell.domain.immutability import Rule
from dockbell.domain.late_dataclasses import dataclass
from dockbell.store.tables import immutability_rules, namespace_immutability_rules
from dockbell.store.transactions import Tx


@dataclass(frozen=True, slots=True)
class RulesOf:
    """The rules of one repository or of one namespace."""

    table: Table
    owner: Column[Any]
    owner_id: str

    @classmethod
    def repository(cls, repository_id: str) -> "RulesOf":
        table = immutability_rules
        return cls(table, table.c.repository_id, repository_id)

    @classmethod
    def namespace(cls, namespace_id: str) -> "RulesOf":
        table = namespace_immutability_rules
        return cls(table, table.c.namespace_id, namespace_id)


async def find_all(tx: Tx, *places: RulesOf) -> Sequence[Rule]:
    """The rules of these, each one's in the order in which they were made."""
    rows = await tx.rows(
        union_all(
            *(
                select(
                    one.table.c.id, one.table.c.uuid, one.table.c.pattern, one.table.c.matches
                ).where(one.owner == one.owner_id)
                for one in places
            )
        ).order_by("id")
    )
    return [Rule(row.uuid, row.pattern, row.matches) for row in rows]


async def add(tx: Tx, place: RulesOf, pattern: str, *, matches: bool) -> Rule:
    rule_id = tx.new_id("imr")
    rule = Rule(uuid_of(rule_id), pattern, matches)
    await tx.run(
        insert(place.table).values(
            {
                "id": rule_id,
                "uuid": rule.uuid,
                place.owner.name: place.owner_id,
                "pattern": pattern,
                "matches": matches,
                "created_at": tx.now,
            }
        )
    )
    return rule


async def put(tx: Tx, place: RulesOf, rule: Rule) -> None:
    await tx.run(
        update(place.table)
        .where(place.owner == place.owner_id, place.table.c.uuid == rule.uuid)
        .values(pattern=rule.pattern, matches=rule.matches)
    )


async def remove(tx: Tx, place: RulesOf, uuid: str) -> None:
    await tx.run(
        delete(place.table).where(place.owner == place.owner_id, place.table.c.uuid == uuid)
    )
