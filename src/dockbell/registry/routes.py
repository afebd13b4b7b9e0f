"""Which resource a path below `/v2` names. Repository names hold slashes, so the path is read from its end."""

import re
from enum import StrEnum

from dockbell.domain.late_dataclasses import dataclass
from dockbell.domain.names import is_namespace, is_repository


class Resource(StrEnum):
    BASE = "base"
    TOKEN = "token"  # noqa: S105 -- the name of a resource
    CATALOG = "catalog"
    UPLOADS = "uploads"
    UPLOAD = "upload"
    BLOB = "blob"
    MANIFEST = "manifest"
    TAGS = "tags"
    REFERRERS = "referrers"


@dataclass(frozen=True, slots=True)
class Route:
    resource: Resource
    path: str = ""  # of the repository, namespace/name
    reference: str = ""  # digest, tag or upload id, as sent

    @property
    def is_name_valid(self) -> bool:
        return is_path(self.path)


def is_path(text: str) -> bool:
    """Whether this can be a repository, `namespace/name`."""
    namespace, _, name = text.partition("/")
    return is_namespace(namespace) and is_repository(name)


_FIXED = {
    "/v2": Resource.BASE,
    "/v2/": Resource.BASE,
    "/v2/auth": Resource.TOKEN,
    "/v2/_catalog": Resource.CATALOG,
}
# The name is greedy: in `a/manifests/b/manifests/c` it is `a/manifests/b`.
_PATTERNS = (
    (Resource.UPLOADS, re.compile(r"/v2/(.+)/blobs/uploads/?()", re.DOTALL)),
    (Resource.UPLOAD, re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)", re.DOTALL)),
    (Resource.BLOB, re.compile(r"/v2/(.+)/blobs/([^/]+)", re.DOTALL)),
    (Resource.MANIFEST, re.compile(r"/v2/(.+)/manifests/([^/]+)", re.DOTALL)),
    (Resource.TAGS, re.compile(r"/v2/(.+)/tags/list()", re.DOTALL)),
    (Resource.REFERRERS, re.compile(r"/v2/(.+)/referrers/([^/]+)", re.DOTALL)),
)


def find(path: str) -> Route | None:
    """The resource that a decoded path names, or None if there is no such kind of path."""
    fixed = _FIXED.get(path)
    if fixed is not None:
        return Route(fixed)
    for resource, pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is not None:
            return Route(resource, match[1], match[2])
    return None
