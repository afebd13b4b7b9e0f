"""Builds that build systems report: one event for each step, whatever is told twice or late."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dockbell.domain.accounts import Actor, ActorKind, NamespaceKind
from dockbell.domain.build_reports import (
    EVENT_OF,
    Build,
    BuildReport,
    BuildState,
    event_fields,
    is_news,
)
from dockbell.domain.errors import NotFoundError
from dockbell.domain.events import Performer, Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.permissions import ReaderOf, ReporterOf
from dockbell.domain.repositories import Repository
from dockbell.services import audit_entries, repositories
from dockbell.services.intake import Draft, Intake
from dockbell.store import builds, locks
from dockbell.store.transactions import DuplicateError, Tx

KEPT = 1000  # builds of one repository; older ones that have ended are forgotten


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a report."""

    build: Build
    is_new: bool
    event_id: str | None  # None if it told nothing new


async def viewer_of_logs(tx: Tx, actor: Actor, path: str) -> ReaderOf:
    """The right to read what the repository's builds said, or raise: of who may push, and of readonly superusers."""
    if actor.is_readonly_superuser:
        return await repositories.reader_of(tx, actor, path)
    writer = await repositories.writer_of(tx, actor, path)
    return ReaderOf(writer.actor, writer.repository)


async def _keep(tx: Tx, repository: Repository) -> None:
    """Hold the repository before its build (store.locks): what is told locks lanes, which a removal holds too."""
    if not await locks.hold_repository(tx, repository.id):
        raise NotFoundError


@dataclass(frozen=True, slots=True)
class Builds:
    """Where reports of builds come in."""

    intake: Intake

    async def report(
        self, tx: Tx, right: ReporterOf, report: BuildReport, *, source: str = "api"
    ) -> Reported:
        """Keep what a build system tells of a build, under the key that it gave it, or as a build of its own.

        A step that is told for the first time is an event, in the same transaction. A repeat, and a step that the
        build is past already, change no state and make no event.
        """
        repository = _repository_of(right)
        await _keep(tx, repository)
        known = (
            None
            if report.key is None
            else await builds.hold(tx, repository.id, key=report.key, build_id="")
        )
        if known is None:
            try:
                return await self._begin(tx, right, report, source)
            except DuplicateError:  # another report of the same build was here first
                known = await builds.hold(tx, repository.id, key=report.key, build_id="")
        if known is None:
            raise NotFoundError
        return await self._advance(tx, right, known, report, source)

    async def update(
        self, tx: Tx, right: ReporterOf, build_id: str, report: BuildReport
    ) -> Reported:
        """The same for a build that is named by its id or UUID here, or by the build system's own key."""
        repository = _repository_of(right)
        await _keep(tx, repository)
        found = await builds.find(tx, repository.id, build_id)
        known = (
            None
            if found is None
            else await builds.hold(tx, repository.id, key=None, build_id=found.id)
        )
        if known is None:
            raise NotFoundError("The repository has no such build.")
        return await self._advance(tx, right, known, report, "api")

    async def _begin(
        self, tx: Tx, right: ReporterOf, report: BuildReport, source: str
    ) -> Reported:
        repository = _repository_of(right)
        state = report.state or BuildState.QUEUED
        build = await builds.add(tx, repository.id, report, state, source)
        await builds.prune(tx, repository.id, KEPT)
        # Quay: the entry's kind. Pinned by integration/test_builds.py.
        await audit_entries.write_about(
            tx, right.actor, repository, "build_dockerfile", build_uuid=build.uuid
        )
        return Reported(
            build, is_new=True, event_id=await self._tell(tx, right, build, report, source)
        )

    async def _advance(
        self, tx: Tx, right: ReporterOf, known: Build, report: BuildReport, source: str
    ) -> Reported:
        moves = report.state is not None and is_news(known.state, report.state)
        details = report.details.over(known.details) if moves else known.details
        if not moves:
            # What comes late may still tell what nobody knew.
            details = known.details.over(report.details)
        build = replace(known, details=details)
        if not moves or report.state is None:
            if build != known:
                build = await builds.save(tx, build)
            return Reported(build, is_new=False, event_id=None)
        at = report.occurred_at or tx.now
        build = await builds.save(tx, builds.moved(build, report.state, at))
        return Reported(
            build, is_new=False, event_id=await self._tell(tx, right, build, report, source)
        )

    async def _tell(
        self, tx: Tx, right: ReporterOf, build: Build, report: BuildReport, source: str
    ) -> str:
        repository, actor = _repository_of(right), right.actor
        kind = EVENT_OF[build.state]
        robot_or_user = "robot" if actor.kind is ActorKind.ROBOT else "user"
        return await self.intake.record(
            tx,
            Draft(
                kind=kind,
                subject=Subject(
                    repository.namespace,
                    repository.name,
                    is_user=right.namespace.kind is NamespaceKind.USER,
                ),
                namespace_id=right.namespace.id,
                repository_id=repository.id,
                details=event_fields(
                    build,
                    build.state,
                    namespace=repository.namespace,
                    repository=repository.name,
                ),
                facts={"build": build.id, "source": source, "url": build.details.url},
                performer=report.performer or Performer(actor.name, robot_or_user),
                occurred_at=report.occurred_at or tx.now,
                producer_key=f"{build.id}/{kind}",
                build_id=build.uuid,
                source="build",
            ),
        )


async def list_page(
    tx: Tx, reader: ReaderOf, *, before: str = "", since: datetime | None = None, limit: int
) -> tuple[Sequence[Build], str | None]:
    """The repository's builds, the newest first, and the id to go on from if there are more."""
    found = await builds.list_page(
        tx, reader.repository.id, before=before, since=since, limit=limit + 1
    )
    page = found[:limit]
    return page, page[-1].id if page and len(found) > limit else None


async def load(tx: Tx, reader: ReaderOf, build_id: str) -> Build:
    """The repository's build with this id, UUID or key; raise NotFoundError if it has none."""
    found = await builds.find(tx, reader.repository.id, build_id)
    if found is None:
        raise NotFoundError
    return found


def _repository_of(right: ReporterOf) -> Repository:
    if right.repository is None:
        raise NotFoundError
    return right.repository
