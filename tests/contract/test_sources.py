"""What every build system's reader must do; runs for each one in the catalog."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dockbell.domain.build_reports import BuildReport, BuildState
from dockbell.domain.sources import BuildSource, ForgedError, Inbound, SourceError
from dockbell.sources import build_sources

ALL = build_sources()
SECRET = "the-secret-of-this-feed"


@pytest.fixture(params=ALL)
def source(request: pytest.FixtureRequest) -> BuildSource:
    found: BuildSource = ALL[request.param]
    return found


def test_the_example_is_verified_and_tells_the_same_each_time(source: BuildSource) -> None:
    example = source.example(SECRET)

    source.verify(example, SECRET)
    (report,) = source.translate(example)

    assert (report.state, report.occurred_at is not None) == (BuildState.SUCCESS, True)
    assert report.key is not None
    assert report.key.startswith(f"{source.name}/")
    assert len(report.key) <= 200
    assert source.translate(example) == [report]


def test_what_does_not_carry_the_secret_is_forged(source: BuildSource) -> None:
    example = source.example(SECRET)
    bare = Inbound({}, example.body)
    other = source.example("another-secret")

    for one in (bare, other, replace(other, secret="x")):
        with pytest.raises(ForgedError):
            source.verify(one, SECRET)


def test_a_signature_is_for_its_body_alone() -> None:
    github = ALL["github"]
    example = github.example(SECRET)

    with pytest.raises(ForgedError):
        github.verify(replace(example, body=example.body + b" "), SECRET)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 70 + b"1" + b"}" * 70],
)
def test_what_is_no_object_is_refused_in_words(source: BuildSource, body: bytes) -> None:
    with pytest.raises(SourceError) as refused:
        source.translate(replace(source.example(SECRET), body=body))

    assert refused.value.field == "body"


ODD: tuple[Any, ...] = (None, 5, "x", [], {}, [{}], True, 1e300, "\0" * 600)


def odd_ones(value: Any) -> list[Any]:
    """The value with each part of it, one at a time, replaced by each odd one."""
    if not isinstance(value, Mapping):
        return []
    found = []
    for key, inner in value.items():
        found += [{**value, key: odd} for odd in ODD]
        found += [{**value, key: changed} for changed in odd_ones(inner)]
    return found


def test_a_body_with_odd_parts_is_read_as_far_as_it_goes(source: BuildSource) -> None:
    example = source.example(SECRET)

    for body in odd_ones(json.loads(example.body)):
        for report in source.translate(replace(example, body=json.dumps(body).encode())):
            assert "\0" not in repr(report)
            assert isinstance(report, BuildReport)


@pytest.mark.parametrize(
    ("name", "changes", "headers", "state"),
    [
        ("github", {"action": "requested"}, {}, BuildState.QUEUED),
        ("github", {"action": "in_progress"}, {}, BuildState.STARTED),
        ("github", {"workflow_run.conclusion": "failure"}, {}, BuildState.FAILURE),
        ("github", {"workflow_run.conclusion": "timed_out"}, {}, BuildState.FAILURE),
        ("github", {"workflow_run.conclusion": "cancelled"}, {}, BuildState.CANCELLED),
        ("github", {"workflow_run.conclusion": "skipped"}, {}, None),
        ("github", {}, {"x-github-event": "ping"}, None),
        ("gitlab", {"object_attributes.status": "pending"}, {}, BuildState.QUEUED),
        ("gitlab", {"object_attributes.status": "running"}, {}, BuildState.STARTED),
        ("gitlab", {"object_attributes.status": "failed"}, {}, BuildState.FAILURE),
        ("gitlab", {"object_attributes.status": "canceled"}, {}, BuildState.CANCELLED),
        ("gitlab", {"object_attributes.status": "skipped"}, {}, None),
        ("gitlab", {"object_kind": "push"}, {}, None),
        ("tekton", {}, {"ce-type": "dev.tekton.event.pipelinerun.started.v1"}, BuildState.STARTED),
        ("tekton", {}, {"ce-type": "dev.tekton.event.pipelinerun.failed.v1"}, BuildState.FAILURE),
        ("tekton", {}, {"ce-type": "dev.tekton.event.taskrun.failed.v1"}, None),
        ("cdevents", {}, {"ce-type": "dev.cdevents.build.queued.0.2.0"}, BuildState.QUEUED),
        ("cdevents", {}, {"ce-type": "dev.cdevents.build.started.0.2.0"}, BuildState.STARTED),
        ("cdevents", {"subject.content": {"outcome": "failure"}},
         {"ce-type": "dev.cdevents.pipelinerun.finished.0.2.0"}, BuildState.FAILURE),
        ("cdevents", {}, {"ce-type": "dev.cdevents.service.deployed.0.2.0"}, None),
    ],
)  # fmt: skip
def test_a_peers_words_are_states_of_ours(
    name: str, changes: dict[str, Any], headers: dict[str, str], state: BuildState | None
) -> None:
    source = ALL[name]
    example = source.example(SECRET)
    body = json.loads(example.body)
    for path, value in changes.items():
        *parents, last = path.split(".")
        inner = body
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    inbound = Inbound({**example.headers, **headers}, json.dumps(body).encode(), example.secret)

    assert [one.state for one in source.translate(inbound)] == (
        [] if state is None else [state]
    )


def test_a_tekton_run_that_was_cancelled_is_no_failure() -> None:
    tekton = ALL["tekton"]
    example = tekton.example(SECRET)
    body = json.loads(example.body)
    body["pipelineRun"]["status"]["conditions"][0]["reason"] = "Cancelled"
    headers = {**example.headers, "ce-type": "dev.tekton.event.pipelinerun.failed.v1"}

    (report,) = tekton.translate(Inbound(headers, json.dumps(body).encode()))

    assert report.state is BuildState.CANCELLED


def test_a_cloudevent_is_read_in_either_mode() -> None:
    cdevents = ALL["cdevents"]
    binary = cdevents.example(SECRET)
    structured = Inbound(
        {"content-type": "application/cloudevents+json; charset=utf-8"},
        json.dumps(
            {
                "specversion": "1.0",
                **{name: binary.headers[f"ce-{name}"] for name in ("id", "source", "type")},
                "data": json.loads(binary.body),
            }
        ).encode(),
    )

    assert cdevents.translate(structured) == cdevents.translate(binary)
    with pytest.raises(SourceError) as refused:
        cdevents.translate(Inbound({}, binary.body))
    assert refused.value.field == "id"


def test_what_github_tells_is_quays_trigger() -> None:
    github = ALL["github"]

    (report,) = github.translate(github.example(SECRET))

    trigger = report.details.trigger
    assert trigger is not None
    assert (report.key, report.details.name, trigger.kind, trigger.id) == (
        "github/4711/1",
        "image #12",
        "github",
        "image",
    )
    assert trigger.metadata == {
        "default_branch": "main",
        "ref": "refs/heads/main",
        "commit": "42d4a62c53350993ea41069e9f2cfdefb0df097d",
        "git_url": "https://github.example.org/acme/web.git",
        "commit_info": {
            "url": "https://github.example.org/acme/web/commit/42d4a62c53350993ea41069e9f2cfdefb0df097d",
            "message": "Mend it",
            "date": "2026-03-14T11:57:00Z",
            "author": {"username": "Alice"},
        },
    }
    assert report.performer is not None
    assert report.performer.name == "alice"


def test_a_cdevent_names_the_image_that_was_built() -> None:
    cdevents = ALL["cdevents"]

    (report,) = cdevents.translate(cdevents.example(SECRET))

    assert report.details.manifest_digests == [f"sha256:{'a' * 64}"]
