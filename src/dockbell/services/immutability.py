"""Immutable tags: the rules of a repository and of its organization, and holding changes to them."""

from collections.abc import Sequence

from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.immutability import Rule, TagImmutableError, check_pattern, is_immutable
from dockbell.domain.permissions import (
    AdminOf,
    AdminOfNamespace,
    ViewerOf,
    ViewerOfNamespace,
    WriterOf,
)
from dockbell.services import audit_entries
from dockbell.store import immutability, locks
from dockbell.store import manifests as manifest_rows
from dockbell.store.immutability import RulesOf
from dockbell.store.transactions import Tx

_MOST = 50


async def list_rules(tx: Tx, viewer: ViewerOf | ViewerOfNamespace) -> Sequence[Rule]:
    return await immutability.find_all(tx, _rules_of(viewer))


async def load_rule(tx: Tx, viewer: ViewerOf | ViewerOfNamespace, uuid: str) -> Rule:
    found = [rule for rule in await list_rules(tx, viewer) if rule.uuid == uuid]
    if not found:
        raise NotFoundError
    return found[0]


async def create_rule(
    tx: Tx, admin: AdminOf | AdminOfNamespace, pattern: str, *, matches: bool
) -> Rule:
    """Keep tags that match, or all that do not, as they are from now on."""
    await _check(tx, admin, pattern, matches=matches)
    rule = await immutability.add(tx, _rules_of(admin), pattern, matches=matches)
    await _note(tx, admin, "create_immutability_policy", rule)
    return rule


async def change_rule(
    tx: Tx, admin: AdminOf | AdminOfNamespace, uuid: str, pattern: str, *, matches: bool
) -> None:
    await load_rule(tx, admin, uuid)
    await _check(tx, admin, pattern, matches=matches, besides=uuid)
    rule = Rule(uuid, pattern, matches)
    await immutability.put(tx, _rules_of(admin), rule)
    await _note(tx, admin, "update_immutability_policy", rule)


async def delete_rule(tx: Tx, admin: AdminOf | AdminOfNamespace, uuid: str) -> None:
    rule = await load_rule(tx, admin, uuid)
    await immutability.remove(tx, _rules_of(admin), uuid)
    await _note(tx, admin, "delete_immutability_policy", rule)


async def check_change(tx: Tx, writer: WriterOf, tags: Sequence[str]) -> None:
    """Raise TagImmutableError if one of these tags, which are there, may not change. The repository is locked."""
    rules = await _rules_for(tx, writer) if tags else ()
    for tag in tags:
        if is_immutable(tag, rules):
            raise TagImmutableError(tag)


async def may_change(tx: Tx, writer: WriterOf, tag: str) -> bool:
    """Whether the tag may be moved, and so may also expire."""
    return not is_immutable(tag, await _rules_for(tx, writer))


def _rules_of(viewer: ViewerOf | ViewerOfNamespace) -> RulesOf:
    if isinstance(viewer, ViewerOf):
        return RulesOf.repository(viewer.repository.id)
    return RulesOf.namespace(viewer.namespace.id)


async def _rules_for(tx: Tx, writer: WriterOf) -> Sequence[Rule]:
    """All that hold for tags of the repository."""
    return await immutability.find_all(
        tx,
        RulesOf.repository(writer.repository.id),
        RulesOf.namespace(writer.repository.namespace_id),
    )


async def _check(
    tx: Tx, admin: AdminOf | AdminOfNamespace, pattern: str, *, matches: bool, besides: str = ""
) -> None:
    check_pattern(pattern)
    if isinstance(admin, AdminOf):
        await manifest_rows.lock_repository(tx, admin.repository.id)
        owner = "A repository"
    else:
        await locks.hold_namespace(tx, admin.namespace.id)
        owner = "An organization"
    others = [rule for rule in await list_rules(tx, admin) if rule.uuid != besides]
    if any((rule.pattern, rule.matches) == (pattern, matches) for rule in others):
        raise InvalidRequestError("An immutability policy like this already exists")
    if len(others) >= _MOST:
        raise InvalidRequestError(f"{owner} has at most {_MOST} immutability policies")


async def _note(tx: Tx, admin: AdminOf | AdminOfNamespace, kind: str, rule: Rule) -> None:
    place: dict[str, object]
    if isinstance(admin, AdminOf):
        repository_id: str | None = admin.repository.id
        namespace_id = admin.repository.namespace_id
        place = {"repo": admin.repository.name, "namespace": admin.repository.namespace}
    else:
        repository_id, namespace_id = None, admin.namespace.id
        place = {"namespace": admin.namespace.name}
    await audit_entries.write(
        tx,
        admin.actor,
        kind,
        namespace_id=namespace_id,
        repository_id=repository_id,
        metadata={
            **place,
            "uuid": rule.uuid,
            "tag_pattern": rule.pattern,
            "tag_pattern_matches": rule.matches,
        },
    )
