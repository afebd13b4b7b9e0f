"""Which names are allowed (quay-compat 7.3)."""

import re

NAMESPACE_RULE = r"^([a-z0-9]+(?:[._-][a-z0-9]+)*)$"  # as Quay shows it in errors

_NAMESPACE = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", re.ASCII)
_REPOSITORY = re.compile(r"[a-z0-9][.a-z0-9_-]*(?:/[a-z0-9][.a-z0-9_-]*)*", re.ASCII)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_TEAM = re.compile(r"[a-z0-9_]{2,255}", re.ASCII)
_ROBOT = re.compile(r"[a-z][a-z0-9_]{1,254}", re.ASCII)
_LONGEST = 255


def is_namespace(name: str) -> bool:
    return 2 <= len(name) <= _LONGEST and _NAMESPACE.fullmatch(name) is not None  # noqa: PLR2004 -- the rule's own number


def is_repository(name: str) -> bool:
    return 0 < len(name) <= _LONGEST and _REPOSITORY.fullmatch(name) is not None


def is_tag(name: str) -> bool:
    return _TAG.fullmatch(name) is not None


def is_team(name: str) -> bool:
    """What Quay's pages allow, or what its API allows."""
    return _TEAM.fullmatch(name) is not None or is_namespace(name)


def is_robot(short_name: str) -> bool:
    """What Quay's pages allow, or what its API allows."""
    return _ROBOT.fullmatch(short_name) is not None or is_namespace(short_name)
