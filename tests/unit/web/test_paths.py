"""A repository's path becomes one segment, whatever follows it."""

import pytest

from dockbell.web import paths

_UUID = "31432546-9c65-4874-b33f-45b1cfb07685"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/api/v1/repository/acme/web", "/api/v1/repository/acme:web"),
        ("/api/v1/repository/acme/a/b/c", "/api/v1/repository/acme:a:b:c"),
        (
            "/api/v1/repository/acme/web/notification",
            "/api/v1/repository/acme:web/notification",
        ),
        (
            "/api/v1/repository/acme/web/notification/",
            "/api/v1/repository/acme:web/notification",
        ),
        (
            f"/api/v1/repository/acme/team/app/notification/{_UUID}/test",
            f"/api/v1/repository/acme:team:app/notification/{_UUID}/test",
        ),
        (
            "/api/v1/repository/acme/web/permissions/user/acme+bot",
            "/api/v1/repository/acme:web/permissions/user/acme+bot",
        ),
        ("/api/v1/repository/acme/notification", "/api/v1/repository/acme:notification"),
        (
            "/api/v1/repository/acme/notification/notification",
            "/api/v1/repository/acme:notification/notification",
        ),
        ("/api/v1/repository/web/notification/", "/api/v1/repository/web/notification/"),
        ("/api/v1/repository", "/api/v1/repository"),
        ("/api/v1/repository/", "/api/v1/repository/"),
        ("/api/v1/repository/web", "/api/v1/repository/web"),
        # A colon of the caller's own is doubled, so that it never counts as a slash.
        ("/api/v1/repository/a:b/c", "/api/v1/repository/a::b:c"),
        ("/api/v1/repository/a:b", "/api/v1/repository/a::b"),
        ("/api/v1/repository/a:b/tag/", "/api/v1/repository/a::b/tag/"),
        ("/api/v1/repository/a/b:c/tag/x:y", "/api/v1/repository/a:b::c/tag/x:y"),
        ("/api/v1/organization/a:b", "/api/v1/organization/a:b"),
        ("/api/v1/organization/acme/team/x", "/api/v1/organization/acme/team/x"),
    ],
)
def test_a_repository_path_becomes_one_segment(address: str, expected: str) -> None:
    assert paths.rewrite(address) == expected


@pytest.mark.parametrize("path", ["acme/team/app", "acme:web", "a/b:c/d", "a::b/c", "a:b:c"])
def test_a_segment_turns_back_into_the_path(path: str) -> None:
    assert paths.of_segment(paths.to_segment(path)) == path
