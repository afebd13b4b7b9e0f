"""What several answers show alike: avatars, dates, members."""

import hashlib
from datetime import datetime
from email.utils import format_datetime

from dockbell.domain.accounts import Holder

_COLORS = (
    "#1f6f8b",
    "#2a9d8f",
    "#5b8e7d",
    "#6d597a",
    "#7f5539",
    "#8d99ae",
    "#a44a3f",
    "#b56576",
    "#c77d0a",
    "#4f6d7a",
    "#3d5a80",
    "#7a9e3b",
)


def avatar(name: str, email: str | None, kind: str) -> dict[str, object]:
    """Quay's avatar object. The same name and address give the same picture and colour everywhere."""
    digest = hashlib.sha256((email or name).lower().encode())
    color = _COLORS[digest.digest()[0] % len(_COLORS)]
    return {"name": name, "hash": digest.hexdigest(), "color": color, "kind": kind}


def team_avatar(name: str) -> dict[str, object]:
    return avatar(name, None, "team")


def holder_avatar(holder: Holder) -> dict[str, object]:
    return avatar(holder.name, holder.email, "robot" if holder.is_robot else "user")


def date(moment: datetime | None) -> str | None:
    """As in an e-mail, in UTC written as -0000."""
    return None if moment is None else format_datetime(moment.replace(tzinfo=None))


def stamp(moment: datetime | None) -> str | None:
    """As in ISO 8601, in UTC written as Z."""
    return None if moment is None else f"{moment.replace(tzinfo=None).isoformat()}Z"
