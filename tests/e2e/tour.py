"""What leaves the server for each of Quay's events when its test button is pressed, letter for letter (quay-compat 3, 4).

The bodies are written out here and not made by the program, so that a change of one shows.
"""

from dataclasses import dataclass

PUBLIC_URL = "https://quay.example.com"
_REPOSITORY = (
    b'{"repository": "acme/web", "namespace": "acme", "name": "web", '
    b'"docker_url": "quay.example.com/acme/web", "homepage": "https://quay.example.com/repository/acme/web'
)
_NAMESPACE = b'{"namespace": "acme", "homepage": "https://quay.example.com/organization/acme", '
_TAGS = b'"docker_tags": ["latest", "foo", "bar"], '
_REF = (
    b'"trigger_metadata": {"default_branch": "master", "ref": "refs/heads/somebranch", '
    b'"commit": "42d4a62c53350993ea41069e9f2cfdefb0df097d", '
)
_PERSON = (
    b'{"username": "fakeauthor", "url": "http://path/to/fake/author/in/scm", '
    b'"avatar_url": "http://www.gravatar.com/avatar/fakehash"}'
)
_COMMIT = (
    b'"commit_info": {"url": "http://path/to/the/commit", "message": "Some commit message", "date": 1430845553.0, '
    b'"author": ' + _PERSON + b', "committer": ' + _PERSON + b"}, "
)
_GIT = b'"git_url": "http://path/to/the/repository.git"}'
_BUILD = b'/build/fake-build-id", '
_STARTED = (
    b'"build_id": "fake-build-id", "build_name": "some-fake-build", '
    + _TAGS
    + b'"trigger_id": "1245634", "trigger_kind": "GitHub", '
    + _REF
    + _GIT
)
_PAGE = f"{PUBLIC_URL}/repository/acme/web"
_LINK = f"<{_PAGE}|acme/web>"


def _tag(name: str) -> str:
    return f"<{_PAGE}?tag={name}&tab=tags|{name}>"


def _build(what: str, cause: str) -> str:
    return (
        f"<{_PAGE}/build/fake-build-id|Build fake-bu> {what} for {cause} for repository {_LINK}"
    )


_WITH_COMMIT = (
    "change <http://path/to/the/commit|42d4a62> to branch somebranch by "
    "<http://path/to/fake/author/in/scm|fakeauthor>"
)


@dataclass(frozen=True, slots=True)
class Expected:
    """One event as every method tells it."""

    body: bytes  # of a webhook, and the metadata of a bell row
    summary: str  # Slack's text, the subject of a mail and of Flowdock
    slack: str  # the attachment's text
    level: str
    page: str  # the link that Flowdock gets


def _of_repository(
    rest: bytes, summary: str, slack: str, level: str, page: str = _PAGE
) -> Expected:
    return Expected(_REPOSITORY + rest, summary, slack, level, page)


def _of_build(
    rest: bytes, what: str, done: str, cause: str, level: str, error: str = ""
) -> Expected:
    summary = f"Build {what} for repository acme/web [fake-bu]"
    return _of_repository(
        _BUILD + rest,
        summary,
        _build(done, cause) + error,
        level,
        f"{_PAGE}/build/fake-build-id",
    )


def _of_mirror(what: str, level: str) -> Expected:
    return _of_repository(
        b'", "message": "TEST NOTIFICATION"}',
        f"Repository Mirror {what} for TEST NOTIFICATION",
        "*alice* TEST NOTIFICATION",
        level,
    )


EXPECTED = {
    "repo_push": _of_repository(
        b'", "updated_tags": ["latest", "foo"], "pruned_image_count": 3}',
        "Repository acme/web updated",
        f"*alice* pushed {_tag('latest')}, {_tag('foo')} in repository {_LINK}",
        "primary",
    ),
    "build_queued": _of_build(
        b'"is_manual": false, "build_id": "fake-build-id", "build_name": "some-fake-build", '
        + _TAGS
        + b'"trigger_id": "1245634", "trigger_kind": "GitHub", '
        + _REF
        + _COMMIT
        + _GIT
        + b', "repo": "web", "manual_user": null, "trigger_manual": false}',
        "queued",
        "queued",
        _WITH_COMMIT,
        "info",
    ),
    "build_start": _of_build(_STARTED + b"}", "started", "started", "change 42d4a62", "info"),
    "build_success": _of_build(
        _STARTED + b', "image_id": "1245657346"}',
        "succeeded",
        "completed",
        "change 42d4a62",
        "success",
    ),
    "build_failure": _of_build(
        b'"build_id": "fake-build-id", "build_name": "some-fake-build", '
        + _TAGS
        + b'"trigger_kind": "GitHub", "error_message": "This is a fake error message", "trigger_id": "1245634", '
        + _REF
        + _COMMIT
        + _GIT
        + b"}",
        "failure",
        "failure",
        _WITH_COMMIT,
        "error",
        " \nThis is a fake error message",
    ),
    "build_cancelled": _of_build(
        _STARTED + b', "image_id": "1245657346"}',
        "cancelled",
        "canceled",
        "change 42d4a62",
        "info",
    ),
    "vulnerability_found": _of_repository(
        b'", "tags": ["latest", "prod", "foo", "bar", "baz"], "image": "some-image-id", '
        b'"vulnerability": {"id": "CVE-FAKE-CVE", "description": "A futurist vulnerability", '
        b'"link": "https://security-tracker.debian.org/tracker/CVE-FAKE-CVE", "priority": "High", "has_fix": false}}',
        "High vulnerability detected in repository acme/web in 5 tags",
        "A <https://security-tracker.debian.org/tracker/CVE-FAKE-CVE|High vulnerability> (CVE-FAKE-CVE) was detected in "
        f"tags/manifests {_tag('latest')}, {_tag('prod')}, {_tag('foo')} (and 2 more) in repository {_LINK}",
        "warning",
    ),
    "repo_mirror_sync_started": _of_mirror("started", "info"),
    "repo_mirror_sync_success": _of_mirror("success", "success"),
    "repo_mirror_sync_failed": _of_mirror("failed", "error"),
    "repo_image_expiry": _of_repository(
        b'", "tags": ["latest", "v1"], "expiring_in": "7 days"}',
        "Repository acme/web image(s) expiring",
        f"The following tags of repository {_LINK} are due to expire in 7 days:\n{_tag('latest')}, {_tag('v1')}",
        "info",
    ),
    "quota_warning": Expected(
        _NAMESPACE
        + b'"threshold_percent": 80, "usage_bytes": 858993459, "limit_bytes": 1073741824, "usage_percent": 80, '
        b'"usage_bytes_formatted": "819.20 MB", "limit_bytes_formatted": "1.00 GB"}',
        "Namespace acme storage usage has reached 80% of its quota limit",
        "Namespace *acme* storage usage has reached *80%* of its quota limit. \n\n Current usage: 80% (819.20 MB of 1.00 GB)",
        "warning",
        f"{PUBLIC_URL}/organization/acme",
    ),
    "quota_error": Expected(
        _NAMESPACE
        + b'"threshold_percent": 100, "usage_bytes": 1127428915, "limit_bytes": 1073741824, "usage_percent": 105, '
        b'"usage_bytes_formatted": "1.05 GB", "limit_bytes_formatted": "1.00 GB"}',
        "Namespace acme storage usage has exceeded its quota limit (105%)",
        "Namespace *acme* storage usage has *exceeded* its quota limit (105%). \n\n Current usage: 1.05 GB of 1.00 GB. "
        "Image pushes may be rejected until storage usage is reduced.",
        "error",
        f"{PUBLIC_URL}/organization/acme",
    ),
}
EVENT_CONFIGS = {"vulnerability_found": {"level": "1"}, "repo_image_expiry": {"days": 7}}
SLACK_COLORS = {
    "info": "#ffffff",
    "warning": "warning",
    "error": "danger",
    "success": "good",
    "primary": "good",
}
HIPCHAT_COLORS = {
    "info": "gray",
    "warning": "yellow",
    "error": "red",
    "success": "green",
    "primary": "purple",
}
