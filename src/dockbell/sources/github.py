"""Webhooks of GitHub about workflow runs."""

import hashlib
import hmac
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

_SIGNATURE = "x-hub-signature-256"
_STATES: Mapping[str, BuildState] = {
    "requested": BuildState.QUEUED,
    "in_progress": BuildState.STARTED,
}
_ENDS: Mapping[str, BuildState] = {
    "success": BuildState.SUCCESS,
    "cancelled": BuildState.CANCELLED,
    "failure": BuildState.FAILURE,
    "timed_out": BuildState.FAILURE,
    "startup_failure": BuildState.FAILURE,
}


def _signature(body: bytes, secret: str) -> str:
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


class GitHub:
    """A repository's webhook for the event `workflow_run`, with a secret."""

    name = "github"
    title = "GitHub Actions"

    def example(self, secret: str) -> Inbound:
        body = json.dumps(
            {
                "action": "completed",
                "workflow_run": {
                    "id": 4711,
                    "name": "image",
                    "run_number": 12,
                    "run_attempt": 1,
                    "head_branch": "main",
                    "head_sha": "42d4a62c53350993ea41069e9f2cfdefb0df097d",
                    "event": "push",
                    "status": "completed",
                    "conclusion": "success",
                    "html_url": "https://github.example.org/acme/web/actions/runs/4711",
                    "created_at": "2026-03-14T11:58:00Z",
                    "updated_at": "2026-03-14T11:59:30Z",
                    "actor": {"login": "alice", "html_url": "https://github.example.org/alice"},
                    "head_commit": {
                        "message": "Mend it",
                        "timestamp": "2026-03-14T11:57:00Z",
                        "author": {"name": "Alice"},
                    },
                },
                "repository": {
                    "full_name": "acme/web",
                    "html_url": "https://github.example.org/acme/web",
                    "clone_url": "https://github.example.org/acme/web.git",
                    "default_branch": "main",
                },
            }
        ).encode()
        headers = {
            "content-type": "application/json",
            "x-github-event": "workflow_run",
            _SIGNATURE: _signature(body, secret),
        }
        return Inbound(headers, body)

    def verify(self, inbound: Inbound, secret: str) -> None:
        check_same(inbound.headers.get(_SIGNATURE, ""), _signature(inbound.body, secret))

    def translate(self, inbound: Inbound) -> Sequence[BuildReport]:
        body = object_in(inbound.body)
        run = object_of(body, "workflow_run")
        action, number = line(body.get("action")) or "", line(run.get("id"), 32)
        conclusion = line(run.get("conclusion")) or ""
        state = _ENDS.get(conclusion) if action == "completed" else _STATES.get(action)
        if (
            inbound.headers.get("x-github-event") != "workflow_run"
            or state is None
            or number is None
        ):
            return []
        name, count = line(run.get("name"), 200), line(run.get("run_number"), 20)
        actor = line(object_of(run, "actor").get("login"))
        details = BuildDetails(
            name=f"{name or 'workflow'} #{count}" if count else name,
            trigger=Trigger("github", name, _metadata(body, run)),
            is_manual=run.get("event") == "workflow_dispatch",
            manual_user=actor if run.get("event") == "workflow_dispatch" else None,
            error_message=f"The run ended as {conclusion}."
            if state is BuildState.FAILURE
            else None,
            url=url(run.get("html_url")),
        )
        return [
            BuildReport(
                state=state,
                # A run that is started again is another attempt, and another build.
                key=f"github/{number}/{line(run.get('run_attempt'), 10) or 1}",
                details=details,
                occurred_at=moment(
                    run.get("created_at" if action == "requested" else "updated_at")
                ),
                performer=None if actor is None else Performer(actor),
            )
        ]


def _metadata(body: Mapping[str, object], run: Mapping[str, object]) -> Mapping[str, object]:
    repository, commit = object_of(body, "repository"), object_of(run, "head_commit")
    branch, sha = line(run.get("head_branch"), 400), line(run.get("head_sha"), 64)
    page = url(repository.get("html_url"))
    sort = "tags" if run.get("event") == "release" else "heads"
    return known(
        default_branch=line(repository.get("default_branch")),
        ref=f"refs/{sort}/{branch}" if branch else None,
        commit=sha,
        git_url=url(repository.get("clone_url")),
        commit_info=known(
            url=f"{page}/commit/{sha}" if page and sha else None,
            message=line(commit.get("message"), 1000),
            date=line(commit.get("timestamp")),
            author=known(username=line(object_of(commit, "author").get("name"))),
        ),
    )


SOURCE: BuildSource = GitHub()
