"""What the five kinds of build events share: words, message, the filter by ref, and sample data (quay-compat 3.3)."""

from collections.abc import Mapping

from dockbell.domain import markup
from dockbell.domain.errors import ConfigError
from dockbell.domain.events import Event, Subject
from dockbell.domain.links import Links
from dockbell.domain.patterns import PatternError, compile_pattern
from dockbell.domain.payloads import object_of, one_line, text_of

REF_REGEX = "ref-regex"
SAMPLE_ID = "fake-build-id"
_SHORT = 7  # characters of a build id or a commit that people see
_REF_PARTS = 3  # refs/heads/name


def summary(what: str, event: Event) -> str:
    build = text_of(event.data, "build_id")[:_SHORT]
    return one_line(f"Build {what} for repository {event.subject.path} [{build}]")


def html(what: str, event: Event, links: Links) -> str:
    build = f"Build {text_of(event.data, 'build_id')[:_SHORT]}"
    error = text_of(event.data, "error_message")
    parts = (
        markup.link(text_of(event.data, "homepage"), build),
        f"{what} for {_cause(event.data)}",
        f"for repository {markup.repository(event, links)}",
        f"<br>{markup.escaped(error)}" if error else "",
    )
    return " ".join(part for part in parts if part)


def _cause(data: Mapping[str, object]) -> str:
    if not text_of(data, "trigger_id"):
        return "uploaded Dockerfile"
    metadata = object_of(data, "trigger_metadata")
    if not metadata:
        return f"change to {markup.escaped(text_of(data, 'trigger_kind'))} repository"
    commit = text_of(metadata, "commit")[:_SHORT]
    info = object_of(metadata, "commit_info")
    if not info:
        return f"change {markup.escaped(commit)}"
    author = object_of(info, "author")
    by = (
        f" by {markup.link(text_of(author, 'url'), text_of(author, 'username'))}"
        if author
        else ""
    )
    return f"change {markup.link(text_of(info, 'url'), commit)} to {_place(metadata)}{by}"


def _place(metadata: Mapping[str, object]) -> str:
    """The branch or tag. Quay shows only the first part of names with a slash."""
    parts = text_of(metadata, "ref").split("/", _REF_PARTS - 1)
    kind = "tag" if parts[1:2] == ["tags"] else "branch"
    name = parts[-1] if len(parts) == _REF_PARTS else ""
    return f"{kind} {markup.escaped(name)}"


def check(event_config: Mapping[str, object]) -> None:
    """Raise ConfigError if the filter by ref is not a regular expression that we match."""
    expression = event_config.get(REF_REGEX)
    if not expression:
        return
    if not isinstance(expression, str):
        raise ConfigError(f"{REF_REGEX} must be a string", field=REF_REGEX)
    try:
        compile_pattern(expression)
    except PatternError as error:
        raise ConfigError(f"{REF_REGEX} is not valid: {error}", field=REF_REGEX) from None


def accepts(event: Event, event_config: Mapping[str, object]) -> bool:
    """Whether the ref fits the filter. A build without a ref fits only where there is no filter."""
    expression = event_config.get(REF_REGEX)
    if not expression:
        return True
    ref = object_of(event.data, "trigger_metadata").get("ref")
    if not isinstance(ref, str):
        return False
    try:
        # Quay: the start must match, not the whole ref; a broken expression matches nothing.
        # Pinned by unit/events/test_builds.py.
        return compile_pattern(str(expression)).matches_start(ref)
    except PatternError:
        return False


def sample(**more: object) -> Mapping[str, object]:
    """The fields of start, success and cancelled in the test button's event."""
    return {
        "build_id": SAMPLE_ID,
        "build_name": "some-fake-build",
        "docker_tags": ["latest", "foo", "bar"],
        "trigger_id": "1245634",
        "trigger_kind": "GitHub",
        "trigger_metadata": _sample_metadata(commit_info=False),
        **more,
    }


def failure_sample() -> Mapping[str, object]:
    """The same for failure. Quay: in this order. Pinned by contract/test_events.py."""
    return {
        "build_id": SAMPLE_ID,
        "build_name": "some-fake-build",
        "docker_tags": ["latest", "foo", "bar"],
        "trigger_kind": "GitHub",
        "error_message": "This is a fake error message",
        "trigger_id": "1245634",
        "trigger_metadata": _sample_metadata(commit_info=True),
    }


def queued_sample(subject: Subject) -> Mapping[str, object]:
    """The same for queued, which has other fields. Those that only real events have in Quay stand last: FIX Q23."""
    return {
        "is_manual": False,
        "build_id": SAMPLE_ID,
        "build_name": "some-fake-build",
        "docker_tags": ["latest", "foo", "bar"],
        "trigger_id": "1245634",
        "trigger_kind": "GitHub",
        "trigger_metadata": _sample_metadata(commit_info=True),
        "repo": subject.repository or "",
        "manual_user": None,
        "trigger_manual": False,
    }


def _sample_metadata(*, commit_info: bool) -> Mapping[str, object]:
    metadata: dict[str, object] = {
        "default_branch": "master",
        "ref": "refs/heads/somebranch",
        "commit": "42d4a62c53350993ea41069e9f2cfdefb0df097d",
    }
    if commit_info:
        person = {
            "username": "fakeauthor",
            "url": "http://path/to/fake/author/in/scm",
            "avatar_url": "http://www.gravatar.com/avatar/fakehash",
        }
        metadata["commit_info"] = {
            "url": "http://path/to/the/commit",
            "message": "Some commit message",
            "date": 1430845553.0,
            "author": person,
            "committer": person,
        }
    return {**metadata, "git_url": "http://path/to/the/repository.git"}
