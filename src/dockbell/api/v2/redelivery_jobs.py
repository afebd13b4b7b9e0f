"""Sending many deliveries again: count first, then a job with its progress."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from dockbell.api.v2.areas import IsInstance, NamespaceName, RepositoryPath
from dockbell.api.v2.deliveries import StatusClass, codes_of, moment
from dockbell.domain import words
from dockbell.domain.deliveries import State, Trigger
from dockbell.domain.records import DeliveryFilter, JobState
from dockbell.domain.records import RedeliveryJob as JobOf
from dockbell.services import areas, redelivery_jobs
from dockbell.services.areas import NamedPlace
from dockbell.web.calls import ApiCall, Call
from dockbell.web.pages import USUAL, Cursor, Limit, Page, of_cursor, to_cursor

_ALL = "/redelivery-jobs"
_ONE = "/redelivery-jobs/{job_id:str}"
_USUAL_STATES = (State.DEAD, State.EXPIRED)
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class NewRedeliveryJob(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which deliveries of a place are to be sent again; those that were given up, if nothing else is said."""

    repository: Annotated[str, msgspec.Meta(min_length=3, max_length=512)] | None = None
    namespace: Text | None = None
    instance: bool = False
    state: Sequence[State] = _USUAL_STATES
    notification: Text | None = None
    event_id: Text | None = None
    event: Text | None = None
    trigger: Trigger | None = None
    status_class: StatusClass | None = None
    code: Sequence[Text] = ()
    since: datetime | None = None
    until: datetime | None = None
    dry_run: bool = False


class RedeliveryJob(msgspec.Struct, frozen=True):
    """A job: `total` were counted when it was made, of which `sent` are on their way and `skipped` could not be.

    Skipped are those whose notification is gone or paused, and those that were being sent. Without an id it
    is only a count.
    """

    id: str | None
    state: JobState | None
    total: int
    sent: int
    skipped: int
    made_by: str
    created_at: datetime
    finished_at: datetime | None


def _shown(job: JobOf) -> RedeliveryJob:
    return RedeliveryJob(
        id=job.id,
        state=job.state,
        total=job.total,
        sent=job.sent,
        skipped=job.skipped,
        made_by=job.made_by,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


@get(_ALL)
async def list_redelivery_jobs(  # noqa: PLR0913, PLR0917 -- one argument for each of the query's
    call: Call,
    repository: RepositoryPath = None,
    namespace: NamespaceName = None,
    instance: IsInstance = False,  # noqa: FBT002 -- a query's parameter has a name
    limit: Limit = USUAL,
    cursor: Cursor = "",
) -> Page[RedeliveryJob]:
    """One page of a place's jobs that send many deliveries again, the newest first."""
    before = of_cursor(cursor)
    async with call.read() as tx:
        viewer = await areas.viewer_of(
            tx,
            await call.actor(tx),
            repository=repository,
            namespace=namespace,
            is_instance=instance,
        )
        found, last = await redelivery_jobs.list_page(tx, viewer, before=before, limit=limit)
    return Page([_shown(job) for job in found], to_cursor(last))


@post(_ALL, status_code=201)
async def create_redelivery_job(
    call: Call, data: JSONBody[NewRedeliveryJob]
) -> Response[RedeliveryJob]:
    """A job that sends again all that fits now; with `dry_run` 200 and only the count."""
    words.check_event(data.event, call.faces.kinds)
    wanted = DeliveryFilter(
        states=data.state,
        kind=data.event,
        event_id=data.event_id,
        notification_id=data.notification,
        codes=codes_of(data.status_class, data.code),
        trigger=data.trigger,
        since=moment(data.since, "since"),
        until=moment(data.until, "until"),
    )
    named = NamedPlace(data.repository, data.namespace, is_instance=data.instance)
    if data.dry_run:
        async with call.read() as tx:
            actor = await call.actor(tx)
            admin = await areas.admin_of_named(tx, actor, named)
            total = await redelivery_jobs.count(tx, admin, wanted)
        shown = RedeliveryJob(None, None, total, 0, 0, actor.name, tx.now, None)
        return Response(shown, status_code=200)
    async with call.begin() as tx:
        actor = await call.actor(tx)
        admin = await areas.admin_of_named(tx, actor, named)
        job = await redelivery_jobs.create(tx, admin, wanted)
    return Response(_shown(job), status_code=201)


@get(_ONE)
async def get_redelivery_job(call: Call, job_id: FromPath[str]) -> RedeliveryJob:
    """The job and how far it is."""
    async with call.read() as tx:
        job = await redelivery_jobs.load(tx, await call.actor(tx), job_id)
    return _shown(job)


async def _move(call: ApiCall, job_id: str, to: JobState) -> RedeliveryJob:
    async with call.begin() as tx:
        job = await redelivery_jobs.move(tx, await call.actor(tx), job_id, to)
    return _shown(job)


@post(f"{_ONE}/pause", status_code=200)
async def pause_redelivery_job(call: Call, job_id: FromPath[str]) -> RedeliveryJob:
    """Stop for now; what it made due already is sent."""
    return await _move(call, job_id, JobState.PAUSED)


@post(f"{_ONE}/resume", status_code=200)
async def resume_redelivery_job(call: Call, job_id: FromPath[str]) -> RedeliveryJob:
    """Go on where it stopped."""
    return await _move(call, job_id, JobState.RUNNING)


@post(f"{_ONE}/cancel", status_code=200)
async def cancel_redelivery_job(call: Call, job_id: FromPath[str]) -> RedeliveryJob:
    """Stop for good; what it made due already is sent."""
    return await _move(call, job_id, JobState.CANCELLED)


HANDLERS = [
    list_redelivery_jobs,
    create_redelivery_job,
    get_redelivery_job,
    pause_redelivery_job,
    resume_redelivery_job,
    cancel_redelivery_job,
]
