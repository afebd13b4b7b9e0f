"""Sending many deliveries again: counting first, then a job that can be watched, paused and called off."""

from collections.abc import Sequence

from dockbell.domain.accounts import Actor, ActorKind
from dockbell.domain.errors import ConflictError, ForbiddenError, NotFoundError
from dockbell.domain.permissions import AdminOfPlace, ViewerOfPlace
from dockbell.domain.records import DeliveryFilter, JobState, RedeliveryJob
from dockbell.services import areas, audit_entries, repositories
from dockbell.store import redelivery_jobs
from dockbell.store.transactions import Tx


class JobOverError(ConflictError):
    """The job is over, so nothing of it can be changed."""

    kind = "job_over"


async def count(tx: Tx, admin: AdminOfPlace, wanted: DeliveryFilter) -> int:
    """How many deliveries of the place a job would take up, were it made now. Tests are never among them."""
    return await redelivery_jobs.count(tx, admin.place_id, wanted)


async def create(tx: Tx, admin: AdminOfPlace, wanted: DeliveryFilter) -> RedeliveryJob:
    """Begin to send again what fits now. What is recorded later is left out."""
    job = await redelivery_jobs.add(tx, admin.place_id, wanted, admin.actor.name)
    await _note(tx, admin, "create_redelivery_job", job)
    tx.ring()
    return job


async def list_page(
    tx: Tx, viewer: ViewerOfPlace, *, before: str, limit: int
) -> tuple[Sequence[RedeliveryJob], str | None]:
    """The place's jobs, the newest first, and the id to go on from if there are more."""
    found = await redelivery_jobs.list_page(tx, viewer.place_id, before=before, limit=limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def load(tx: Tx, actor: Actor, job_id: str) -> RedeliveryJob:
    """The job; NotFoundError for one that the caller may not see."""
    repositories.check_may_view(actor)
    found = await redelivery_jobs.find(tx, job_id)
    if found is None:
        raise NotFoundError
    await areas.viewer_by_id(tx, actor, found.place_id)
    return found


async def move(tx: Tx, actor: Actor, job_id: str, to: JobState) -> RedeliveryJob:
    """Pause, resume or cancel the job; ConflictError once it is over. To be where it is already is no change."""
    admin, job = await _known(tx, actor, job_id)
    if job.state is to:
        return job
    if not await redelivery_jobs.move(tx, job_id, [JobState.RUNNING, JobState.PAUSED], to):
        raise JobOverError
    await _note(tx, admin, f"{to.value}_redelivery_job", job)
    if to is JobState.RUNNING:
        tx.ring()
    _, after = await _known(tx, actor, job_id)
    return after


async def has_running(tx: Tx, actor: Actor) -> bool:
    """Whether some job has work to do. For the server itself."""
    _check_is_server(actor)
    return await redelivery_jobs.has_running(tx)


async def step(tx: Tx, actor: Actor) -> bool:
    """Do the next part of some job; return False if there was none to do. For the server itself."""
    _check_is_server(actor)
    return await redelivery_jobs.step(tx)


def _check_is_server(actor: Actor) -> None:
    if actor.kind is not ActorKind.SYSTEM:
        raise ForbiddenError


async def _known(tx: Tx, actor: Actor, job_id: str) -> tuple[AdminOfPlace, RedeliveryJob]:
    repositories.check_may_administer(actor)
    found = await redelivery_jobs.find(tx, job_id)
    if found is None:
        raise NotFoundError
    return await areas.admin_by_id(tx, actor, found.place_id), found


async def _note(tx: Tx, admin: AdminOfPlace, kind: str, job: RedeliveryJob) -> None:
    await audit_entries.write_at(
        tx,
        admin,
        kind,
        redelivery_job_id=job.id,
        total=job.total,
    )
