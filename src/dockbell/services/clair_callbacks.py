"""Clair's calls: noted at once, worked off by the server itself."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.clair import MOST_TRIES, Callback, wait_of
from dockbell.domain.errors import TooManyError
from dockbell.domain.permissions import ReporterOf
from dockbell.store import clair_callbacks, manifests, namespaces, repositories
from dockbell.store.transactions import Tx

MOST = 1000  # that wait
_NAME = "Clair"


async def note(tx: Tx, callback_id: str) -> None:
    """Note that Clair has news under this id. Whoever calls has checked its token, if there is a key."""
    if await clair_callbacks.count(tx) >= MOST:
        raise TooManyError(f"{MOST} calls wait to be worked off. Call again later.")
    await clair_callbacks.add(tx, callback_id)


async def find_due(tx: Tx, actor: Actor) -> Callback | None:
    """The call that has waited longest. For the server itself."""
    del actor  # nobody else has a way to this
    return await clair_callbacks.find_due(tx)


async def put_off(tx: Tx, actor: Actor, callback: Callback) -> bool:
    """Let it wait longer each time; False if it was given up, after a day or so."""
    del actor  # as above
    if callback.tries >= MOST_TRIES:
        await clair_callbacks.remove(tx, callback.id)
        return False
    await clair_callbacks.postpone(tx, callback.id, tx.now + wait_of(callback.tries))
    return True


async def settle(tx: Tx, actor: Actor, callback: Callback) -> None:
    """Forget a call that was worked off."""
    del actor  # as above
    await clair_callbacks.remove(tx, callback.id)


async def holders(tx: Tx, actor: Actor, digest: str) -> Sequence[ReporterOf]:
    """The right to report, in Clair's name, on the image in each repository that holds it. For the server itself."""
    del actor  # as above
    found = []
    for repository_id in await manifests.holders(tx, digest):
        repository = await repositories.find_by_id(tx, repository_id)
        if repository is not None:
            owner = await namespaces.load(tx, repository.namespace_id)
            found.append(ReporterOf(Actor(ActorKind.SYSTEM, name=_NAME), owner, repository))
    return found
