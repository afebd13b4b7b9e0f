"""What several answers show alike: avatars, dates, members."""

import hashlib
from datetime import datetime
from email.utils import format_datetime

from dockbell.domain.accounts import Holder

# Quay: its palette, so that people keep their colour. Pinned by unit/api/test_views.py.
_COLORS = (
    "#969696",
    "#aec7e8",
    "#ff7f0e",
    "#ffbb78",
    "#2ca02c",
    "#98df8a",
    "#d62728",
    "#ff9896",
    "#9467bd",
    "#c5b0d5",
    "#8c564b",
    "#c49c94",
    "#e377c2",
    "#f7b6d2",
    "#7f7f7f",
    "#c7c7c7",
    "#bcbd22",
    "#1f77b4",
    "#17becf",
    "#9edae5",
    "#393b79",
    "#5254a3",
    "#6b6ecf",
    "#9c9ede",
    "#9ecae1",
    "#31a354",
    "#b5cf6b",
    "#a1d99b",
    "#8c6d31",
    "#ad494a",
    "#e7ba52",
    "#a55194",
)


def color_of(digest: str) -> str:
    """The colour of an avatar whose hash begins with these two hexadecimal digits."""
    return _COLORS[int(digest[:2], 16) % len(_COLORS)]


def avatar(name: str, email: str | None, kind: str) -> dict[str, object]:
    """Quay's avatar object. The same name and address give the same picture and colour everywhere."""
    digest = hashlib.sha256((email or name).strip().lower().encode()).hexdigest()
    return {"name": name, "hash": digest, "color": color_of(digest), "kind": kind}


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
