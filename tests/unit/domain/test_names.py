"""Which names are allowed (quay-compat 7.3)."""

import pytest

from dockbell.domain.names import is_namespace, is_repository, is_robot, is_tag, is_team


@pytest.mark.parametrize(
    ("name", "namespace", "repository", "tag", "team", "robot"),
    [
        ("acme", True, True, True, True, True),
        ("ac-me.x_1", True, True, True, True, True),
        ("0", False, True, True, False, False),
        ("00", True, True, True, True, True),
        ("", False, False, False, False, False),
        ("a" * 255, True, True, False, True, True),
        ("a" * 256, False, False, False, False, False),
        ("a" * 128, True, True, True, True, True),
        ("a" * 129, True, True, False, True, True),
        ("A", False, False, True, False, False),
        ("Acme", False, False, True, False, False),
        ("_x", False, False, True, True, False),
        ("a_", False, True, True, True, True),
        ("a__b", False, True, True, True, True),
        ("a--b", False, True, True, False, False),
        ("a..b", False, True, True, False, False),
        ("-a", False, False, False, False, False),
        (".a", False, False, False, False, False),
        ("a/b", False, True, False, False, False),
        ("a/b.c/d_e-", False, True, False, False, False),
        ("a//b", False, False, False, False, False),
        ("a/", False, False, False, False, False),
        ("/a", False, False, False, False, False),
        ("a/-b", False, False, False, False, False),
        ("acme\n", False, False, False, False, False),
        ("ac me", False, False, False, False, False),
        ("acmé", False, False, False, False, False),
        ("a\u0663", False, False, False, False, False),
        ("a+b", False, False, False, False, False),
        ("a:b", False, False, False, False, False),
    ],
)
def test_a_name_is_allowed_for(
    name: str,
    namespace: bool,  # noqa: FBT001 -- what the table says
    repository: bool,  # noqa: FBT001 -- what the table says
    tag: bool,  # noqa: FBT001 -- what the table says
    team: bool,  # noqa: FBT001 -- what the table says
    robot: bool,  # noqa: FBT001 -- what the table says
) -> None:
    found = (
        is_namespace(name),
        is_repository(name),
        is_tag(name),
        is_team(name),
        is_robot(name),
    )

    assert found == (namespace, repository, tag, team, robot)
