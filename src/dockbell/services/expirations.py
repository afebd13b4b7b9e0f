"""Tags that expire: telling of it ahead of time, and ending them when it is time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from dockbell.domain.accounts import SYSTEM, Actor
from dockbell.domain.expirations import LABEL, end_of
from dockbell.domain.ids import uuid_of
from dockbell.domain.permissions import WriterOf
from dockbell.services import audit_entries, repository_events
from dockbell.services.intake import Draft, Intake
from dockbell.store import labels, notifications, tags
from dockbell.store import manifests as manifest_rows
from dockbell.store import repositories as repository_rows
from dockbell.store.notifications import Watcher
from dockbell.store.transactions import DuplicateError, Tx

KIND = "repo_image_expiry"
_NOTIFICATIONS = 100  # looked at in one reading transaction
_TAGS = 500  # told of or ended in one writing transaction


async def expiry_of(tx: Tx, writer: WriterOf, digest: str) -> datetime | None:
    """When a tag that is set to this manifest now expires, by what the image says of itself."""
    said = await labels.find_value(tx, writer.repository.id, digest, LABEL)
    return end_of(said, tx.now)


async def list_watchers(tx: Tx, actor: Actor, *, after: str) -> Sequence[Watcher]:
    """Some notifications that want to know of tags that expire, from behind this id. For the server itself.

    None, and little is read, where no tag will expire.
    """
    del actor  # nobody else has a way to this
    if not await tags.has_expiring(tx):
        return ()
    return await notifications.find_of_kind(tx, KIND, after=after, limit=_NOTIFICATIONS)


async def has_news(tx: Tx, actor: Actor, watcher: Watcher) -> bool:
    """Whether there are tags that the notification was not told of."""
    del actor
    until = _until(tx, watcher)
    return until is not None and bool(
        await tags.expiring(tx, watcher.id, watcher.place_id, until, 1)
    )


async def tell(tx: Tx, actor: Actor, intake: Intake, watcher: Watcher) -> bool:
    """Tell one notification of tags that expire soon, once of each; whether there are more.

    What it was told of is marked in the transaction that keeps the news, so that neither is without the other. Several
    processes may do this at once: each tag is told of by one of them.
    """
    del actor
    until = _until(tx, watcher)
    if until is None:
        return False
    found = await tags.expiring(tx, watcher.id, watcher.place_id, until, _TAGS)
    for repository_id, group in groupby(found, itemgetter(0)):
        names = [name for _, name in group if await _mark(tx, watcher.id, repository_id, name)]
        if names:
            await _record(tx, intake, watcher, repository_id, names)
    return len(found) == _TAGS


async def has_expired(tx: Tx, actor: Actor) -> bool:
    """Whether there are tags whose time is over, and that still have a row."""
    del actor
    return bool(await tags.expired(tx, 1))


async def end_expired(tx: Tx, actor: Actor, intake: Intake) -> bool:
    """Remove tags whose time is over, which nobody sees any more since then; whether there are more."""
    found = await tags.expired(tx, _TAGS)
    for repository_id, group in groupby(sorted(found), itemgetter(0)):
        repository = await repository_rows.find_by_id(tx, repository_id)
        if repository is None or not await manifest_rows.lock_repository(tx, repository_id):
            continue
        for _, name, digest in group:
            if await tags.remove_expired(tx, repository_id, name):
                await audit_entries.write_about(
                    tx, actor, repository, "delete_tag", tag=name, manifest_digest=digest
                )
                news = repository_events.tag_gone(name, digest, "expired")
                await repository_events.tell(tx, actor, intake, repository, news)
    return len(found) == _TAGS


def _until(tx: Tx, watcher: Watcher) -> datetime | None:
    days = _days_of(watcher)
    return None if days is None else tx.now + timedelta(days=days)


def _days_of(watcher: Watcher) -> int | None:
    try:
        return int(str(watcher.event_config.get("days"))) or None
    except ValueError:
        return None  # Quay: without days there is nothing to look ahead for


async def _mark(tx: Tx, notification_id: str, repository_id: str, name: str) -> bool:
    try:
        async with tx.nested():
            await tags.mark(tx, notification_id, repository_id, name)
    except DuplicateError:
        return False  # another process tells of it
    return True


async def _record(
    tx: Tx, intake: Intake, watcher: Watcher, repository_id: str, names: Sequence[str]
) -> None:
    repository = await repository_rows.find_by_id(tx, repository_id)
    if repository is None:
        return
    await intake.record_for(
        tx,
        Draft(
            kind=KIND,
            subject=await repository_events.subject_of(tx, SYSTEM, repository),
            namespace_id=repository.namespace_id,
            repository_id=repository.id,
            # Quay: these keys, and the days that were asked for. Pinned by integration/test_expirations.py.
            details={
                "notification_uuid": uuid_of(watcher.id),
                "tags": list(names),
                "expiring_in": f"{_days_of(watcher)} days",
            },
            facts={"tags": list(names)},
            performer=None,
            occurred_at=tx.now,
        ),
        watcher,
    )
