"""Having a Clair index what is pushed: noted with the push, worked off by the server itself."""

from datetime import timedelta

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.clair import MOST_TRIES, Indexing, wait_of
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import Manifest, parse
from dockbell.domain.permissions import ReporterOf
from dockbell.store import clair_indexings, manifests, namespaces, repositories
from dockbell.store.transactions import Tx

_SOME = 200  # that are looked at in one transaction
_LEASE = timedelta(minutes=15)  # longer than a Clair is waited for
_CLAIR = Actor(ActorKind.SYSTEM, name="Clair")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that is to be indexed, and the right to report on it in Clair's name."""

    right: ReporterOf
    path: str
    manifest: Manifest


async def add_unscanned(
    tx: Tx, actor: Actor, scanner: str, *, after: tuple[str, str], is_dry: bool
) -> tuple[int, tuple[str, str] | None]:
    """Note some images that the scanner has not reported on; return how many, and where to go on. For an operator."""
    del actor  # whoever may read the database
    found = await clair_indexings.list_unscanned(tx, scanner, after=after, limit=_SOME)
    images = [row for row in found if parse(row.body, row.media_type).image_config is not None]
    if not is_dry:
        for row in images:
            await clair_indexings.add(tx, row.repository_id, row.digest, row.created_at)
    last = found[-1] if len(found) == _SOME else None
    return len(images), None if last is None else (last.repository_id, last.digest)


async def has_due(tx: Tx, actor: Actor) -> bool:
    """Whether some image waits. Reads only. For the server itself."""
    del actor  # nobody else has a way to this
    return await clair_indexings.has_due(tx)


async def claim(tx: Tx, actor: Actor) -> Indexing | None:
    """An image that is due, which nobody else gets meanwhile. For the server itself."""
    del actor  # as above
    return await clair_indexings.claim(tx, tx.now + _LEASE)


async def find(tx: Tx, actor: Actor, one: Indexing) -> Image | None:
    """The image, if it is still there. For the server itself."""
    del actor  # as above
    repository = await repositories.find_by_id(tx, one.repository_id)
    stored = await manifests.find(tx, one.repository_id, one.digest)
    if repository is None or stored is None:
        return None
    owner = await namespaces.load(tx, repository.namespace_id)
    return Image(
        ReporterOf(_CLAIR, owner, repository),
        repository.path,
        parse(stored.body, stored.media_type),
    )


async def put_off(tx: Tx, actor: Actor, one: Indexing) -> bool:
    """Let it wait longer each time; False if it was given up, after a day or so."""
    del actor  # as above
    if one.tries > MOST_TRIES:
        await clair_indexings.remove(tx, one)
        return False
    await clair_indexings.postpone(tx, one, tx.now + wait_of(one.tries - 1))
    return True


async def settle(tx: Tx, actor: Actor, one: Indexing) -> None:
    """Forget an image that was reported on, or is gone."""
    del actor  # as above
    await clair_indexings.remove(tx, one)
