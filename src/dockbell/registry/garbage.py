"""Collecting garbage: rows in short transactions, files under the lock that pushes take too. Safe while others push.

Two phases. First each repository lets go what none of its manifests needs, and content that no repository holds is marked
with the time. Only when that mark is older than the time of grace, and still nobody holds the content, it is deleted.
A process that dies anywhere leaves at most a row or a file too many, which the next run takes.
"""

import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timedelta

from dockbell.domain.accounts import SYSTEM
from dockbell.domain.digests import Digest
from dockbell.domain.late_dataclasses import dataclass
from dockbell.registry.files import Files
from dockbell.registry.parts import Begin
from dockbell.services import garbage
from dockbell.services.blobs import GRACE

_DRY_STEPS = 50  # a dry run keeps others from writing no longer than these take


@dataclass(slots=True)
class Collected:
    """What a run did, or would do, so far."""

    repositories: int = 0
    manifests: int = 0
    links: int = 0  # blobs that repositories let go
    marked: int = 0  # blobs whose time of grace began
    blobs: int = 0  # deleted
    size: int = 0  # bytes of these
    orphans: int = 0  # files that the database knows nothing of
    later: int = 0  # blobs that only what was let go in this run kept: a dry run counts them
    later_size: int = 0
    taken: Counter[str] = field(default_factory=Counter, repr=False)


class _UndoneError(Exception):
    """Ends a transaction that was only to be looked at."""


def _undo_if(is_dry: bool) -> None:  # noqa: FBT001 -- its name says which
    if is_dry:
        raise _UndoneError


Progress = Callable[[Collected], None]


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects the garbage of one database and its folder."""

    begin: Begin
    read: Begin
    files: Files
    keep: timedelta | None  # what no tag points to any more; None for good

    async def run(
        self, now: datetime, *, is_dry: bool = False, progress: Progress = lambda _: None
    ) -> Collected:
        """Collect all that is garbage now, or with `is_dry` find out what is and change nothing."""
        done = Collected()
        await self._tidy(done, progress, is_dry=is_dry)
        if is_dry:
            async with self.read() as tx:
                done.later, done.later_size = await garbage.size_of_last(
                    tx, SYSTEM, dict(done.taken)
                )
        else:
            async with self.begin() as tx:
                done.marked = await garbage.mark(tx, SYSTEM)
        await self._sweep(done, progress, is_dry=is_dry)
        await self._sweep_files(done, now, progress, is_dry=is_dry)
        return done

    async def _tidy(self, done: Collected, progress: Progress, *, is_dry: bool) -> None:
        after: str | None = ""
        while after is not None:
            async with self.read() as tx:
                ids = await garbage.list_repositories(tx, SYSTEM, after=after)
            for repository_id in ids:
                has_more = True
                while has_more:
                    has_more = await self._step(done, repository_id, is_dry=is_dry)
                done.repositories += 1
                progress(done)
            after = ids[-1] if ids else None

    async def _step(self, done: Collected, repository_id: str, *, is_dry: bool) -> bool:
        """One transaction; whether there is more to do. A dry run does many steps in one, and undoes all of them."""
        has_more = False
        with contextlib.suppress(_UndoneError):
            async with self.begin() as tx:
                for _ in range(_DRY_STEPS if is_dry else 1):
                    step = await garbage.tidy(tx, SYSTEM, repository_id, self.keep)
                    done.manifests += step.manifests
                    done.links += len(step.blobs)
                    done.taken.update(step.blobs)
                    has_more = step.has_more
                    if not has_more:
                        break
                _undo_if(is_dry)
        return has_more and not is_dry

    async def _sweep(self, done: Collected, progress: Progress, *, is_dry: bool) -> None:
        after: str | None = ""
        while after is not None:
            async with self.read() as tx:
                found = await garbage.list_ended(tx, SYSTEM, after=after)
            for digest, size in found:
                if is_dry or await self._delete(Digest.of(digest)):
                    done.blobs += 1
                    done.size += size
                    progress(done)
            after = found[-1][0] if found else None

    async def _delete(self, digest: Digest) -> bool:
        async with self.begin() as tx:
            is_ours = await garbage.take(tx, SYSTEM, digest)
            if is_ours:
                # Before the commit: while the digest is held, no push can put a file there that this takes away.
                await self.files.blobs.remove(digest)
        return is_ours

    async def _sweep_files(
        self, done: Collected, now: datetime, progress: Progress, *, is_dry: bool
    ) -> None:
        """Delete files that a push left behind which did not come to its end."""
        async for digests in self.files.blobs.list(now - GRACE):
            async with self.read() as tx:
                unknown = await garbage.list_unknown(tx, SYSTEM, digests)
            for digest in unknown:
                async with self.begin() as tx:
                    if not is_dry and await garbage.is_unknown(tx, SYSTEM, digest):
                        await self.files.blobs.remove(digest)
                done.orphans += 1
                progress(done)
