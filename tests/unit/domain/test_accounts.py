"""Scopes: how they are written, and what they imply (quay-compat 6.2)."""

import pytest

from dockbell.domain.accounts import scopes_of


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("repo:read", {"repo:read"}),
        ("repo:write", {"repo:read", "repo:write"}),
        ("repo:admin", {"repo:read", "repo:write", "repo:admin"}),
        ("repo:create", {"repo:create"}),
        ("user:read", {"user:read"}),
        ("user:admin", {"user:read", "user:admin"}),
        ("org:admin", {"org:admin"}),
        ("super:user", {"super:user"}),
        ("org:admin repo:create", {"org:admin", "repo:create"}),
        ("org:admin,repo:create", {"org:admin", "repo:create"}),
        (" org:admin ,\n repo:create,", {"org:admin", "repo:create"}),
        ("", set()),
        (",", set()),
        # One unknown part, and the whole of it grants nothing.
        ("repo:admin repo:nope", set()),
        ("Repo:Admin", set()),
        ("repo:admin;repo:read", set()),
    ],
)
def test_a_text_of_scopes_grants(text: str, scopes: set[str]) -> None:
    assert {scope.value for scope in scopes_of(text)} == scopes
