"""Webhooks of GitLab about pipelines."""

import json
from collections.abc import Mapping, Sequence

from dockbell.domain.build_reports import BuildDetails, BuildReport, BuildState, Trigger
from dockbell.domain.events import Performer
from dockbell.domain.payloads import object_of
from dockbell.domain.sources import (
    BuildSource,
    Inbound,
    check_same,
    known,
    line,
    moment,
    object_in,
    url,
)

_TOKEN = "x-gitlab-token"  # noqa: S105 -- the name of a header
_STATES: Mapping[str, BuildState] = {
    "created": BuildState.QUEUED,
    "waiting_for_resource": BuildState.QUEUED,
    "preparing": BuildState.QUEUED,
    "pending": BuildState.QUEUED,
    "running": BuildState.STARTED,
    "success": BuildState.SUCCESS,
    "failed": BuildState.FAILURE,
    "canceled": BuildState.CANCELLED,
}
_PEOPLES_SOURCES = {"web", "api", "chat"}  # what a person sets off by hand


class GitLab:
    """A project's webhook for pipeline events, with a secret token."""

    name = "gitlab"
    title = "GitLab CI"

    def example(self, secret: str) -> Inbound:
        body = json.dumps(
            {
                "object_kind": "pipeline",
                "object_attributes": {
                    "id": 31,
                    "iid": 3,
                    "name": "Pipeline for branch: main",
                    "ref": "main",
                    "tag": False,
                    "sha": "bcbb5ec396a2c0f828686f14fac9b80b780504f2",
                    "source": "push",
                    "status": "success",
                    "created_at": "2026-03-14 11:58:00 UTC",
                    "finished_at": "2026-03-14 11:59:30 UTC",
                    "url": "https://gitlab.example.org/acme/web/-/pipelines/31",
                },
                "user": {"name": "Alice", "username": "alice"},
                "project": {
                    "path_with_namespace": "acme/web",
                    "git_http_url": "https://gitlab.example.org/acme/web.git",
                    "default_branch": "main",
                },
                "commit": {
                    "id": "bcbb5ec396a2c0f828686f14fac9b80b780504f2",
                    "message": "Mend it",
                    "timestamp": "2026-03-14T11:57:00+00:00",
                    "url": "https://gitlab.example.org/acme/web/-/commit/bcbb5ec396a2",
                    "author": {"name": "Alice", "email": "alice@example.org"},
                },
            }
        ).encode()
        headers = {
            "content-type": "application/json",
            "x-gitlab-event": "Pipeline Hook",
            _TOKEN: secret,
        }
        return Inbound(headers, body)

    def verify(self, inbound: Inbound, secret: str) -> None:
        check_same(inbound.headers.get(_TOKEN, ""), secret)

    def translate(self, inbound: Inbound) -> Sequence[BuildReport]:
        body = object_in(inbound.body)
        pipeline = object_of(body, "object_attributes")
        number = line(pipeline.get("id"), 32)
        state = _STATES.get(line(pipeline.get("status")) or "")
        if body.get("object_kind") != "pipeline" or state is None or number is None:
            return []
        project = line(object_of(body, "project").get("path_with_namespace"), 120) or ""
        name = line(pipeline.get("name"), 200)
        user = line(object_of(body, "user").get("username"))
        is_manual = line(pipeline.get("source")) in _PEOPLES_SOURCES
        details = BuildDetails(
            name=name or f"{project} #{line(pipeline.get('iid'), 20) or number}".strip(),
            trigger=Trigger("gitlab", project or None, _metadata(body, pipeline)),
            is_manual=is_manual,
            manual_user=user if is_manual else None,
            error_message="The pipeline failed." if state is BuildState.FAILURE else None,
            url=url(pipeline.get("url")),
        )
        has_ended = state not in {BuildState.QUEUED, BuildState.STARTED}
        at = pipeline.get("finished_at") if has_ended else None
        if state is BuildState.QUEUED:
            at = pipeline.get("created_at")
        return [
            BuildReport(
                state=state,
                key=f"gitlab/{project}/{number}",
                details=details,
                occurred_at=moment(at),
                performer=None if user is None else Performer(user),
            )
        ]


def _metadata(
    body: Mapping[str, object], pipeline: Mapping[str, object]
) -> Mapping[str, object]:
    project, commit = object_of(body, "project"), object_of(body, "commit")
    ref = line(pipeline.get("ref"), 400)
    sort = "tags" if pipeline.get("tag") is True else "heads"
    return known(
        default_branch=line(project.get("default_branch")),
        ref=f"refs/{sort}/{ref}" if ref else None,
        commit=line(pipeline.get("sha"), 64),
        git_url=url(project.get("git_http_url")),
        commit_info=known(
            url=url(commit.get("url")),
            message=line(commit.get("message"), 1000),
            date=line(commit.get("timestamp")),
            author=known(username=line(object_of(commit, "author").get("name"))),
        ),
    )


SOURCE: BuildSource = GitLab()
