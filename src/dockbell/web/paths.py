"""Repository paths in addresses: names hold slashes, a router wants one segment.

`/api/v1/repository/acme/team/app/notification/UUID` becomes
`/api/v1/repository/acme:team:app/notification/UUID` before routing. A colon is in no name, so nothing is lost.
"""

_PREFIX = "/api/v1/repository/"
_SEPARATOR = ":"

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
    }
)
_NAMESPACE_AND_NAME = 2


def to_segment(path: str) -> str:
    """`acme/team/app` as one segment."""
    return path.replace("/", _SEPARATOR)


def of_segment(segment: str) -> str:
    return segment.replace(_SEPARATOR, "/")


def rewrite(path: str) -> str:
    """The address with the repository as one segment; any other address unchanged."""
    if not path.startswith(_PREFIX):
        return path
    segments = [part for part in path[len(_PREFIX) :].split("/") if part]
    if len(segments) < _NAMESPACE_AND_NAME or any(_SEPARATOR in part for part in segments[:2]):
        return path
    if (
        len(segments) == _NAMESPACE_AND_NAME
        and segments[1] in _RESOURCES
        and path.endswith("/")
    ):
        return path  # a repository without its namespace: `call.path` answers 404
    end = len(segments)
    for index in range(_NAMESPACE_AND_NAME, len(segments)):
        if segments[index] in _RESOURCES:
            end = index
            break
    return _PREFIX + "/".join([_SEPARATOR.join(segments[:end]), *segments[end:]])
