"""Immutable tags: the rules of a repository, and holding changes to them."""

from collections.abc import Sequence

from dockbell.domain.errors import InvalidRequestError, NotFoundError
from dockbell.domain.immutability import Rule, TagImmutableError, check_pattern, is_immutable
from dockbell.domain.permissions import AdminOf, ViewerOf, WriterOf
from dockbell.services import audit_entries
from dockbell.store import immutability
from dockbell.store import manifests as manifest_rows
from dockbell.store.transactions import Tx

_MOST = 50


async def list_rules(tx: Tx, viewer: ViewerOf) -> Sequence[Rule]:
    return await immutability.find_all(tx, viewer.repository.id)


async def load_rule(tx: Tx, viewer: ViewerOf, uuid: str) -> Rule:
    found = [rule for rule in await list_rules(tx, viewer) if rule.uuid == uuid]
    if not found:
        raise NotFoundError
    return found[0]


async def create_rule(tx: Tx, admin: AdminOf, pattern: str, *, matches: bool) -> Rule:
    """Keep tags that match, or all that do not, as they are from now on."""
    await _check(tx, admin, pattern, matches=matches)
    rule = await immutability.add(tx, admin.repository.id, pattern, matches=matches)
    await _note(tx, admin, "create_immutability_policy", rule)
    return rule


async def change_rule(
    tx: Tx, admin: AdminOf, uuid: str, pattern: str, *, matches: bool
) -> None:
    await load_rule(tx, admin, uuid)
    await _check(tx, admin, pattern, matches=matches, besides=uuid)
    rule = Rule(uuid, pattern, matches)
    await immutability.put(tx, admin.repository.id, rule)
    await _note(tx, admin, "update_immutability_policy", rule)


async def delete_rule(tx: Tx, admin: AdminOf, uuid: str) -> None:
    rule = await load_rule(tx, admin, uuid)
    await immutability.remove(tx, admin.repository.id, uuid)
    await _note(tx, admin, "delete_immutability_policy", rule)


async def check_change(tx: Tx, writer: WriterOf, tags: Sequence[str]) -> None:
    """Raise TagImmutableError if one of these tags, which are there, may not change. The repository is locked."""
    rules = await immutability.find_all(tx, writer.repository.id) if tags else ()
    for tag in tags:
        if is_immutable(tag, rules):
            raise TagImmutableError(tag)


async def may_change(tx: Tx, writer: WriterOf, tag: str) -> bool:
    """Whether the tag may be moved, and so may also expire."""
    return not is_immutable(tag, await immutability.find_all(tx, writer.repository.id))


async def _check(
    tx: Tx, admin: AdminOf, pattern: str, *, matches: bool, besides: str = ""
) -> None:
    check_pattern(pattern)
    await manifest_rows.lock_repository(tx, admin.repository.id)
    others = [rule for rule in await list_rules(tx, admin) if rule.uuid != besides]
    if any((rule.pattern, rule.matches) == (pattern, matches) for rule in others):
        raise InvalidRequestError("An immutability policy like this already exists")
    if len(others) >= _MOST:
        raise InvalidRequestError(f"A repository has at most {_MOST} immutability policies")


async def _note(tx: Tx, admin: AdminOf, kind: str, rule: Rule) -> None:
    await audit_entries.write_about(
        tx,
        admin.actor,
        admin.repository,
        kind,
        uuid=rule.uuid,
        tag_pattern=rule.pattern,
        tag_pattern_matches=rule.matches,
    )
