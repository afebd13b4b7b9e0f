"""The process that syncs mirrors: takes those that are due, and makes each repository what the other registry has."""

import asyncio
import contextlib
from collections.abc import Sequence

import structlog

from dockbell.domain import manifests as rules
from dockbell.domain.accounts import SYSTEM
from dockbell.domain.digests import Digest, DigestMismatchError
from dockbell.domain.errors import DockbellError, UnavailableError
from dockbell.domain.immutability import TagImmutableError
from dockbell.domain.manifests import Descriptor, ImageConfig, Manifest, Reference
from dockbell.domain.mirrors import (
    LONGEST_SYNC,
    MirrorStatus,
    SyncJob,
    Upstream,
    UpstreamError,
    Upstreams,
    globs_of,
)
from dockbell.domain.names import is_tag
from dockbell.registry.files import Files
from dockbell.registry.parts import Begin
from dockbell.registry.upload_files import UploadFile
from dockbell.services import blobs, uploads
from dockbell.services.mirrors import Mirrors
from dockbell.services.quotas import Quotas

_log = structlog.get_logger("dockbell.mirrors")

_AT_ONCE = 2  # syncs of one process
_LOOK_SECONDS = 5.0  # when no bell rings
_LEAST_SECONDS = 1.0  # between two looks, however often bells ring
_RENEW_SECONDS = 5.0
_MOST_TRIES = 4  # for one blob
_DEEPEST = 3  # indexes inside of indexes
_MOST_CHILDREN = 1000  # of one tag
_CONFIG_LIMIT = 1 << 20


class Mirroring:
    """Syncs what is due, until it is stopped. Any number of processes may do so on one database."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts it is made of
        self,
        begin: Begin,
        read: Begin,
        files: Files,
        mirrors: Mirrors,
        quotas: Quotas,
        upstreams: Upstreams,
        *,
        look_seconds: float = _LOOK_SECONDS,
        renew_seconds: float = _RENEW_SECONDS,
        pause_seconds: float = 1.0,
    ) -> None:
        self._begin = begin
        self._read = read
        self._files = files
        self._mirrors = mirrors
        self._quotas = quotas
        self._upstreams = upstreams
        self._look_seconds = look_seconds
        self._renew_seconds = renew_seconds
        self._pause_seconds = pause_seconds  # before a blob that broke off is asked for again
        self._under_way: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Look soon: something may be due now."""
        self._bell.set()

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look(), name="mirrors")

    async def stop(self) -> None:
        """End what is under way, and let other processes go on with it."""
        tasks = [*self._under_way, *([self._looking] if self._looking is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            try:
                while len(self._under_way) < _AT_ONCE and (job := await self._claim()):
                    task = asyncio.create_task(self._work(job), name=f"mirror {job.path}")
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            except UnavailableError as error:
                _log.warning("mirrors not looked at", reason=error.detail)
            except Exception:  # noqa: BLE001 -- the loop must outlive what one look finds
                _log.exception("mirrors not looked at")
            await self._rest()

    async def _rest(self) -> None:
        least = min(self._look_seconds, _LEAST_SECONDS)
        await asyncio.sleep(least)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._look_seconds - least):
                await self._bell.wait()
        self._bell.clear()

    async def _claim(self) -> SyncJob | None:
        async with self._read() as tx:
            due = await self._mirrors.list_due(tx, SYSTEM)
        for repository_id in due:
            async with self._begin() as tx:
                job = await self._mirrors.claim(tx, SYSTEM, repository_id)
            if job is not None:
                return job
        return None

    async def _work(self, job: SyncJob) -> None:
        """Sync, as long as the lease is ours, and note how it ended."""
        log = _log.bind(repository=job.path)
        syncing = asyncio.create_task(self._sync(job))
        renewing = asyncio.create_task(self._renew(job))
        try:
            await asyncio.wait({syncing, renewing}, return_when=asyncio.FIRST_COMPLETED)
            if not syncing.done():
                log.info("sync called off")
                return
            await self._note(job, syncing)
        except asyncio.CancelledError:
            await _ended(syncing, renewing)
            with contextlib.suppress(DockbellError):
                async with self._begin() as tx:
                    await self._mirrors.hand_back(tx, SYSTEM, job)
            raise
        except UnavailableError as error:
            log.warning("sync left to another process", reason=error.detail)
        finally:
            await _ended(syncing, renewing)

    async def _note(self, job: SyncJob, syncing: "asyncio.Task[None]") -> None:
        error = syncing.exception()
        if isinstance(error, UnavailableError):
            raise error  # our own database is away: nothing is known of the other registry
        detail = None
        if isinstance(error, DockbellError):
            detail = error.detail
        elif isinstance(error, TimeoutError):
            detail = "it takes too long"
        elif error is not None:
            _log.error("sync failed", repository=job.path, exc_info=error)
            detail = "INTERNAL ERROR"
        async with self._begin() as tx:
            if detail is None:
                await self._mirrors.succeed(tx, SYSTEM, job)
            else:
                await self._mirrors.fail(tx, SYSTEM, job, detail)
        _log.info(
            "mirror synced" if detail is None else "mirror not synced",
            repository=job.path,
            status=(MirrorStatus.SUCCESS if detail is None else MirrorStatus.FAIL).value,
            reason=detail,
        )

    async def _renew(self, job: SyncJob) -> None:
        """Return when the lease is no longer ours."""
        while True:
            await asyncio.sleep(self._renew_seconds)
            with contextlib.suppress(UnavailableError):  # the lease lasts longer than a moment
                async with self._begin() as tx:
                    if not await self._mirrors.renew(tx, SYSTEM, job):
                        return

    async def _sync(self, job: SyncJob) -> None:
        """Fetch every tag that the globs fit. One that cannot be had does not keep the others from coming."""
        mirror = job.mirror
        upstream = self._upstreams.open(mirror, job.password)
        async with asyncio.timeout(LONGEST_SYNC.total_seconds()):
            globs = globs_of(mirror.globs)
            tags = [tag for tag in await upstream.tags() if is_tag(tag)]
            wanted = [
                tag for tag in dict.fromkeys(tags) if any(one.matches(tag) for one in globs)
            ]
            async with self._read() as tx:
                writer = await self._mirrors.writer(tx, SYSTEM, job)
                here = await self._mirrors.tag_digests(tx, writer)
            failed: list[str] = []
            for tag in wanted:
                try:
                    async with asyncio.timeout(mirror.timeout.total_seconds()):
                        await _Tag(self, job, upstream).fetch(tag, here.get(tag))
                except UnavailableError:
                    raise
                except TimeoutError:
                    seconds = mirror.timeout.total_seconds()
                    failed.append(f"{tag}: it takes more than {seconds:g} s")
                except DockbellError as error:
                    failed.append(f"{tag}: {error.detail}")
            if failed:
                more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
                raise UpstreamError(f"{failed[0]}{more}")
            if wanted:
                await self._remove(job, sorted(set(here) - set(wanted)))

    async def _remove(self, job: SyncJob, tags: Sequence[str]) -> None:
        """Take away what the other registry has no longer. Quay does so too, and not if nothing fits any more."""
        for tag in tags:
            async with self._begin() as tx:
                writer = await self._mirrors.writer(tx, SYSTEM, job)
                try:
                    await self._mirrors.remove(tx, writer, tag)
                except rules.ManifestUnknownError:
                    continue
                except TagImmutableError:
                    _log.warning(
                        "tag stays: it is gone there, and immutable here",
                        repository=job.path,
                        tag=tag,
                    )


class _Tag:
    """Fetching one tag with all that hangs on it."""

    def __init__(self, whole: Mirroring, job: SyncJob, upstream: Upstream) -> None:
        self._begin = whole._begin  # noqa: SLF001 -- a part of it
        self._read = whole._read  # noqa: SLF001
        self._files = whole._files  # noqa: SLF001
        self._mirrors = whole._mirrors  # noqa: SLF001
        self._quotas = whole._quotas  # noqa: SLF001
        self._pause_seconds = whole._pause_seconds  # noqa: SLF001
        self._job = job
        self._upstream = upstream
        self._count = 0

    async def fetch(self, tag: str, here: str | None) -> None:
        """Bring the tag to what it is there. One that is so already is no push."""
        if here is not None and await self._upstream.digest_of(tag) == here:
            await self._widen(Digest.of(here))
            return
        body, media_type = await self._upstream.manifest(tag)
        if here == str(Digest.of_body(body)):
            await self._widen(Digest.of(here))
            return
        manifest = _parsed(body, media_type)
        if not await self._takes(manifest):
            # Quay: this is no failure, and what the tag was here it stays. Pinned by integration/test_mirrors.py.
            _log.info("tag of another platform", repository=self._job.path, tag=tag)
            return
        await self._complete(manifest, 0)
        await self._put(tag, manifest)

    async def _widen(self, digest: Digest) -> None:
        """Fetch what an index that is here already lists, and is wanted only since the mirror was set anew."""
        async with self._read() as tx:
            writer = await self._mirrors.writer(tx, SYSTEM, self._job)
            index = await self._mirrors.index(tx, writer, digest)
        if index is not None:
            await self._complete(index, 0)

    async def _takes(self, manifest: Manifest) -> bool:
        """Whether the manifest is of a platform that is wanted, or of none. UpstreamError for an index of others alone."""
        mirror = self._job.mirror
        if manifest.children:
            if not any(mirror.takes(one.platform) for one in manifest.children):
                wanted = ", ".join(mirror.architectures)
                raise UpstreamError(f"it has no image for {wanted}")
            return True
        config = manifest.image_config
        if not mirror.architectures or config is None or config.size > _CONFIG_LIMIT:
            return True
        content = bytearray()
        async with self._upstream.blob(config.digest, 0) as (_, pieces):
            async for piece in pieces:
                _check_length(config, len(content) + len(piece))
                content += piece
        platform = rules.config_of(bytes(content)).platform
        return platform is None or mirror.takes(platform)

    async def _complete(self, manifest: Manifest, depth: int) -> None:
        """Fetch all that the manifest names, and of an index the platforms that are wanted."""
        if not manifest.is_index:
            await self._fetch_blobs(list(manifest.blobs))
            return
        if manifest.children and depth == _DEEPEST:
            raise UpstreamError("its indexes are nested too deeply")
        self._count += len(manifest.children)
        if self._count > _MOST_CHILDREN:
            raise UpstreamError(f"it names more than {_MOST_CHILDREN} manifests")
        wanted = [one for one in manifest.children if self._job.mirror.takes(one.platform)]
        async with self._read() as tx:
            writer = await self._mirrors.writer(tx, SYSTEM, self._job)
            missing = await self._mirrors.unknown(tx, writer, wanted)
        for child in missing:
            body, _ = await self._upstream.manifest(child.digest)
            inner = _parsed(body, child.media_type)
            await self._complete(inner, depth + 1)
            await self._put(child.digest, inner)

    async def _put(self, reference: Reference, manifest: Manifest) -> None:
        config = await self._config_of(manifest)
        absent = {
            one.digest for one in manifest.children if not self._job.mirror.takes(one.platform)
        }
        async with self._begin() as tx:
            writer = await self._mirrors.writer(tx, SYSTEM, self._job)
            await self._mirrors.put(
                tx, writer, reference, manifest, config=config, absent=absent
            )

    async def _config_of(self, manifest: Manifest) -> ImageConfig:
        """What the image says of itself; its platform and labels count as in a push."""
        config = manifest.image_config
        if config is None or config.size > _CONFIG_LIMIT:
            return ImageConfig()
        content = await self._files.read_blob(config.digest, _CONFIG_LIMIT)
        return ImageConfig() if content is None else rules.config_of(content)

    async def _fetch_blobs(self, descriptors: Sequence[Descriptor]) -> None:
        async with self._begin() as tx:
            writer = await self._mirrors.writer(tx, SYSTEM, self._job)
            missing = await self._mirrors.missing(tx, writer, descriptors)
        for one in missing:
            await self._fetch_blob(one)

    async def _fetch_blob(self, wanted: Descriptor) -> None:
        """Stream the blob to a file of its own, which is a blob only when its digest is right."""
        async with self._begin() as tx:
            writer = await self._mirrors.writer(tx, SYSTEM, self._job)
            upload_id = await uploads.start(tx, writer)
        try:
            async with self._files.upload(upload_id, wanted.digest.algorithm) as upload:
                await self._pour(wanted, upload)
                try:
                    await upload.seal(wanted.digest)
                except DigestMismatchError as error:
                    upload.discard()
                    raise UpstreamError(
                        f"the blob {wanted.digest} has another digest than it is named by"
                    ) from error
                await self._files.blobs.prepare(upload, wanted.digest)
                async with self._begin() as tx:
                    writer = await self._mirrors.writer(tx, SYSTEM, self._job)
                    await uploads.check(tx, writer, upload_id)
                    await blobs.hold(tx, writer, wanted.digest)
                    await self._files.blobs.settle(upload, wanted.digest)
                    await uploads.finish(
                        tx, writer, self._quotas, upload_id, wanted.digest, wanted.size
                    )
        except BaseException:
            await self._files.discard(upload_id)
            with contextlib.suppress(DockbellError):
                async with self._begin() as tx:
                    writer = await self._mirrors.writer(tx, SYSTEM, self._job)
                    await uploads.cancel(tx, writer, upload_id)
            raise

    async def _pour(self, wanted: Descriptor, upload: UploadFile) -> None:
        """Write all of the blob. What breaks off is gone on with where it was, a few times."""
        for number in range(1, _MOST_TRIES + 1):
            try:
                async with self._upstream.blob(wanted.digest, upload.size) as (start, pieces):
                    if start != upload.size:
                        upload.cut(start)
                        await upload.recall()
                    async for piece in pieces:
                        _check_length(wanted, upload.size + len(piece))
                        upload.write(piece)
            except UpstreamError as error:
                if not error.may_pass or number == _MOST_TRIES:
                    raise
            else:
                if upload.size == wanted.size:
                    return
                if number == _MOST_TRIES:
                    break
            upload.flush()
            await asyncio.sleep(self._pause_seconds * 2 ** (number - 1))
        raise UpstreamError(
            f"the blob {wanted.digest} has {upload.size} bytes, and its manifest says {wanted.size}"
        )


def _check_length(wanted: Descriptor, length: int) -> None:
    if length > wanted.size:
        raise UpstreamError(f"the blob {wanted.digest} is longer than its manifest says")


def _parsed(body: bytes, media_type: str | None) -> Manifest:
    """The manifest. Some registries send it as a type that says nothing, and it says itself what it is."""
    try:
        return rules.parse(body, media_type)
    except rules.ManifestError:
        return rules.parse(body, None)


async def _ended(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
