"""Mirrors: setting them, asking for a sync, and what the process that syncs asks and tells."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dockbell.domain.accounts import Actor, ActorKind, NamespaceKind, Robot, Role
from dockbell.domain.digests import Digest
from dockbell.domain.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
)
from dockbell.domain.events import Subject
from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.manifests import Descriptor, ImageConfig, Manifest, Reference, parse
from dockbell.domain.mirrors import (
    MOST_TRIES,
    Mirror,
    MirrorStatus,
    SyncJob,
    globs_of,
    masked_config,
    next_start,
    origin_of,
    wait_after_failure,
)
from dockbell.domain.payloads import one_line
from dockbell.domain.permissions import AdminOf, ViewerOf, WriterOf
from dockbell.domain.repositories import Repository, RepositoryState
from dockbell.net.proxies import Proxy
from dockbell.services import audit_entries, manifests, permissions, repositories
from dockbell.services.intake import Draft, Intake
from dockbell.services.lookups import Lookups, Reading
from dockbell.store import blobs, locks, mirrors, namespaces, robots
from dockbell.store import manifests as manifest_rows
from dockbell.store import repositories as repository_rows
from dockbell.store import tags as tag_rows
from dockbell.store.transactions import Tx

LEASE = timedelta(minutes=2)
_MOST_DUE = 16  # that are listed at once
_MOST_TAKEOVERS = 3  # processes that one sync may take with it
_LONGEST_DETAIL = 500


class MirroredError(ForbiddenError):
    """Nobody pushes to a repository that is a mirror or read-only."""


@dataclass(frozen=True, slots=True)
class WantedMirror:
    """A mirror as somebody asks for it."""

    mirror: Mirror
    robot: str
    password: str | None = None
    keeps_password: bool = False  # when it is changed, and no password was given


@dataclass(frozen=True, slots=True)
class Mirrors:
    """What faces and the process that syncs may ask."""

    intake: Intake
    are_indexed: bool = False  # whether a Clair is asked about images that come

    async def load(self, tx: Tx, viewer: AdminOf | ViewerOf) -> Mirror:
        """How the repository is mirrored; NotFoundError if it is not."""
        found = await mirrors.find(tx, viewer.repository.id)
        if found is None:
            raise NotFoundError
        return found

    async def create(self, tx: Tx, admin: AdminOf, wanted: WantedMirror) -> None:
        """Make the repository a mirror. Its robot may push to it from now on, and nobody else."""
        robot = await self._give_role(tx, admin, wanted.robot)
        if not await mirrors.add(
            tx, wanted.mirror, robot_id=robot.id, password=wanted.password
        ):
            path = admin.repository.path
            raise ConflictError(f"Mirror configuration already exits for repository {path}")
        await repository_rows.set_state(tx, admin.repository.id, RepositoryState.MIRROR)
        await _note(tx, admin, "external_reference", wanted.mirror.reference)
        tx.ring()

    async def change(self, tx: Tx, admin: AdminOf, wanted: WantedMirror) -> None:
        """Set the mirror anew. A sync that is under way ends as it began."""
        known = await self.load(tx, admin)
        robot = await self._give_role(tx, admin, wanted.robot)
        mirror = wanted.mirror
        is_moved = mirror.start_at != known.start_at or mirror.interval != known.interval
        is_on_again = mirror.is_enabled and not known.is_enabled
        if is_moved or is_on_again:
            mirror = replace(mirror, tries_left=MOST_TRIES)
        await mirrors.change(
            tx,
            mirror,
            robot_id=robot.id,
            is_rescheduled=is_moved or is_on_again,
        )
        tx.ring()
        if not wanted.keeps_password:
            await mirrors.set_password(tx, admin.repository.id, wanted.password)
        if mirror.username != known.username:
            await _note(tx, admin, "external_registry_username", mirror.username)
        if not wanted.keeps_password:
            shown = None if wanted.password is None else "********"
            await _note(tx, admin, "external_registry_password", shown)
        for name, before, after in (
            ("is_enabled", known.is_enabled, mirror.is_enabled),
            ("external_reference", known.reference, mirror.reference),
            ("robot_username", known.robot, robot.name),
            ("sync_start_date", str(known.start_at), str(mirror.start_at)),
            (
                "sync_interval",
                known.interval.total_seconds(),
                mirror.interval.total_seconds(),
            ),
            ("architecture_filter", list(known.architectures), list(mirror.architectures)),
            ("mirror_rule", list(known.globs), list(mirror.globs)),
        ):
            if before != after:
                await _note(tx, admin, name, after)
        if known.registry_config != mirror.registry_config:
            shown_config = masked_config(mirror.registry_config)
            await _note(tx, admin, "external_registry_config", shown_config)

    async def sync_now(self, tx: Tx, admin: AdminOf) -> None:
        """Have it synced soon, also if it is switched off; NotFoundError while it is under way, as in Quay."""
        await self.load(tx, admin)
        if admin.repository.state is not RepositoryState.MIRROR:
            raise NotFoundError
        if not await mirrors.ask_now(tx, admin.repository.id):
            raise NotFoundError
        await _note(tx, admin, "sync_status", MirrorStatus.SYNC_NOW.value)
        tx.ring()

    async def cancel(self, tx: Tx, admin: AdminOf) -> None:
        """Call off what is under way or was asked for; NotFoundError if neither, as in Quay."""
        await locks.hold_repository(tx, admin.repository.id)  # before its mirror (store.locks)
        mirror = await self.load(tx, admin)
        was = await mirrors.cancel(tx, admin.repository.id)
        if was is None:
            raise NotFoundError
        await _note(tx, admin, "sync_status", MirrorStatus.CANCEL.value)
        if was is MirrorStatus.SYNCING:
            # Quay: a sync that is called off has failed, and says no more than when it began.
            await self._tell(tx, admin.repository, "repo_mirror_sync_failed", mirror.said)

    async def _give_role(self, tx: Tx, admin: AdminOf, name: str) -> Robot:
        """The namespace's own robot of that name, which may push from now on."""
        repository = admin.repository
        found = None
        if await robots.namespace_of(tx, name) == repository.namespace:
            found = await robots.find(tx, repository.namespace_id, name)
        if not name:
            raise InvalidRequestError("The robot of the mirror is gone: name another one")
        if found is None:
            raise InvalidRequestError(
                f"`{name[:255]}` is no robot of {repository.namespace}. Make one first"
            )
        robot, _ = found
        held = {one.holder.name: one.role for one in await permissions.list_held(tx, admin)}
        if held.get(name) not in {Role.WRITE, Role.ADMIN}:
            await permissions.put_held(tx, admin, name, Role.WRITE)
        return robot

    # What the process that syncs asks. All of it is for the server itself.

    async def list_due(self, tx: Tx, actor: Actor) -> Sequence[str]:
        """The ids of repositories whose mirrors wait for a process, the longest first; not all if there are many."""
        _check_is_server(actor)
        return await mirrors.list_due(tx, _MOST_DUE)

    async def claim(self, tx: Tx, actor: Actor, repository_id: str) -> SyncJob | None:
        """Take a mirror that was due, and tell that its sync has begun; None if it is another process's by now.

        A sync that another process left lying goes on untold. One that has taken several processes with it has failed.
        """
        _check_is_server(actor)
        await locks.hold_repository(tx, repository_id)
        found = await mirrors.claim(tx, repository_id, tx.now + LEASE, tx.new_id("syn"))
        if found is None:
            return None
        job, takeovers = found
        if takeovers is not None and takeovers > _MOST_TAKEOVERS:
            await self._end(tx, job, f"'{job.mirror.reference}' job lost")
            return None
        if takeovers is None:
            repository = await self._repository(tx, job)
            if repository is not None:
                await self._tell(tx, repository, "repo_mirror_sync_started", job.mirror.said)
        return job

    async def renew(self, tx: Tx, actor: Actor, job: SyncJob) -> bool:
        """Keep the sync for longer; False if it was called off, or another process has it."""
        _check_is_server(actor)
        return await mirrors.renew(tx, job, tx.now + LEASE)

    async def hand_back(self, tx: Tx, actor: Actor, job: SyncJob) -> None:
        """Let another process go on with the sync: this one stops."""
        _check_is_server(actor)
        await mirrors.hand_back(tx, job)

    async def take_back(self, tx: Tx, actor: Actor) -> None:
        """Have what a former process left lying go on at once. Only for who knows that there is no other process."""
        _check_is_server(actor)
        await mirrors.end_leases(tx)

    async def succeed(self, tx: Tx, actor: Actor, job: SyncJob) -> None:
        """Note and tell that the sync has fetched all it should, unless it is no longer this process's."""
        _check_is_server(actor)
        start_at = _onward(job.mirror, tx.now)
        await locks.hold_repository(tx, job.mirror.repository_id)
        if await mirrors.release(
            tx,
            job,
            MirrorStatus.SUCCESS,
            due_at=start_at,
            start_at=start_at,
            tries_left=MOST_TRIES,
        ):
            repository = await self._repository(tx, job)
            if repository is not None:
                await self._tell(tx, repository, "repo_mirror_sync_success", job.mirror.said)

    async def fail(self, tx: Tx, actor: Actor, job: SyncJob, detail: str) -> None:
        """Note and tell that the sync has failed, unless it is no longer this process's."""
        _check_is_server(actor)
        said = one_line(detail).rstrip(".")[:_LONGEST_DETAIL]
        await self._end(tx, job, f"{job.mirror.said}: {said}")

    async def _end(self, tx: Tx, job: SyncJob, message: str) -> None:
        tries_left = max(0, job.mirror.tries_left - 1)
        start_at = job.mirror.start_at
        due_at: datetime | None = tx.now + wait_after_failure(tries_left)
        if not tries_left:
            tries_left, start_at = MOST_TRIES, _onward(job.mirror, tx.now)
            due_at = start_at
        await locks.hold_repository(tx, job.mirror.repository_id)
        if await mirrors.release(
            tx,
            job,
            MirrorStatus.FAIL,
            due_at=due_at,
            start_at=start_at,
            tries_left=tries_left,
        ):
            repository = await self._repository(tx, job)
            if repository is not None:
                await self._tell(tx, repository, "repo_mirror_sync_failed", message)

    async def writer(self, tx: Tx, actor: Actor, job: SyncJob) -> WriterOf:
        """The right of the mirror's robot to push. NotFoundError or ForbiddenError in words if it has none."""
        _check_is_server(actor)
        name = job.mirror.robot
        repository = await self._repository(tx, job)
        if repository is None:
            raise NotFoundError("The repository is gone")
        found = None
        if name is not None:
            found = await robots.find(tx, repository.namespace_id, name)
        if found is None:
            raise NotFoundError("The robot of the mirror is gone")
        robot = Actor(kind=ActorKind.ROBOT, id=found[0].id, name=found[0].name)
        try:
            return await repositories.writer_of(tx, robot, repository.path)
        except ForbiddenError as error:
            raise ForbiddenError(f"The robot {name} may not push to the repository") from error

    async def tag_digests(self, tx: Tx, writer: WriterOf) -> dict[str, str]:
        """The digest that each tag of the repository points to."""
        return await tag_rows.digests(tx, writer.repository.id)

    async def missing(
        self, tx: Tx, writer: WriterOf, descriptors: Sequence[Descriptor]
    ) -> Sequence[Descriptor]:
        """Those of the blobs that the repository itself does not hold.

        What only other repositories hold is among them: whoever names a digest has not shown that they have the content.
        What is held is kept a while, as if a push had asked for it.
        """
        wanted = {one.digest: one for one in descriptors if one.must_exist}
        held = await blobs.sizes(tx, writer.repository.id, map(str, wanted))
        for digest in held:
            await blobs.renew(tx, writer.repository.id, digest)
        return [one for digest, one in wanted.items() if str(digest) not in held]

    async def unknown(
        self, tx: Tx, writer: WriterOf, listed: Sequence[Descriptor]
    ) -> Sequence[Descriptor]:
        """Those of the manifests that the repository does not have."""
        known = await manifest_rows.known(
            tx, writer.repository.id, [str(one.digest) for one in listed]
        )
        return [one for one in listed if str(one.digest) not in known]

    async def index(self, tx: Tx, writer: WriterOf, digest: Digest) -> Manifest | None:
        """The manifest that the repository has under this digest, if it is one that lists others."""
        found = await manifest_rows.find(tx, writer.repository.id, str(digest))
        if found is None:
            return None
        manifest = parse(found.body, found.media_type)
        return manifest if manifest.is_index else None

    async def put(  # noqa: PLR0913 -- what came, and what of it did not
        self,
        tx: Tx,
        writer: WriterOf,
        reference: Reference,
        manifest: Manifest,
        *,
        config: ImageConfig,
        absent: Collection[Digest] = (),
    ) -> None:
        """Push the manifest as the robot would. By tag that is a push like any other, and people are told.

        `absent` are those of the manifests that it lists which are not wanted here.
        """
        await manifests.put(
            tx,
            writer,
            self.intake,
            reference,
            manifest,
            config=config,
            absent=absent,
            is_indexed=self.are_indexed,
        )

    async def remove(self, tx: Tx, writer: WriterOf, tag: str) -> None:
        """Take away a tag that the other registry no longer has."""
        await manifests.delete(tx, writer, self.intake, tag)

    async def _repository(self, tx: Tx, job: SyncJob) -> Repository | None:
        return await repository_rows.find_by_id(tx, job.mirror.repository_id)

    async def _tell(self, tx: Tx, repository: Repository, kind: str, message: str) -> None:
        owner = await namespaces.load(tx, repository.namespace_id)
        await self.intake.record(
            tx,
            Draft(
                kind=kind,
                subject=Subject(
                    namespace=repository.namespace,
                    repository=repository.name,
                    is_user=owner.kind is NamespaceKind.USER,
                ),
                namespace_id=repository.namespace_id,
                repository_id=repository.id,
                details={"message": message},
                facts={},
                performer=None,
                occurred_at=tx.now,
                source="mirror",
            ),
        )


async def set_state(tx: Tx, admin: AdminOf, state: RepositoryState) -> None:
    """Say whether the repository takes pushes, none, or only those of its mirror."""
    await repository_rows.set_state(tx, admin.repository.id, state)
    await audit_entries.write_about(
        tx, admin.actor, admin.repository, "change_repo_state", state_changed=state.value
    )


def check_pushable(writer: WriterOf) -> None:
    """Raise MirroredError for a repository that takes no pushes."""
    # Quay: both are refused with these words. Pinned by compat/test_mirrors.py.
    state = writer.repository.state
    if state is RepositoryState.MIRROR:
        raise MirroredError(
            f"{writer.repository.path} is a mirror: only its own syncs write to it"
        )
    if state is RepositoryState.READ_ONLY:
        raise MirroredError(f"{writer.repository.path} is in read-only mode")


async def check(
    reading: Reading, admin: AdminOf, origins: Lookups, own_host: str, mirror: Mirror
) -> None:
    """Raise InvalidRequestError for a mirror of itself, of what is no location, or of or by way of where nobody may reach.

    No transaction may be open: it can ask a name server.
    """
    globs_of(mirror.globs)
    origin = origin_of(mirror.reference)
    if origin.host == own_host and origin.path == admin.repository.path:
        raise InvalidRequestError("A repository cannot be a mirror of itself")
    lookup = origins.of(reading, admin)
    refusal = await lookup.address_error(f"https://{origin.host}/")
    if refusal is not None:
        raise InvalidRequestError(refusal)
    for key, url in ({} if mirror.proxy is None else mirror.proxy.urls).items():
        place = f"external_registry_config.proxy.{key}"
        try:
            proxy = Proxy.of(url)
        except ValueError as error:
            raise InvalidRequestError(f"`{place}`: {error}") from error
        refusal = await lookup.address_error(proxy.url)
        if refusal is not None:
            raise InvalidRequestError(f"`{place}`: {refusal}")


def _onward(mirror: Mirror, now: datetime) -> datetime | None:
    if mirror.start_at is None:
        return None
    return next_start(mirror.start_at, mirror.interval, now)


def _check_is_server(actor: Actor) -> None:
    if actor.kind is not ActorKind.SYSTEM:
        raise ForbiddenError


async def _note(tx: Tx, admin: AdminOf, changed: str, to: object) -> None:
    await audit_entries.write_about(
        tx,
        admin.actor,
        admin.repository,
        "repo_mirror_config_changed",
        changed=changed,
        to=to,
    )
