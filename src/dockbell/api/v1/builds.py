"""Builds with Quay's addresses and shapes, for reading. They come in by API v2 and by feeds."""

from collections.abc import Mapping
from datetime import UTC, datetime

from litestar import Response, get
from litestar.params import FromPath

from dockbell.api.v1.views import date
from dockbell.domain.accounts import Role
from dockbell.domain.build_reports import Build, BuildState, Trigger
from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.permissions import ReaderOf
from dockbell.services import builds, repositories
from dockbell.web.calls import Call

# Quay: so many come if nothing is said, and never more than these. Pinned by compat/test_builds.py.
_USUAL, _MOST = 5, 100
_PHASES: Mapping[BuildState, str] = {
    BuildState.QUEUED: "waiting",
    BuildState.STARTED: "building",
    BuildState.SUCCESS: "complete",
    BuildState.FAILURE: "error",
    BuildState.CANCELLED: "cancelled",
}
_ALL = "/repository/{repository:str}/build"
_ONE = "/repository/{repository:str}/build/{uuid:str}"


def _shown(build: Build, reader: ReaderOf, *, can_write: bool) -> dict[str, object]:
    details, trigger = build.details, build.details.trigger
    return {
        "id": build.uuid,
        "phase": _PHASES[build.state],
        "started": date(build.started_at or build.queued_at or build.created_at),
        "display_name": build.name,
        "status": {},
        "subdirectory": "",
        "dockerfile_path": "",
        "context": "",
        "tags": list(details.tags),
        "manual_user": details.manual_user,
        "is_writer": can_write,
        "trigger": None if trigger is None else _trigger(trigger),
        "trigger_metadata": None if trigger is None else dict(trigger.metadata),
        "resource_key": None,
        "pull_robot": None,
        "repository": {
            "namespace": reader.repository.namespace,
            "name": reader.repository.name,
        },
        "error": details.error_message,
    }


def _trigger(trigger: Trigger) -> dict[str, object]:
    return {
        "id": trigger.id,
        "service": trigger.kind,
        "is_active": True,
        "build_source": trigger.metadata.get("git_url"),
        "repository_url": trigger.metadata.get("git_url"),
        "config": {},
        "can_invoke": False,
        "enabled": True,
        "disabled_reason": None,
    }


@get(_ALL)
async def list_builds(call: Call, repository: FromPath[str]) -> Response[bytes]:
    """200 with the newest builds: 5, or as many as `limit` says; with `since` none that was made before."""
    path = call.path(repository)
    limit = call.number("limit", _USUAL, "The maximum number of builds to return (int)")
    since = call.number("since", 0, "Returns all builds since the given unix timecode (int)")
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, path)
        roles = await repositories.roles_of(tx, actor, path)
        found, _ = await builds.list_page(
            tx, reader, since=_moment(since), limit=max(0, min(limit, _MOST))
        )
    can_write = Role.WRITE in roles
    return call.reply(
        200, {"builds": [_shown(one, reader, can_write=can_write) for one in found]}
    )


async def _one(call: Call, repository: str, uuid: str) -> Response[bytes]:
    path = call.path(repository)
    async with call.read() as tx:
        actor = await call.actor(tx)
        reader = await repositories.reader_of(tx, actor, path)
        roles = await repositories.roles_of(tx, actor, path)
        found = await builds.load(tx, reader, uuid)
    return call.reply(200, _shown(found, reader, can_write=Role.WRITE in roles))


@get(_ONE)
async def get_build(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 with the build, or 404."""
    return await _one(call, repository, uuid)


@get(f"{_ONE}/status")
async def get_build_status(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 with the same object: how far the build is."""
    return await _one(call, repository, uuid)


@get(f"{_ONE}/logs")
async def get_build_logs(
    call: Call, repository: FromPath[str], uuid: FromPath[str]
) -> Response[bytes]:
    """200 with a line for each step that was told, from number `start`. The log itself is the build system's."""
    path = call.path(repository)
    start = call.number("start", 0, "The index of the first log line to return (int)")
    async with call.read() as tx:
        viewer = await builds.viewer_of_logs(tx, await call.actor(tx), path)
        found = await builds.load(tx, viewer, uuid)
    lines = _lines(found)
    start = max(0, start)
    return call.reply(200, {"start": start, "total": len(lines), "logs": lines[start:]})


def _lines(build: Build) -> list[dict[str, object]]:
    details = build.details
    ended = _PHASES[build.state] if build.finished_at is not None else ""
    lines: list[dict[str, object]] = [
        {"type": "phase", "message": phase, "data": {"datetime": moment.isoformat()}}
        for moment, phase in (
            (build.queued_at, "waiting"),
            (build.started_at, "building"),
            (build.finished_at, ended),
        )
        if moment is not None
    ]
    if details.error_message is not None:
        lines.append({"type": "error", "message": details.error_message})
    if details.url is not None:
        lines.append({"type": "entry", "message": details.url})
    return lines


def _moment(seconds: int) -> datetime | None:
    if seconds == 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise InvalidRequestError("since must be a time in seconds since 1970") from None


HANDLERS = [list_builds, get_build, get_build_status, get_build_logs]
