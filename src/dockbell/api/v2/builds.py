"""Builds that build systems report: telling of one, and the history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from dockbell.api.v2.reporters import reporter
from dockbell.domain import build_reports as rules
from dockbell.domain.build_reports import BuildDetails, BuildReport, BuildState
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Performer
from dockbell.domain.payloads import is_deeper
from dockbell.services import builds, repositories
from dockbell.services.builds import Reported
from dockbell.web.calls import Call
from dockbell.web.pages import USUAL, Cursor, Limit, Page, of_cursor, to_cursor

_ALL = "/repositories/{repository:str}/builds"
_ONE = "/repositories/{repository:str}/builds/{build_id:str}"
_LARGEST_COMMIT_INFO = 16 << 10  # bytes
_DEEPEST = 8

_PLAIN = r"^[^\x00-\x1f\x7f]+$"
Short = Annotated[str, Meta(min_length=1, max_length=255, pattern=_PLAIN)]
Key = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN)]
Ref = Annotated[str, Meta(min_length=1, max_length=512, pattern=_PLAIN)]
Tag = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
Tags = Annotated[list[Tag], Meta(max_length=100)]
Digest = Annotated[str, Meta(max_length=140, pattern=r"^[a-z0-9]+:[0-9a-f]{32,128}$")]
Url = Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^\x00-\x20\x7f]+$")]


class BuildTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What set the build off. `commit_info` has `url`, `message`, `date`, `author` and `committer`, as in Quay."""

    kind: Short | None = None
    id: Short | None = None
    ref: Ref | None = None
    commit: Short | None = None
    default_branch: Short | None = None
    git_url: Annotated[str, Meta(max_length=2048)] | None = None
    commit_info: dict[str, Any] | None = None


class BuildChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is new of a build; what is left out stays."""

    status: BuildState | None = None
    name: Short | None = None
    tags: Tags = []
    trigger: BuildTrigger | None = None
    is_manual: bool | None = None
    manual_user: Short | None = None
    image_id: Short | None = None
    manifest_digests: Annotated[list[Digest], Meta(max_length=100)] = []
    error_message: Annotated[str, Meta(max_length=10_000)] | None = None
    url: Url | None = None
    actor: Short | None = None
    occurred_at: Annotated[datetime, Meta(tz=True)] | None = None

    def report(self, key: str | None = None) -> BuildReport:
        return BuildReport(
            state=self.status,
            key=key,
            details=BuildDetails(
                name=self.name,
                tags=self.tags,
                trigger=None if self.trigger is None else _trigger_of(self.trigger),
                is_manual=self.is_manual,
                manual_user=self.manual_user,
                image_id=self.image_id,
                manifest_digests=self.manifest_digests,
                error_message=self.error_message,
                url=self.url,
            ),
            occurred_at=self.occurred_at,
            performer=None if self.actor is None else Performer(self.actor),
        )


class NewBuild(BuildChange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A report of a build. `id` is the build system's own: with it every report may be sent here, and more than once."""

    id: Key | None = None


class Build(msgspec.Struct, frozen=True):
    """A build as far as it was told. `uuid` is what API v1 and payloads call `build_id`."""

    id: str
    uuid: str
    key: str | None
    status: BuildState
    name: str
    tags: Sequence[str]
    trigger: Mapping[str, Any] | None
    is_manual: bool
    manual_user: str | None
    image_id: str | None
    manifest_digests: Sequence[str]
    error_message: str | None
    url: str | None
    source: str
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ReportedBuild(msgspec.Struct, frozen=True):
    """The build, and the event that the report made; null if it told nothing new."""

    build: Build
    event_id: str | None


def _trigger_of(given: BuildTrigger) -> rules.Trigger:
    info = given.commit_info
    if info is not None and (
        is_deeper(info, _DEEPEST) or len(msgspec.json.encode(info)) > _LARGEST_COMMIT_INFO
    ):
        raise ConfigError(
            f"It must not be larger than {_LARGEST_COMMIT_INFO} bytes, nor nested deeper than"
            f" {_DEEPEST} levels",
            field="trigger.commit_info",
        )
    metadata = {
        key: value for key in rules.TRIGGER_KEYS if (value := getattr(given, key)) is not None
    }
    return rules.Trigger(given.kind, given.id, metadata)


def _shown(build: rules.Build) -> Build:
    details, trigger = build.details, build.details.trigger
    return Build(
        id=build.id,
        uuid=build.uuid,
        key=build.key,
        status=build.state,
        name=build.name,
        tags=details.tags,
        trigger=None
        if trigger is None
        else {"kind": trigger.kind, "id": trigger.id, **trigger.metadata},
        is_manual=bool(details.is_manual),
        manual_user=details.manual_user,
        image_id=details.image_id,
        manifest_digests=details.manifest_digests,
        error_message=details.error_message,
        url=details.url,
        source=build.source,
        queued_at=build.queued_at,
        started_at=build.started_at,
        finished_at=build.finished_at,
        created_at=build.created_at,
        updated_at=build.updated_at,
    )


def _answer(reported: Reported) -> Response[ReportedBuild]:
    return Response(
        ReportedBuild(_shown(reported.build), reported.event_id),
        status_code=201 if reported.is_new else 200,
    )


@post(_ALL, status_code=201)
async def report_build(
    call: Call, repository: FromPath[str], data: JSONBody[NewBuild]
) -> Response[ReportedBuild]:
    """The build, made if its `id` is new (else 200); queued if no status is given. Each step is an event, once."""
    path = call.path(repository)
    async with call.begin() as tx:
        right = await repositories.reporter_of(tx, await reporter(call, tx), path)
        reported = await call.faces.builds.report(tx, right, data.report(data.id))
    return _answer(reported)


@patch(_ONE, status_code=200)
async def change_build(
    call: Call, repository: FromPath[str], build_id: FromPath[str], data: JSONBody[BuildChange]
) -> ReportedBuild:
    """The build as it is now. A step that was told already, or is past, changes nothing."""
    path = call.path(repository)
    async with call.begin() as tx:
        right = await repositories.reporter_of(tx, await reporter(call, tx), path)
        reported = await call.faces.builds.update(tx, right, build_id, data.report())
    return ReportedBuild(_shown(reported.build), reported.event_id)


@get(_ALL)
async def list_builds(
    call: Call, repository: FromPath[str], limit: Limit = USUAL, cursor: Cursor = ""
) -> Page[Build]:
    """One page of the repository's builds, the newest first."""
    before = of_cursor(cursor)
    path = call.path(repository)
    async with call.read() as tx:
        reader = await repositories.reader_of(tx, await reporter(call, tx), path)
        found, last = await builds.list_page(tx, reader, before=before, limit=limit)
    return Page([_shown(one) for one in found], to_cursor(last))


@get(_ONE)
async def get_build(call: Call, repository: FromPath[str], build_id: FromPath[str]) -> Build:
    """The build, by its id or UUID, or by the id that the build system gave it."""
    path = call.path(repository)
    async with call.read() as tx:
        reader = await repositories.reader_of(tx, await reporter(call, tx), path)
        found = await builds.load(tx, reader, build_id)
    return _shown(found)


HANDLERS = [list_builds, report_build, get_build, change_build]
