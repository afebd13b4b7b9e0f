"""Labels of manifests: names and values that images bring, and that people add."""

import json
import re

from dockbell.domain.errors import InvalidRequestError
from dockbell.domain.late_dataclasses import dataclass

MEDIA_TYPES = ("text/plain", "application/json")
MOST = 1000  # that are kept of one image
LONGEST_KEY = 255
LONGEST_VALUE = 64 << 10
_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9]|[.-](?![.-]))*(?<![.-])", re.ASCII)
# Quay: what people may not add, because tools and the registry itself read it. Pinned by compat/test_manifests.py.
_RESERVED = (
    "com.docker.",
    "io.docker.",
    "org.dockerproject.",
    "org.opencontainers.",
    "io.cncf.",
    "io.kubernetes.",
    "io.k8s.",
    "io.quay",
    "com.coreos",
    "com.tectonic",
    "internal",
    "quay",
)


@dataclass(frozen=True, slots=True)
class Label:
    uuid: str
    key: str
    value: str
    source: str  # manifest or api
    media_type: str


def check_key(key: str) -> None:
    """Raise InvalidRequestError unless people may add a label of this name."""
    if key.startswith(_RESERVED):
        raise InvalidRequestError("Label has a reserved prefix")
    if len(key) > LONGEST_KEY or _KEY.fullmatch(key) is None:
        raise InvalidRequestError(
            "Label is of an invalid format or missing: use letters, digits, and single `.` and `-` between them"
        )


def media_type_of(value: str) -> str:
    """What a value is that nobody has said it of."""
    try:
        is_json = isinstance(json.loads(value), dict | list)
    except (ValueError, RecursionError):
        is_json = False
    return "application/json" if is_json else "text/plain"
