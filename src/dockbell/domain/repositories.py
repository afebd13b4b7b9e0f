"""Container repositories."""

from datetime import datetime
from enum import StrEnum

from dockbell.domain.late_dataclasses import dataclass


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class RepositoryState(StrEnum):
    """What may be pushed to a repository, in Quay's words."""

    NORMAL = "NORMAL"
    READ_ONLY = "READ_ONLY"
    MIRROR = "MIRROR"  # only its mirror writes to it


@dataclass(frozen=True, slots=True)
class Repository:
    id: str
    namespace_id: str
    namespace: str
    name: str  # without the namespace; may hold slashes
    visibility: Visibility
    description: str
    created_at: datetime
    state: RepositoryState = RepositoryState.NORMAL

    @property
    def path(self) -> str:
        """`namespace/name`, as users write it."""
        return f"{self.namespace}/{self.name}"
