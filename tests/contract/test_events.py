"""What every event kind must do; runs for each one in the catalog."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from dockbell import events
from dockbell.domain.events import EventKind, EventScope, Level, Performer
from dockbell.methods.slack import payload_of
from tests.factories import KINDS, LINKS, event_of, message_of, sample_of, subject_for

_GOLDEN = Path(__file__).parent / "golden"
_EVIL = "<script>alert(1)</script>\n\"'&<!channel>"
_KINDS_OF_QUAY = {
    "build_cancelled": (
        "Image build cancelled",
        EventScope.REPOSITORY,
        Level.INFO,
        "Build cancelled for repository acme/web [fake-bu]",
    ),
    "build_failure": (
        "Image build failed",
        EventScope.REPOSITORY,
        Level.ERROR,
        "Build failure for repository acme/web [fake-bu]",
    ),
    "build_queued": (
        "Image build queued",
        EventScope.REPOSITORY,
        Level.INFO,
        "Build queued for repository acme/web [fake-bu]",
    ),
    "build_start": (
        "Image build started",
        EventScope.REPOSITORY,
        Level.INFO,
        "Build started for repository acme/web [fake-bu]",
    ),
    "build_success": (
        "Image build success",
        EventScope.REPOSITORY,
        Level.SUCCESS,
        "Build succeeded for repository acme/web [fake-bu]",
    ),
    "quota_error": (
        "Quota error",
        EventScope.NAMESPACE,
        Level.ERROR,
        "Namespace acme storage usage has exceeded its quota limit (105%)",
    ),
    "quota_warning": (
        "Quota warning",
        EventScope.NAMESPACE,
        Level.WARNING,
        "Namespace acme storage usage has reached 80% of its quota limit",
    ),
    "repo_image_expiry": (
        "Image expiry trigger",
        EventScope.REPOSITORY,
        Level.INFO,
        "Repository acme/web image(s) expiring",
    ),
    "repo_mirror_sync_failed": (
        "Repository mirror unsuccessful",
        EventScope.REPOSITORY,
        Level.ERROR,
        "Repository Mirror failed for TEST NOTIFICATION",
    ),
    "repo_mirror_sync_started": (
        "Repository mirror started",
        EventScope.REPOSITORY,
        Level.INFO,
        "Repository Mirror started for TEST NOTIFICATION",
    ),
    "repo_mirror_sync_success": (
        "Repository mirror successful",
        EventScope.REPOSITORY,
        Level.SUCCESS,
        "Repository Mirror success for TEST NOTIFICATION",
    ),
    "repo_push": (
        "Push to Repository",
        EventScope.REPOSITORY,
        Level.PRIMARY,
        "Repository acme/web updated",
    ),
    "vulnerability_found": (
        "Package Vulnerability Found",
        EventScope.REPOSITORY,
        Level.INFO,
        "Unknown vulnerability detected in repository acme/web in 5 tags",
    ),
}

_OURS = {
    "event_missing": (
        "Expected event missing",
        EventScope.REPOSITORY,
        Level.WARNING,
        "No repo_push for acme/web in 24 hours",
    ),
    "manifest_deleted": (
        "Manifest deleted",
        EventScope.REPOSITORY,
        Level.INFO,
        (
            "Manifest sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
            " deleted in repository acme/web"
        ),
    ),
    "push_refused": (
        "Push refused",
        EventScope.REPOSITORY,
        Level.WARNING,
        "Push of v1 to repository acme/web refused",
    ),
    "referrer_attached": (
        "Referrer attached",
        EventScope.REPOSITORY,
        Level.SUCCESS,
        "application/vnd.dev.cosign.artifact.sig.v1+json attached in repository acme/web",
    ),
    "repo_pull": (
        "Pull from Repository",
        EventScope.REPOSITORY,
        Level.INFO,
        "latest pulled from repository acme/web",
    ),
    "repository_created": (
        "Repository created",
        EventScope.REPOSITORY,
        Level.INFO,
        "Repository acme/web created",
    ),
    "repository_deleted": (
        "Repository deleted",
        EventScope.REPOSITORY,
        Level.WARNING,
        "Repository acme/web deleted",
    ),
    "tag_created": (
        "Tag created",
        EventScope.REPOSITORY,
        Level.INFO,
        "Tag v1 created in repository acme/web",
    ),
    "tag_deleted": (
        "Tag deleted",
        EventScope.REPOSITORY,
        Level.INFO,
        "Tag v1 deleted in repository acme/web",
    ),
    "tag_moved": (
        "Tag moved",
        EventScope.REPOSITORY,
        Level.INFO,
        "Tag latest moved in repository acme/web",
    ),
}


# The keys of the samples after the base fields, as Quay sends them; ours stand after the bar.
_KEYS = {
    "build_cancelled": "build_id build_name docker_tags trigger_id trigger_kind trigger_metadata image_id |",
    "build_failure": "build_id build_name docker_tags trigger_kind error_message trigger_id trigger_metadata |",
    "build_queued": "is_manual build_id build_name docker_tags trigger_id trigger_kind trigger_metadata"
    " | repo manual_user trigger_manual",
    "build_start": "build_id build_name docker_tags trigger_id trigger_kind trigger_metadata |",
    "build_success": "build_id build_name docker_tags trigger_id trigger_kind trigger_metadata image_id |",
    "quota_error": "threshold_percent usage_bytes limit_bytes usage_percent"
    " usage_bytes_formatted limit_bytes_formatted |",
    "quota_warning": "threshold_percent usage_bytes limit_bytes usage_percent"
    " usage_bytes_formatted limit_bytes_formatted |",
    "event_missing": "| expected hours last_event_at",
    "manifest_deleted": "| digest media_type tags",
    "push_refused": "| reference digest reason message",
    "referrer_attached": "| subject_digest digest media_type artifact_type",
    "repo_pull": "| reference digest media_type sampled_percent",
    "repository_created": "| visibility",
    "repository_deleted": "| visibility",
    "tag_created": "| tag digest",
    "tag_deleted": "| tag digest reason",
    "tag_moved": "| tag digest previous_digest",
    "repo_image_expiry": "tags expiring_in |",
    "repo_mirror_sync_failed": "message |",
    "repo_mirror_sync_started": "message |",
    "repo_mirror_sync_success": "message |",
    "repo_push": "updated_tags pruned_image_count |",
    "vulnerability_found": "tags image vulnerability |",
}
_BASE = {
    EventScope.REPOSITORY: ["repository", "namespace", "name", "docker_url", "homepage"],
    EventScope.NAMESPACE: ["namespace", "homepage"],
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> EventKind:
    return KINDS[request.param]


def test_the_catalog_has_quays_thirteen_and_ours() -> None:
    found = {
        name: (kind.title, kind.scope, kind.level(sample), kind.summary(sample))
        for name, kind in events.catalog().items()
        for sample in [sample_of(kind)]
    }

    assert list(found.items()) == sorted({**_KINDS_OF_QUAY, **_OURS}.items())


@pytest.mark.quirk("Q23")
def test_a_sample_has_quays_keys_in_quays_order_and_ours_behind_them() -> None:
    found = {name: list(sample_of(kind).data) for name, kind in KINDS.items()}

    assert found == {
        name: [*_BASE[kind.scope], *_KEYS[name].replace("|", "").split()]
        for name, kind in KINDS.items()
    }


def test_the_webhook_body_is_kept_to_the_byte(kind: EventKind) -> None:
    event = sample_of(kind, performer=Performer("alice"))

    assert event.body == (_GOLDEN / f"{kind.name}.webhook.json").read_bytes()


def test_the_slack_body_is_kept_to_the_byte(kind: EventKind) -> None:
    message = message_of(sample_of(kind, performer=Performer("alice")))

    body = json.dumps(payload_of(message)).encode()

    assert body == (_GOLDEN / f"{kind.name}.slack.json").read_bytes()


def test_the_name_is_that_of_the_file(kind: EventKind) -> None:
    assert type(kind).__module__ == f"dockbell.events.{kind.name}"


def test_the_sample_is_one_line_of_json(kind: EventKind) -> None:
    body = sample_of(kind).body

    assert (json.dumps(json.loads(body)).encode(), body.count(b"\n")) == (body, 0)


def test_the_sample_is_accepted_without_a_filter(kind: EventKind) -> None:
    accepted = [kind.accepts(sample_of(kind), config) for config in ({}, {"other": 1})]

    assert accepted == [True, True]


def test_no_filter_and_unknown_keys_may_be_saved(kind: EventKind) -> None:
    for event_config in ({}, {"other": [1]}):
        kind.check(event_config)


@pytest.mark.parametrize("level", ["Critical", "nonsense", 99, None, [], {"a": 1}])
def test_the_message_does_not_depend_on_the_filter(kind: EventKind, level: object) -> None:
    event = sample_of(kind, {"level": level, "days": level, "ref-regex": level})

    texts = [kind.level(event), kind.summary(event), kind.html(event, LINKS)]

    assert [bool(text) for text in texts] == [True, True, True]


def _with(value: object, data: object) -> object:
    """The same shape with every string replaced."""
    if isinstance(data, Mapping):
        return {key: _with(value, inner) for key, inner in data.items()}
    if isinstance(data, list):
        return [_with(value, inner) for inner in data]
    return value if isinstance(data, str) else data


def test_data_never_becomes_markup(kind: EventKind) -> None:
    details = _with(_EVIL, kind.sample(subject_for(kind), {}))
    assert isinstance(details, dict)
    event = event_of(kind.name, details, subject=subject_for(kind), performer=Performer(_EVIL))

    html, slack = kind.html(event, LINKS), str(payload_of(message_of(event)))

    assert [html.count("<script"), slack.count("<script"), slack.count("<!channel")] == [0] * 3
    assert kind.summary(event).splitlines() == [kind.summary(event)]


_ODD: list[object] = [None, True, 5, "text", [], ["x", 1], {}, {"a": {"b": [1]}}]


@pytest.mark.parametrize("odd", _ODD, ids=repr)
def test_odd_data_never_raises(kind: EventKind, odd: object) -> None:
    sample = kind.sample(subject_for(kind), {})
    filters = {"level": 1, "ref-regex": "x"}

    for details in [{}, *({**sample, key: odd} for key in sample), {"trigger_metadata": odd}]:
        event = event_of(kind.name, details, subject=subject_for(kind))
        kind.accepts(event, filters)
        texts = (kind.level(event), kind.summary(event), kind.html(event, LINKS))
        assert all(texts)


@pytest.mark.parametrize("odd", [*_ODD, "(a+)+$", "][", -1, 10**30, 1.5], ids=repr)
def test_an_odd_filter_never_raises_at_delivery(kind: EventKind, odd: object) -> None:
    event = sample_of(kind)

    answers = [
        kind.accepts(event, {key: odd}) for key in ("level", "ref-regex", "days", "other")
    ]

    assert [type(answer) for answer in answers] == [bool] * 4
