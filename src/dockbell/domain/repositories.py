"""Container repositories."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Repository:
    id: str
    namespace_id: str
    namespace: str
    name: str  # without the namespace; may hold slashes
    visibility: Visibility
    description: str
    created_at: datetime

    @property
    def path(self) -> str:
        """`namespace/name`, as users write it."""
        return f"{self.namespace}/{self.name}"
