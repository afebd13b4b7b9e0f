"""Build events: the filter by ref (quay-compat 9.3 D6 to D8) and their messages (3.6)."""

import pytest

from dockbell.domain.errors import ConfigError
from tests.factories import KINDS, LINKS, event_of, sample_of

_BUILDS = [name for name in KINDS if name.startswith("build_")]
_REPOSITORY = '<a href="https://dockbell.test/repository/acme/web">acme/web</a>'
_BUILD = (
    '<a href="https://dockbell.test/repository/acme/web/build/0123456789">Build 0123456</a>'
)


@pytest.mark.parametrize("name", _BUILDS)
@pytest.mark.parametrize(
    ("expression", "ref", "accepted"),
    [
        ("", "refs/heads/master", True),
        (None, "refs/heads/master", True),
        ("refs/heads/master", "refs/heads/master", True),
        ("refs/heads/master", "refs/heads/master-2", True),
        ("refs/heads/master$", "refs/heads/master-2", False),
        ("heads/master", "refs/heads/master", False),
        ("refs/heads/master", "refs/heads/other", False),
        ("refs/heads/.+", "refs/heads/other", True),
        ("refs/heads/.+", "refs/tags/v1", False),
        ("refs/heads/.+", None, False),
        ("][", "refs/heads/master", False),
        (5, "5x", True),
    ],
)
def test_a_build_is_accepted_by_its_ref(
    name: str,
    expression: object,
    ref: str | None,
    accepted: bool,  # noqa: FBT001 -- what the table says
) -> None:
    event = event_of(name, {"trigger_metadata": {} if ref is None else {"ref": ref}})

    assert KINDS[name].accepts(event, {"ref-regex": expression}) is accepted


@pytest.mark.parametrize("name", _BUILDS)
@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("][", "ref-regex is not valid: unterminated character set at position 1"),
        ("a" * 300, "ref-regex is not valid: it is longer than 256 characters"),
        (r"(a)\1", "ref-regex is not valid: back references are not supported"),
        (5, "ref-regex must be a string"),
        (["x"], "ref-regex must be a string"),
    ],
)
def test_a_wrong_expression_may_not_be_saved(
    name: str, expression: object, message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        KINDS[name].check({"ref-regex": expression})

    assert (refused.value.detail, refused.value.field) == (message, "ref-regex")


@pytest.mark.parametrize("name", _BUILDS)
@pytest.mark.parametrize("expression", ["refs/heads/.+", "", None, "(?!refs/tags).*"])
def test_a_good_expression_may_be_saved(name: str, expression: str | None) -> None:
    KINDS[name].check({"ref-regex": expression})

    assert KINDS[name].accepts(sample_of(KINDS[name]), {"ref-regex": expression}) is True


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("build_queued", "queued"),
        ("build_start", "started"),
        ("build_success", "completed"),
        ("build_failure", "failure"),
        ("build_cancelled", "canceled"),
    ],
)
def test_each_kind_has_its_word(name: str, word: str) -> None:
    event = event_of(name, {"build_id": "0123456789"}, build_id="0123456789")

    assert KINDS[name].html(event, LINKS) == (
        f"{_BUILD} {word} for uploaded Dockerfile for repository {_REPOSITORY}"
    )


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        ({}, "change to GitHub repository"),
        ({"commit": "0123456789"}, "change 0123456"),
        (
            {
                "commit": "0123456789",
                "ref": "refs/heads/feature/x",
                "commit_info": {"url": "http://c"},
            },
            'change <a href="http://c">0123456</a> to branch feature/x',
        ),
        (
            {
                "commit": "0123456789",
                "ref": "refs/tags/v1",
                "commit_info": {
                    "url": "javascript:x",
                    "author": {"username": "<b>", "url": "http://a"},
                },
            },
            'change 0123456 to tag v1 by <a href="http://a">&lt;b&gt;</a>',
        ),
        (
            {"commit": "0123456789", "ref": "odd", "commit_info": {"url": "http://c"}},
            'change <a href="http://c">0123456</a> to branch ',
        ),
    ],
)
def test_the_message_tells_the_change(metadata: dict[str, object], cause: str) -> None:
    details = {
        "build_id": "0123456789",
        "trigger_id": "7",
        "trigger_kind": "GitHub",
        "trigger_metadata": metadata,
    }
    event = event_of("build_failure", details, build_id="0123456789")

    html = KINDS["build_failure"].html(event, LINKS)

    assert html == f"{_BUILD} failure for {cause} for repository {_REPOSITORY}"


def test_the_error_message_follows_on_its_own_line() -> None:
    details = {"build_id": "0123456789", "error_message": "<no>"}
    event = event_of("build_failure", details, build_id="0123456789")

    html = KINDS["build_failure"].html(event, LINKS)

    assert html.endswith(f"for repository {_REPOSITORY} <br>&lt;no&gt;")
