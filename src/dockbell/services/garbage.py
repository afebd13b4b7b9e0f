"""Collecting garbage, step by step, each step in a transaction of its own. For the server itself."""

from collections.abc import Sequence
from datetime import timedelta

from dockbell.domain.accounts import Actor
from dockbell.domain.digests import Digest
from dockbell.domain.late_dataclasses import dataclass
from dockbell.services.blobs import GRACE
from dockbell.store import blobs, garbage, quotas, storage
from dockbell.store import manifests as manifest_rows
from dockbell.store import repositories as repository_rows
from dockbell.store.transactions import Tx

_REPOSITORIES = 100
_AT_ONCE = 200  # manifests or blobs in one transaction


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one step took from a repository."""

    manifests: int = 0
    blobs: tuple[str, ...] = ()
    has_more: bool = False


async def list_repositories(tx: Tx, actor: Actor, *, after: str) -> Sequence[str]:
    """The ids of some repositories, from behind this one."""
    del actor  # nobody else has a way to this
    return await garbage.list_repositories(tx, after, _REPOSITORIES)


async def tidy(tx: Tx, actor: Actor, repository_id: str, keep: timedelta | None) -> Tidied:
    """Take from the repository some manifests that nothing keeps, and blobs that none of its manifests needs.

    The repository is locked, as by a push of a manifest: each sees all that the other did. `keep` is for how long
    what no tag points to any more stays, for good if it is None.
    """
    del actor
    owner = await repository_rows.find_by_id(tx, repository_id)
    if owner is None:
        return Tidied()
    await storage.hold(tx, owner.namespace_id)
    if not await manifest_rows.lock_repository(tx, repository_id):
        return Tidied()
    removed: Sequence[str] = ()
    if keep is not None:
        before = tx.now - keep
        await garbage.prune_versions(tx, repository_id, before)
        removed = await garbage.untagged(tx, repository_id, before, _AT_ONCE)
        for digest in removed:
            await manifest_rows.remove(tx, repository_id, digest)
    found = await garbage.unneeded(tx, repository_id, tx.now - GRACE, _AT_ONCE)
    if found:
        await garbage.unlink(tx, repository_id, found)
        used = await storage.give_back(tx, owner.namespace_id, found)
        await quotas.rearm(tx, owner.namespace_id, used)
    # What was removed may have been all that kept others.
    return Tidied(len(removed), tuple(found), bool(removed) or len(found) == _AT_ONCE)


async def mark(tx: Tx, actor: Actor) -> int:
    """Begin the time of grace of blobs that no repository holds; return of how many."""
    del actor
    return await garbage.mark(tx)


async def list_ended(tx: Tx, actor: Actor, *, after: str) -> Sequence[tuple[str, int]]:
    """Digest and size of some blobs whose time of grace is over."""
    del actor
    return await garbage.marked(tx, tx.now - GRACE, after, _AT_ONCE)


async def take(tx: Tx, actor: Actor, digest: Digest) -> bool:
    """Forget the blob if its time of grace is over and still nobody holds it: then its file can go, before the commit."""
    del actor
    await blobs.hold(tx, str(digest))
    return await garbage.remove_blob(tx, str(digest), tx.now - GRACE)


async def list_unknown(tx: Tx, actor: Actor, digests: Sequence[Digest]) -> Sequence[Digest]:
    """Those of the digests that the database knows nothing of."""
    del actor
    known = await garbage.known(tx, [str(digest) for digest in digests]) if digests else ()
    return [digest for digest in digests if str(digest) not in known]


async def is_unknown(tx: Tx, actor: Actor, digest: Digest) -> bool:
    """Whether the database knows nothing of the digest, nor will until this transaction ends."""
    await blobs.hold(tx, str(digest))
    return bool(await list_unknown(tx, actor, [digest]))


async def size_of_last(tx: Tx, actor: Actor, taken: dict[str, int]) -> tuple[int, int]:
    """Of blobs that so many repositories would let go: how many nobody else holds, and their bytes."""
    del actor
    digests = sorted(taken)
    count = size = 0
    for first in range(0, len(digests), _AT_ONCE):
        rows = await garbage.holders_of(tx, digests[first : first + _AT_ONCE])
        last = [held for digest, held, holders in rows if holders <= taken[digest]]
        count += len(last)
        size += sum(last)
    return count, size
