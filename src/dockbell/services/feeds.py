"""Feeds: setting them up, and taking in what they tell."""

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from dockbell.domain import signing
from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.build_reports import BuildReport
from dockbell.domain.errors import ConfigError, ConflictError, NotFoundError
from dockbell.domain.feeds import Feed
from dockbell.domain.globs import compile_glob
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.patterns import PatternError
from dockbell.domain.permissions import AdminOf, ReporterOf, ViewerOf
from dockbell.domain.sources import BuildSource, ForgedError, Inbound
from dockbell.services import audit_entries
from dockbell.services.builds import Builds, Reported
from dockbell.store import feeds, namespaces, repositories
from dockbell.store.transactions import Tx

MOST = 20  # of one repository
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Feeds:
    """Where build systems send webhooks to."""

    builds: Builds
    sources: Mapping[str, BuildSource]

    async def create(
        self, tx: Tx, admin: AdminOf, source: str, pipelines: Sequence[str]
    ) -> tuple[Feed, str]:
        """Make a feed of the repository; return it with its secret, which is told this once."""
        if source not in self.sources:
            raise ConfigError(f"It is not one of {', '.join(self.sources)}", field="source")
        for at, one in enumerate(pipelines):
            try:
                compile_glob(one)
            except PatternError as error:
                raise ConfigError(str(error), field=f"pipelines[{at}]") from None
        repository = admin.repository
        if await feeds.count(tx, repository.id) >= MOST:
            raise ConfigError(f"The repository has {MOST} feeds already", field="source")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        made = await feeds.add(
            tx,
            repository.id,
            source,
            pipelines=pipelines,
            secret=secret,
            created_by=admin.actor.name,
        )
        await audit_entries.write_about(
            tx, admin.actor, repository, "create_feed", feed=made.id, source=source
        )
        return made, secret

    async def receive(self, tx: Tx, feed_id: str, inbound: Inbound) -> Sequence[Reported]:
        """Take in what a peer tells; return what became of each build that it is about.

        Raise NotFoundError for an unknown feed, ForgedError without its secret, SourceError for what cannot be read.
        """
        found = await feeds.find(tx, feed_id)
        if found is None:
            raise NotFoundError
        feed, live = found
        source = self.sources.get(feed.source)
        if source is None:
            raise ForgedError
        _verify(source, inbound, live)
        reports = [one for one in source.translate(inbound) if _is_wanted(feed, one)]
        reported = await self._report(tx, feed, source, reports)
        # Last of all, since whoever removes the repository holds what reports wait for, and then takes its feeds.
        await feeds.note_receipt(tx, feed.id)
        return reported

    async def _report(
        self, tx: Tx, feed: Feed, source: BuildSource, reports: Sequence[BuildReport]
    ) -> Sequence[Reported]:
        if not reports:
            return []
        repository = await repositories.find_by_id(tx, feed.repository_id)
        if repository is None:
            raise NotFoundError
        right = ReporterOf(
            Actor(ActorKind.SYSTEM, name=source.title),
            await namespaces.load(tx, repository.namespace_id),
            repository,
        )
        return [await self.builds.report(tx, right, one, source=feed.source) for one in reports]


async def list_of(tx: Tx, viewer: ViewerOf) -> Sequence[Feed]:
    return await feeds.list_of(tx, viewer.repository.id)


async def rotate(
    tx: Tx, admin: AdminOf, feed_id: str, keep: timedelta = signing.KEPT
) -> tuple[Feed, str]:
    """Give the feed another secret, which is told this once; the one before is taken for `keep` longer.

    Raise NotFoundError if the repository has no such feed, ConflictError if two secrets are taken already.
    """
    if not timedelta() <= keep <= signing.LONGEST_KEPT:
        days = signing.LONGEST_KEPT.days
        raise ConfigError(
            f"A replaced secret is taken for 0 to {days * 24 * 3600} seconds longer ({days} days)",
            field="keep_seconds",
        )
    feed = await feeds.hold(tx, admin.repository.id, feed_id)
    if feed is None:
        raise NotFoundError
    if keep and feed.previous_ends_at is not None:
        raise ConflictError(
            "Two secrets are taken already. End the one before, or let the last one end at once."
        )
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    await feeds.replace_secret(tx, feed_id, secret, tx.now + keep)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "rotate_feed_secret", feed=feed_id
    )
    return replace(feed, previous_ends_at=tx.now + keep if keep else None), secret


async def end_previous(tx: Tx, admin: AdminOf, feed_id: str) -> None:
    """Take the secret that was replaced no more, from now on; raise NotFoundError if there is none."""
    feed = await feeds.hold(tx, admin.repository.id, feed_id)
    if feed is None or feed.previous_ends_at is None:
        raise NotFoundError
    await feeds.forget_previous(tx, feed_id)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "revoke_feed_secret", feed=feed_id
    )


async def delete(tx: Tx, admin: AdminOf, feed_id: str) -> None:
    """Take no more from this peer; raise NotFoundError if the repository has no such feed."""
    if not await feeds.remove(tx, admin.repository.id, feed_id):
        raise NotFoundError
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "delete_feed", feed=feed_id
    )


def _verify(source: BuildSource, inbound: Inbound, live: Sequence[str]) -> None:
    """Raise ForgedError unless one of the secrets is shown, or signs."""
    for secret in live[:-1]:
        with contextlib.suppress(ForgedError):
            source.verify(inbound, secret)
            return
    source.verify(inbound, live[-1])


def _is_wanted(feed: Feed, report: BuildReport) -> bool:
    trigger = report.details.trigger
    names = [
        one
        for one in (report.details.name, None if trigger is None else trigger.id)
        if one is not None
    ]
    return not feed.pipelines or any(
        compile_glob(glob).matches(name) for glob in feed.pipelines for name in names
    )
