"""Repository paths in addresses: names hold slashes, a router wants one segment.

`/api/v1/repository/acme/team/app/notification/UUID` becomes
`/api/v1/repository/acme:team:app/notification/UUID` before routing. A colon is in no name; one that a caller
sends is doubled, so that `acme:web` is no other way to write `acme/web`.
"""

from collections.abc import Mapping

_SEPARATOR = ":"
_COLON = "::"

# What may follow a repository's name. Quay: a repository whose own name ends in one of these words is
# shadowed. Pinned by compat/test_notifications.py.
_RESOURCES = frozenset(
    {
        "notification",
        "permissions",
        "changevisibility",
        "changestate",
        "authorizedemail",
        "logs",
        "aggregatelogs",
        "tag",
        "manifest",
        "build",
        "mirror",
        "immutabilitypolicy",
    }
)
# The same of API v2, whose own words these are.
_RESOURCES_V2 = frozenset({"builds", "feeds", "manifests"})
_PREFIXES: Mapping[str, frozenset[str]] = {
    "/api/v1/repository/": _RESOURCES,
    "/api/v2/repositories/": _RESOURCES_V2,
}
_NAMESPACE_AND_NAME = 2


def to_segment(path: str) -> str:
    """`acme/team/app` as one segment."""
    return path.replace(_SEPARATOR, _COLON).replace("/", _SEPARATOR)


def of_segment(segment: str) -> str:
    """The path that became this segment."""
    return ":".join([part.replace(_SEPARATOR, "/") for part in segment.split(_COLON)])


def rewrite(path: str) -> str:
    """The address with the repository as one segment; any other address unchanged."""
    for prefix, resources in _PREFIXES.items():
        if path.startswith(prefix):
            return _rewrite(path, prefix, resources)
    return path


def _rewrite(path: str, prefix: str, resources: frozenset[str]) -> str:
    segments = [part for part in path[len(prefix) :].split("/") if part]
    if not segments:
        return path
    if len(segments) < _NAMESPACE_AND_NAME or (
        len(segments) == _NAMESPACE_AND_NAME and segments[1] in resources and path.endswith("/")
    ):
        # A repository without its namespace: `call.path` answers 404.
        return path.replace(_SEPARATOR, _COLON)
    end = len(segments)
    for index in range(_NAMESPACE_AND_NAME, len(segments)):
        if segments[index] in resources:
            end = index
            break
    return prefix + "/".join([to_segment("/".join(segments[:end])), *segments[end:]])
